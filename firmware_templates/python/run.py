#!/usr/bin/env python3
"""{{ name }}: {{ "classify" if has_classes else "compute outputs for" }} {{ "pictures" if p else "samples" }} on {{ board }}.

{% if p %}
    python3 run.py cat.jpg photos/     # files and folders
{% if has_values %}
    python3 run.py photos/ --output {{ output_example }}
{% endif %}
    python3 run.py --camera            # what the camera sees, until Ctrl-C
{% else %}
    python3 run.py {{ input_example }}         # samples as NumPy arrays
{% if has_values %}
    python3 run.py {{ input_example }} --output {{ output_example }}
{% endif %}
{% endif %}
    python3 run.py --benchmark 100     # how fast is this device?
    python3 run.py --verify            # does it compute what it should?

Needs numpy{{ ", Pillow" if p }} and a TFLite runtime (requirements.txt), nothing else. Written by edgekit
{{ version }}; the numbers below belong to {{ model_file }} and change with it.
"""

import argparse
import hashlib
import importlib
import json
import os
import statistics
{% if p %}
import struct
{% endif %}
{% block imports %}
{% endblock %}
import sys
import time
{% if has_values and outputs | length > 1 or not p %}
import zipfile
{% endif %}
from collections import namedtuple
from pathlib import Path

try:
    import numpy as np
{% if p %}
    from PIL import Image
{% endif %}
except ImportError as error:
    sys.exit(f"{error}. Try: python3 -m pip install -r requirements.txt")

HERE = Path(__file__).resolve().parent
MODEL = HERE / {{ model_file | python }}
{% if has_values %}
CLOSE = 0.1  # a larger difference, as a part of the largest value, is a fault
{% endif %}

Tensor = namedtuple("Tensor", "name shape dtype scale zero_point")
# The network's ends. Where there is a scale, real value = scale * (value - zero_point).
INPUTS = [
{% for tensor in input_rows %}
    {{ tensor }},
{% endfor %}
]
OUTPUTS = [
{% for tensor in output_rows %}
    {{ tensor }},
{% endfor %}
]
{% if p %}

PICTURES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".pgm", ".ppm", ".tif", ".tiff", ".webp"}
EXIF_ORIENTATION = 0x0112
UPRIGHT = {  # what turns a picture of each EXIF orientation upright
    2: Image.FLIP_LEFT_RIGHT,
    3: Image.ROTATE_180,
    4: Image.FLIP_TOP_BOTTOM,
    5: Image.TRANSPOSE,
    6: Image.ROTATE_270,
    7: Image.TRANSVERSE,
    8: Image.ROTATE_90,
}

# How a picture becomes the network's input: (pixel - MEAN) / STD{{ ", then " ~ inputs[0].dtype.value if inputs[0].quantization }}.
HEIGHT, WIDTH = {{ p.height }}, {{ p.width }}
COLOR = {{ p.color | python }}
MEAN = {{ p.mean | list }}
STD = {{ p.std | list }}
{% endif %}


