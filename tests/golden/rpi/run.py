#!/usr/bin/env python3
"""toy_0.25_16: classify pictures on Raspberry Pi 4 Model B.

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
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
MODEL = HERE / "model_int8.tflite"
PICTURES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".pgm", ".ppm", ".tif", ".tiff", ".webp"}

UPRIGHT = {  # what turns a picture of each EXIF orientation upright
    2: Image.FLIP_LEFT_RIGHT,
    3: Image.ROTATE_180,
    4: Image.FLIP_TOP_BOTTOM,
    5: Image.TRANSPOSE,
    6: Image.ROTATE_270,
    7: Image.TRANSVERSE,
    8: Image.ROTATE_90,
}
EXIF_ORIENTATION = 0x0112

# How a picture becomes the network's input: (pixel - MEAN) / STD, then int8.
HEIGHT, WIDTH = 16, 16
COLOR = "RGB"
MEAN = [127.5, 127.5, 127.5]
STD = [127.5, 127.5, 127.5]
INPUT_SCALE, INPUT_ZERO_POINT = 0.0078125, -1
# What an output means: score = OUTPUT_SCALE * (value - OUTPUT_ZERO_POINT).
OUTPUT_SCALE, OUTPUT_ZERO_POINT = 0.00390625, -128


def main():
    arguments = parse_arguments()
    try:
        if arguments.verify:
            return verify(arguments)
        if arguments.benchmark:
            return benchmark(arguments)
        if arguments.camera:
            return classify_all(camera_pictures(arguments.frames), arguments)
        return classify_all(file_pictures(arguments.paths), arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stderr.close()
        return 0


def parse_arguments():
    parser = argparse.ArgumentParser(description="Classify pictures with toy_0.25_16.")
    parser.add_argument("paths", nargs="*", type=Path, help="pictures, or folders of them")
    parser.add_argument("--camera", action="store_true", help="classify what the camera sees")
    parser.add_argument("--frames", type=int, default=0, help="stop the camera after so many")
    parser.add_argument("--top", type=positive, default=3, metavar="K", help="classes to show")
    parser.add_argument("--threads", type=positive, default=os.cpu_count() or 1, help="CPU threads")
    parser.add_argument("--benchmark", type=positive, metavar="N", help="time N inferences")
    parser.add_argument("--verify", action="store_true", help="run the golden vectors")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()
    if not (arguments.paths or arguments.camera or arguments.benchmark or arguments.verify):
        parser.error("name pictures or folders, or use --camera, --benchmark or --verify")
    return arguments


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


# --- the network ---------------------------------------------------------------------------------


class Classifier:
    """The int8 network: int8 (1, height, width, channels) in, int8 scores out."""

    def __init__(self, arguments):
        self.interpreter, self.device = make_interpreter(arguments)
        self.input = self.interpreter.get_input_details()[0]["index"]
        self.output = self.interpreter.get_output_details()[0]["index"]

    def __call__(self, values):
        self.interpreter.set_tensor(self.input, values.reshape(1, HEIGHT, WIDTH, -1))
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output).reshape(-1)


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


# --- pictures to numbers -------------------------------------------------------------------------


def preprocess(image):
    """A Pillow picture -> int8 (height, width, channels), exactly as in training."""
    flat = flatten(image)
    if COLOR == "L":
        flat = flat.convert("L")
    resized = flat.resize((WIDTH, HEIGHT), Image.BILINEAR, box=source_box(*flat.size))
    return quantize(np.asarray(resized.convert("RGB")))


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


def quantize(pixels):
    """uint8 (..., channels) -> int8: normalize, divide by the scale, round half away from zero."""
    real = (pixels.astype(np.float32) - np.float32(MEAN)) / np.float32(STD)
    steps = (real / np.float32(INPUT_SCALE)).astype(np.float64)
    values = np.trunc(steps + np.copysign(0.5, steps)) + INPUT_ZERO_POINT
    return np.clip(values, -128, 127).astype(np.int8)


def file_pictures(paths):
    """(name, picture or error) for each file, and for each picture in each folder."""
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURES)
        if path.is_dir() and not inside:
            yield str(path), "no pictures in this folder"
        for file in inside if path.is_dir() else [path]:
            try:
                with Image.open(file) as image:
                    image.load()
                yield str(file), "has floating-point pixels" if image.mode == "F" else image
            except (OSError, SyntaxError, Image.DecompressionBombError) as error:
                yield str(file), getattr(error, "strerror", None) or "not a picture"


def camera_pictures(frames):
    """(name, picture) for each frame, of the Raspberry Pi's camera or the first one OpenCV has."""
    capture = open_camera()
    count = 0
    while not frames or count < frames:
        picture = capture()
        if picture is None:
            sys.exit("The camera gives no picture.")
        yield f"frame {count}", picture
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


