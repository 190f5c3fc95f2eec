#!/usr/bin/env python3
"""toy_0.25_16: classify pictures on Coral USB Accelerator.

    python3 run.py cat.jpg photos/     # files and folders
    python3 run.py --camera            # what the camera sees, until Ctrl-C
    python3 run.py --benchmark 100     # how fast is this device?
    python3 run.py --verify            # does it compute what it should?

Needs numpy, Pillow and a TFLite runtime (requirements.txt), nothing else. Written by edgekit
0.1.0; the numbers below belong to model_int8.tflite and change with it.
"""

import argparse
import hashlib
import importlib
import json
import os
import statistics
import struct
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

try:
    import numpy as np
    from PIL import Image
except ImportError as error:
    sys.exit(f"{error}. Try: python3 -m pip install -r requirements.txt")

HERE = Path(__file__).resolve().parent
MODEL = HERE / "model_int8.tflite"

Tensor = namedtuple("Tensor", "name shape dtype scale zero_point")
# The network's ends. Where there is a scale, real value = scale * (value - zero_point).
INPUTS = [
    Tensor("image", (1, 16, 16, 3), "int8", 0.0078125, -1),
]
OUTPUTS = [
    Tensor("probabilities", (1, 5), "int8", 0.00390625, -128),
]

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

# How a picture becomes the network's input: (pixel - MEAN) / STD, then int8.
HEIGHT, WIDTH = 16, 16
COLOR = "RGB"
MEAN = [127.5, 127.5, 127.5]
STD = [127.5, 127.5, 127.5]