def main():
    arguments = parse_arguments()
    try:
        if arguments.verify:
            return verify(arguments)
        if arguments.benchmark:
            return benchmark(arguments)
{% if p %}
        if arguments.camera:
            return run_all(camera_samples(arguments.frames), arguments)
{% endif %}
        return run_all(file_samples(arguments.paths), arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stderr.close()
        return 0


def parse_arguments():
    parser = argparse.ArgumentParser(description={{ ("Run " ~ name ~ ".") | python }})
{% if p %}
    parser.add_argument("paths", nargs="*", type=Path, help="pictures, or folders of them")
    parser.add_argument("--camera", action="store_true", help="take what the camera sees")
    parser.add_argument("--frames", type=int, default=0, help="stop the camera after so many")
{% elif inputs | length == 1 %}
    parser.add_argument("paths", nargs="*", type=Path, help="samples: .npy or .npz files")
{% else %}
    parser.add_argument(
        "paths",
        nargs="*",
        type=Path,
        help="samples: .npz files, or .npy files, one for each of the {{ inputs | length }} inputs in order",
    )
{% endif %}
{% if has_classes %}
    parser.add_argument("--top", type=positive, default=3, metavar="K", help="classes to show")
{% endif %}
{% if has_values %}
    parser.add_argument("--output", type=Path, help="save all outputs in this {{ output_suffix }} file")
{% endif %}
    parser.add_argument("--threads", type=positive, default=os.cpu_count() or 1, help="CPU threads")
    parser.add_argument("--benchmark", type=positive, metavar="N", help="time N inferences")
    parser.add_argument("--verify", action="store_true", help="run the golden vectors")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
{% block arguments %}
{% endblock %}
    arguments = parser.parse_args()
{% block early %}
{% endblock %}
{% if p %}
    if not (arguments.paths or arguments.camera or arguments.benchmark or arguments.verify):
        parser.error("name pictures or folders, or use --camera, --benchmark or --verify")
{% else %}
    if not (arguments.paths or arguments.benchmark or arguments.verify):
        parser.error("name .npy or .npz files, or use --benchmark or --verify")
{% endif %}
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


{% block interpreter %}
{% endblock %}


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
{% if not inputs | selectattr("quantization") | list %}
    """Real values -> the tensor's type."""
    return np.asarray(reals).astype(tensor.dtype)
{% else %}
    """Real values -> the tensor's type: divide by the scale, round half away from zero."""
{% if inputs | rejectattr("quantization") | list %}
    if tensor.scale is None:
        return np.asarray(reals).astype(tensor.dtype)
{% endif %}
    steps = (np.asarray(reals, np.float32) / np.float32(tensor.scale)).astype(np.float64)
    values = np.trunc(steps + np.copysign(0.5, steps)) + tensor.zero_point
    limits = np.iinfo(tensor.dtype)
    return np.clip(values, limits.min, limits.max).astype(tensor.dtype)
{% endif %}


def to_reals(values, tensor):
{% if not outputs | selectattr("quantization") | list %}
    """The values of an output, which has no scale."""
    return values.astype(np.float64)
{% else %}
    """What the values of a tensor mean."""
{% if outputs | rejectattr("quantization") | list %}
    if tensor.scale is None:
        return values.astype(np.float64)
{% endif %}
    return tensor.scale * (values.astype(np.float64) - tensor.zero_point)
{% endif %}


{% include "python/pictures.py" if p else "python/arrays.py" %}


# --- what the modes do ---------------------------------------------------------------------------


def run_all(samples, arguments):
    """Print what the network answers to each sample; 1 if one could not be read."""
    network = Network(arguments)
{% if has_classes %}
    labels = read_labels()
{% endif %}
{% if has_values %}
    kept = []
{% endif %}
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
{% if has_classes %}
            "top": best(reals[0].reshape(-1), labels, arguments.top),
{% endif %}
{% if has_values %}
            "outputs": {{ "{" }}OUTPUTS[i].name: reals[i].tolist() for i in range({{ "1, " if has_classes }}len(OUTPUTS))},
{% endif %}
            "milliseconds": milliseconds,
            "device": network.device,
        }
        show(name, answer, arguments.json)
{% if has_values %}
        if arguments.output:
            kept.append(reals)
    if kept:
        save(arguments.output, kept)
{% endif %}
    return int(failed)


def show(name, answer, as_json):
    if as_json:
        print(json.dumps({"{{ "picture" if p else "sample" }}": name, **answer}), flush=True)
        return
{% if has_classes %}
    said = [f"{entry['label']} {entry['score']:.3f}" for entry in answer["top"]]
{% endif %}
{% if has_classes and has_values %}
    said += [f"{key} {as_text(value)}" for key, value in answer["outputs"].items()]
{% elif has_values %}
    said = [f"{key} {as_text(value)}" for key, value in answer["outputs"].items()]
{% endif %}
    took = f"{answer['milliseconds']:.1f} ms on the {answer['device']}"
    print(f"{name}: {', '.join(said)} ({took})", flush=True)
{% if has_classes %}


def best(scores, labels, count):
    """The classes with the highest scores; of equal ones the first."""
    order = np.argsort(-scores, kind="stable")[:count]
    return [
        {"class": int(i), "label": labels[i] if labels else str(i), "score": float(scores[i])}
        for i in order
    ]


def read_labels():
    """The names of the classes; empty if nobody named them."""
    file = HERE / "labels.txt"
    return file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []
{% endif %}
{% if has_values %}


def as_text(values):
    """The values of an output on one line, the middle left out where they are many."""
    flat = np.asarray(values).reshape(-1)
    return np.array2string(flat, precision=4, threshold=16, max_line_width=sys.maxsize)


def save(path, kept):
{% if outputs | length == 1 %}
    """The outputs of all samples in one array, sample by sample."""
    try:
        with path.open("wb") as file:
            np.save(file, np.stack([reals[0] for reals in kept]).astype(np.float32))
    except OSError as error:
        sys.exit(f"Cannot write {path}: {error.strerror}")
{% else %}
    """The outputs of all samples as an .npz: one array an output, sample by sample."""
    try:
        with zipfile.ZipFile(path, "w") as archive:
            for i, tensor in enumerate(OUTPUTS):
                with archive.open(tensor.name + ".npy", "w", force_zip64=True) as file:
                    np.save(file, np.stack([reals[i] for reals in kept]).astype(np.float32))
    except OSError as error:
        sys.exit(f"Cannot write {path}: {error.strerror}")
{% endif %}
{% endif %}


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
    there, so a step more or less is no fault, but {{ "another class" if has_classes else "a difference of a tenth" }} on more than one vector
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
{% if has_classes %}
    classes = [values[0].reshape(len(answers), -1).argmax(axis=1) for values in (actual, expected)]
{% endif %}
{% if has_classes and has_values %}
    agree = (classes[0] == classes[1]) & (differences <= CLOSE)
{% elif has_classes %}
    agree = classes[0] == classes[1]
{% else %}
    agree = differences <= CLOSE
{% endif %}
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
            "{{ "agree" if has_classes and has_values else "give the same class" if has_classes else "are close" }}; largest difference {largest_difference:.1%}".format(**result)
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