# --- what the four modes do ----------------------------------------------------------------------


def classify_all(pictures, arguments):
    """Print the best classes of each picture; 1 if one could not be read."""
    classifier = Classifier(arguments)
    labels = read_labels()
    failed = False
    for name, picture in pictures:
        if isinstance(picture, str):
            print(f"{name}: {picture}", file=sys.stderr)
            failed = True
            continue
        values = preprocess(picture)
        start = time.perf_counter()
        scores = classifier(values)
        seconds = time.perf_counter() - start
        show(name, best(scores, labels, arguments.top), seconds, classifier.device, arguments.json)
    return int(failed)


def best(scores, labels, count):
    """The classes with the highest scores; of equal ones the first."""
    order = np.argsort(-scores.astype(np.int32), kind="stable")[:count]
    reals = OUTPUT_SCALE * (scores.astype(np.float64) - OUTPUT_ZERO_POINT)
    return [
        {"class": int(i), "label": labels[i] if labels else str(i), "score": float(reals[i])}
        for i in order
    ]


def show(name, top, seconds, device, as_json):
    if as_json:
        line = {"picture": name, "top": top, "milliseconds": 1000 * seconds, "device": device}
        print(json.dumps(line), flush=True)
    else:
        classes = ", ".join(f"{c['label']} {c['score']:.3f}" for c in top)
        print(f"{name}: {classes} ({1000 * seconds:.1f} ms on the {device})", flush=True)


def read_labels():
    """The names of the classes; empty if nobody named them."""
    file = HERE / "labels.txt"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def benchmark(arguments):
    """Time inferences of noise, after a few that nobody times."""
    classifier = Classifier(arguments)
    values = np.random.default_rng(0).integers(-128, 128, (HEIGHT, WIDTH, len(MEAN)), np.int8)
    times = []
    for _ in range(arguments.benchmark + 5):
        start = time.perf_counter()
        classifier(values)
        times.append(1000 * (time.perf_counter() - start))
    times = times[5:]
    result = {
        "device": classifier.device,
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
    """Run the golden vectors; 1 if files are damaged or this device classifies differently.

    The expected outputs are those of TensorFlow Lite Micro. Other runtimes round differently here
    and there, so a step more or less is no fault, but another class on more than one vector in
    ten is.
    """
    damaged = damaged_files()
    if damaged:
        print(f"damaged or changed: {', '.join(damaged)}", file=sys.stderr)
        return 1
    classifier = Classifier(arguments)
    inputs = np.load(HERE / "golden" / "input_0.npy")
    expected = np.load(HERE / "golden" / "output_0.npy")
    expected = expected.reshape(len(inputs), -1)
    actual = np.stack([classifier(values) for values in inputs])
    steps = np.abs(actual.astype(int) - expected.astype(int))
    result = {
        "device": classifier.device,
        "vectors": len(inputs),
        "bit_exact": int(np.sum(steps.max(axis=1) == 0)),
        "same_class": int(np.sum(actual.argmax(axis=1) == expected.argmax(axis=1))),
        "largest_difference": int(steps.max()),
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        print(
            "{device}: of {vectors} golden vectors {bit_exact} are bit-exact and {same_class} give "
            "the same class; largest difference {largest_difference} of 255 steps".format(**result)
        )
    return int(result["same_class"] < 0.9 * result["vectors"])


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