def main():
    arguments = parse_arguments()
    try:
        if arguments.verify:
            return verify(arguments)
        if arguments.benchmark:
            return benchmark(arguments)
        if arguments.camera:
            return run_all(camera_samples(arguments.frames), arguments)
        return run_all(file_samples(arguments.paths), arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stderr.close()
        return 0


def parse_arguments():
    parser = argparse.ArgumentParser(description="Run toy_0.25_16.")
    parser.add_argument("paths", nargs="*", type=Path, help="pictures, or folders of them")
    parser.add_argument("--camera", action="store_true", help="take what the camera sees")
    parser.add_argument("--frames", type=int, default=0, help="stop the camera after so many")
    parser.add_argument("--top", type=positive, default=3, metavar="K", help="classes to show")
    parser.add_argument("--threads", type=positive, default=os.cpu_count() or 1, help="CPU threads")
    parser.add_argument("--benchmark", type=positive, metavar="N", help="time N inferences")
    parser.add_argument("--verify", action="store_true", help="run the golden vectors")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--cpu", action="store_true", help="do not use the Edge TPU")
    parser.add_argument("--probe", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.probe:
        edgetpu_interpreter().invoke()
        sys.exit()
    if not (arguments.paths or arguments.camera or arguments.benchmark or arguments.verify):
        parser.error("name pictures or folders, or use --camera, --benchmark or --verify")
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


EDGETPU_MODEL = HERE / "model_int8_edgetpu.tflite"
EDGETPU_LIBRARY = {"darwin": "libedgetpu.1.dylib", "win32": "edgetpu.dll"}
PROBE_SECONDS = 30


def make_interpreter(arguments):
    """The Edge TPU where it works, else the same network on the CPU."""
    reason = "--cpu was given" if arguments.cpu else why_no_edgetpu()
    if reason is None:
        return edgetpu_interpreter(), "Edge TPU"
    print(f"The Edge TPU is not used: {reason}.", file=sys.stderr)
    return cpu_interpreter(arguments.threads), "CPU"


def why_no_edgetpu():
    """None if the Edge TPU works.

    Tried in another process: a libedgetpu that does not match the runtime crashes instead of
    raising an error.
    """
    if not EDGETPU_MODEL.exists():
        return f"there is no {EDGETPU_MODEL.name} (README.md says how to make it)"
    command = [sys.executable, str(Path(__file__).resolve()), "--probe"]
    try:
        probe = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return f"it did not answer in {PROBE_SECONDS} seconds"
    if probe.returncode == 0:
        return None
    if probe.returncode < 0:
        return f"its library crashed (signal {-probe.returncode}); it may not match the runtime"
    said = probe.stderr.strip().splitlines()
    return said[-1].rstrip(".") if said else f"the probe failed with code {probe.returncode}"


def edgetpu_interpreter():
    tflite = runtime()
    library = EDGETPU_LIBRARY.get(sys.platform, "libedgetpu.so.1")
    interpreter = tflite.Interpreter(
        model_path=str(EDGETPU_MODEL),
        experimental_delegates=[tflite.load_delegate(library)],
    )
    interpreter.allocate_tensors()
    return interpreter


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


# --- pictures to numbers -------------------------------------------------------------------------


def preprocess(image):
    """A Pillow picture -> the network's input (height, width, channels), exactly as in training."""
    flat = flatten(image)
    if COLOR == "L":
        flat = flat.convert("L")
    resized = flat.resize((WIDTH, HEIGHT), Image.BILINEAR, box=source_box(*flat.size))
    pixels = np.asarray(resized.convert("RGB"))
    reals = (pixels.astype(np.float32) - np.float32(MEAN)) / np.float32(STD)
    return to_tensor(reals, INPUTS[0])


def flatten(image):
    """Upright, opaque (over white) and 8 bits deep: mode L for grey, RGB for everything else."""
    turn = UPRIGHT.get(orientation(image))
    flat = opaque(image)
    return flat if turn is None else flat.transpose(turn)


def orientation(image):
    try:
        return image.getexif().get(EXIF_ORIENTATION, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return 1  # a broken EXIF block says nothing about the pixels


def opaque(image):
    if image.mode.startswith("I"):  # 16-bit grey
        return Image.fromarray((np.clip(np.asarray(image), 0, 65535) >> 8).astype(np.uint8))
    if "transparency" in image.info or image.getbands()[-1] in ("A", "a"):
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def source_box(width, height):
    """The part of the picture the network sees: left, top, right, bottom."""
    return 0, 0, width, height


def file_samples(paths):
    """(name, [input] or error) for each file, and for each picture in each folder."""
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURES)
        if path.is_dir() and not inside:
            yield str(path), "no pictures in this folder"
        for file in inside if path.is_dir() else [path]:
            try:
                with Image.open(file) as image:
                    image.load()
            except (OSError, SyntaxError, Image.DecompressionBombError) as error:
                yield str(file), getattr(error, "strerror", None) or "not a picture"
                continue
            floating = image.mode == "F"
            yield str(file), "has floating-point pixels" if floating else [preprocess(image)]


def camera_samples(frames):
    """(name, [input]) for each frame, of the Raspberry Pi's camera or the first one OpenCV has."""
    capture = open_camera()
    count = 0
    while not frames or count < frames:
        picture = capture()
        if picture is None:
            sys.exit("The camera gives no picture.")
        yield f"frame {count}", [preprocess(picture)]
        count += 1


def open_camera():
    """A function that returns the next picture."""
    try:
        from picamera2 import Picamera2
    except ImportError:
        return open_opencv_camera()
    camera = Picamera2()
    camera.configure(camera.create_still_configuration(main={"size": (640, 480)}))
    camera.start()
    return camera.capture_image


def open_opencv_camera():
    try:
        import cv2
    except ImportError:
        sys.exit(
            "--camera needs picamera2 (sudo apt install python3-picamera2) or OpenCV "
            "(python3 -m pip install opencv-python-headless)."
        )
    camera = cv2.VideoCapture(0)
    if not camera.isOpened():
        sys.exit("OpenCV finds no camera.")

    def capture():
        there, frame = camera.read()
        return Image.fromarray(frame[:, :, ::-1]) if there else None

    return capture


# --- what the modes do ---------------------------------------------------------------------------


def run_all(samples, arguments):
    """Print what the network answers to each sample; 1 if one could not be read."""
    network = Network(arguments)
    labels = read_labels()
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
            "top": best(reals[0].reshape(-1), labels, arguments.top),
            "milliseconds": milliseconds,
            "device": network.device,
        }
        show(name, answer, arguments.json)
    return int(failed)


def show(name, answer, as_json):
    if as_json:
        print(json.dumps({"picture": name, **answer}), flush=True)
        return
    said = [f"{entry['label']} {entry['score']:.3f}" for entry in answer["top"]]
    took = f"{answer['milliseconds']:.1f} ms on the {answer['device']}"
    print(f"{name}: {', '.join(said)} ({took})", flush=True)


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
    there, so a step more or less is no fault, but another class on more than one vector
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
    classes = [values[0].reshape(len(answers), -1).argmax(axis=1) for values in (actual, expected)]
    agree = classes[0] == classes[1]
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
            "give the same class; largest difference {largest_difference:.1%}".format(**result)
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
