#!/usr/bin/env python3
"""toy_0.25_16: compute outputs for samples on Raspberry Pi 4 Model B.

    python3 run.py samples.npz         # samples as NumPy arrays
    python3 run.py samples.npz --output outputs.npz
    python3 run.py --benchmark 100     # how fast is this device?
    python3 run.py --verify            # does it compute what it should?

Needs numpy and a TFLite runtime (requirements.txt), nothing else. Written by edgekit
0.1.0; the numbers below belong to model_int8.tflite and change with it.
"""

import argparse
import hashlib
import importlib
import json
import os
import statistics
import sys
import time
import zipfile
from collections import namedtuple
from pathlib import Path

try:
    import numpy as np
except ImportError as error:
    sys.exit(f"{error}. Try: python3 -m pip install -r requirements.txt")

HERE = Path(__file__).resolve().parent
MODEL = HERE / "model_int8.tflite"
CLOSE = 0.1  # a larger difference, as a part of the largest value, is a fault

Tensor = namedtuple("Tensor", "name shape dtype scale zero_point")
# The network's ends. Where there is a scale, real value = scale * (value - zero_point).
INPUTS = [
    Tensor("sound", (1, 8, 6, 1), "int8", 0.05000000074505806, 3),
    Tensor("motion", (1, 10), "int8", 0.10000000149011612, -4),
]
OUTPUTS = [
    Tensor("direction", (1, 4), "int8", 0.5322882533073425, -2),
    Tensor("sum", (1, 10), "int8", 0.4000000059604645, 1),
]


def main():
    arguments = parse_arguments()
    try:
        if arguments.verify:
            return verify(arguments)
        if arguments.benchmark:
            return benchmark(arguments)
        return run_all(file_samples(arguments.paths), arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stderr.close()
        return 0


def parse_arguments():
    parser = argparse.ArgumentParser(description="Run toy_0.25_16.")
    parser.add_argument(
        "paths",
        nargs="*",
        type=Path,
        help="samples: .npz files, or .npy files, one for each of the 2 inputs in order",
    )
    parser.add_argument("--output", type=Path, help="save all outputs in this .npz file")
    parser.add_argument("--threads", type=positive, default=os.cpu_count() or 1, help="CPU threads")
    parser.add_argument("--benchmark", type=positive, metavar="N", help="time N inferences")
    parser.add_argument("--verify", action="store_true", help="run the golden vectors")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()
    if not (arguments.paths or arguments.benchmark or arguments.verify):
        parser.error("name .npy or .npz files, or use --benchmark or --verify")
    return arguments


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


# --- the network ---------------------------------------------------------------------------------


class Network:
    """Takes one array for each of INPUTS, in its type, and returns one for each of OUTPUTS."""

    def __init__(self, arguments):
        self.interpreter, self.device = make_interpreter(arguments)
        self.inputs = [details["index"] for details in self.interpreter.get_input_details()]
        self.outputs = [details["index"] for details in self.interpreter.get_output_details()]

    def __call__(self, values):
        for i, value in enumerate(values):
            self.interpreter.set_tensor(self.inputs[i], value.reshape(INPUTS[i].shape))
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(index) for index in self.outputs]


def make_interpreter(arguments):
    return cpu_interpreter(arguments.threads), "CPU"


def cpu_interpreter(threads):
    interpreter = runtime().Interpreter(model_path=str(MODEL), num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


def runtime():
    """Whichever TFLite runtime is installed."""
    for name in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    sys.exit("No TFLite runtime is installed. Try: python3 -m pip install -r requirements.txt")


def to_tensor(reals, tensor):
    """Real values -> the tensor's type: divide by the scale, round half away from zero."""
    steps = (np.asarray(reals, np.float32) / np.float32(tensor.scale)).astype(np.float64)
    values = np.trunc(steps + np.copysign(0.5, steps)) + tensor.zero_point
    limits = np.iinfo(tensor.dtype)
    return np.clip(values, limits.min, limits.max).astype(tensor.dtype)


def to_reals(values, tensor):
    """What the values of a tensor mean."""
    return tensor.scale * (values.astype(np.float64) - tensor.zero_point)


# --- arrays to samples ---------------------------------------------------------------------------


def file_samples(paths):
    """(name, arrays or error) for each sample in the files."""
    for files in file_sets(paths):
        name = ", ".join(map(str, files))
        try:
            samples = list(map(stacked, read_arrays(files), INPUTS))
            counts = sorted({len(array) for array in samples})
            if len(counts) > 1:
                raise ValueError(f"the inputs hold different numbers of samples: {counts}")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            yield name, getattr(error, "strerror", None) or str(error)
            continue
        for i in range(counts[0]):
            yield f"{name}[{i}]" if counts[0] > 1 else name, [array[i] for array in samples]


def file_sets(paths):
    """Files that together hold one array for each input: an .npz, or so many .npy in a row."""
    waiting = []
    for path in paths:
        if path.suffix == ".npz":
            yield [path]
            continue
        waiting.append(path)
        if len(waiting) == len(INPUTS):
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def read_arrays(files):
    """One array for each of INPUTS."""
    if files[0].suffix == ".npz":
        with np.load(files[0]) as arrays:
            return [arrays[tensor.name] for tensor in INPUTS]
    if len(files) != len(INPUTS):
        raise ValueError(f"the network has {len(INPUTS)} inputs, name a file for each")
    return [np.load(file) for file in files]


def stacked(array, tensor):
    """Samples (n, *shape) in the tensor's type.

    One sample may come alone, and without the leading 1 of the shape. Arrays of another type than
    the tensor's hold real values.
    """
    shape = tensor.shape
    inner = shape[1:] if shape[:1] == (1,) else shape
    alone = array.shape in (shape, inner)
    if not alone and array.shape[1:] not in (shape, inner):
        raise ValueError(f"shape {array.shape} is neither {shape} nor a stack of it")
    if not array.size:
        raise ValueError("holds no samples")
    array = array.reshape(1 if alone else len(array), *shape)
    if array.dtype == tensor.dtype:
        return array
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise ValueError("holds what is no finite number")
    return to_tensor(array, tensor)


# --- what the modes do ---------------------------------------------------------------------------


def run_all(samples, arguments):
    """Print what the network answers to each sample; 1 if one could not be read."""
    network = Network(arguments)
    kept = []
    failed = False
    for name, values in samples:
        if isinstance(values, str):
            print(f"{name}: {values}", file=sys.stderr)
            failed = True
            continue
        start = time.perf_counter()
        outputs = network(values)
        milliseconds = 1000 * (time.perf_counter() - start)
        reals = list(map(to_reals, outputs, OUTPUTS))
        answer = {
            "outputs": {OUTPUTS[i].name: reals[i].tolist() for i in range(len(OUTPUTS))},
            "milliseconds": milliseconds,
            "device": network.device,
        }
        show(name, answer, arguments.json)
        if arguments.output:
            kept.append(reals)
    if kept:
        save(arguments.output, kept)
    return int(failed)


def show(name, answer, as_json):
    if as_json:
        print(json.dumps({"sample": name, **answer}), flush=True)
        return
    said = [f"{key} {as_text(value)}" for key, value in answer["outputs"].items()]
    took = f"{answer['milliseconds']:.1f} ms on the {answer['device']}"
    print(f"{name}: {', '.join(said)} ({took})", flush=True)


def as_text(values):
    """The values of an output on one line, the middle left out where they are many."""
    flat = np.asarray(values).reshape(-1)
    return np.array2string(flat, precision=4, threshold=16, max_line_width=sys.maxsize)


def save(path, kept):
    """The outputs of all samples as an .npz: one array an output, sample by sample."""
    try:
        with zipfile.ZipFile(path, "w") as archive:
            for i, tensor in enumerate(OUTPUTS):
                with archive.open(tensor.name + ".npy", "w", force_zip64=True) as file:
                    np.save(file, np.stack([reals[i] for reals in kept]).astype(np.float32))
    except OSError as error:
        sys.exit(f"Cannot write {path}: {error.strerror}")


def benchmark(arguments):
    """Time inferences of noise, after a few that nobody times."""
    network = Network(arguments)
    random = np.random.default_rng(0)
    values = [to_tensor(random.standard_normal(tensor.shape), tensor) for tensor in INPUTS]
    times = []
    for _ in range(arguments.benchmark + 5):
        start = time.perf_counter()
        network(values)
        times.append(1000 * (time.perf_counter() - start))
    times = times[5:]
    result = {
        "device": network.device,
        "threads": arguments.threads,
        "inferences": len(times),
        "median_milliseconds": statistics.median(times),
        "least_milliseconds": min(times),
        "most_milliseconds": max(times),
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        print(
            "{inferences} inferences on the {device}: median {median_milliseconds:.2f} ms, "
            "least {least_milliseconds:.2f}, most {most_milliseconds:.2f}".format(**result)
        )
    return 0


def verify(arguments):
    """Run the golden vectors; 1 if files are damaged or this device answers differently.

    The expected outputs are those of exact integer arithmetic. Runtimes round differently here and
    there, so a step more or less is no fault, but a difference of a tenth on more than one vector
    in ten is.
    """
    damaged = damaged_files()
    if damaged:
        print(f"damaged or changed: {', '.join(damaged)}", file=sys.stderr)
        return 1
    network = Network(arguments)
    inputs = [np.load(HERE / f"golden/input_{i}.npy") for i in range(len(INPUTS))]
    expected = [np.load(HERE / f"golden/output_{i}.npy") for i in range(len(OUTPUTS))]
    answers = [network([values[n] for values in inputs]) for n in range(len(inputs[0]))]
    actual = [np.stack([answer[i] for answer in answers]) for i in range(len(OUTPUTS))]
    differences = np.max(list(map(difference, actual, expected, OUTPUTS)), axis=0)
    agree = differences <= CLOSE
    result = {
        "device": network.device,
        "vectors": len(answers),
        "bit_exact": int(np.sum(differences == 0)),
        "agree": int(np.sum(agree)),
        "largest_difference": float(differences.max()),
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        print(
            "{device}: of {vectors} golden vectors {bit_exact} are bit-exact and {agree} "
            "are close; largest difference {largest_difference:.1%}".format(**result)
        )
    return int(result["agree"] < 0.9 * result["vectors"])


def difference(actual, expected, tensor):
    """The largest difference in each vector, as a part of the largest expected value."""
    reals = to_reals(expected, tensor).reshape(len(expected), -1)
    others = to_reals(actual, tensor).reshape(len(expected), -1)
    return np.abs(others - reals).max(axis=1) / (np.abs(reals).max() or 1)


def damaged_files():
    """The files of this bundle that are not as edgekit wrote them."""
    files = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))["files"]
    return [
        file["path"]
        for file in files
        if not (HERE / file["path"]).exists()
        or hashlib.sha256((HERE / file["path"]).read_bytes()).hexdigest() != file["sha256"]
    ]


if __name__ == "__main__":
    sys.exit(main())
