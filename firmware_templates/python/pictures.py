# --- pictures to numbers -------------------------------------------------------------------------


def preprocess(image):
    """A Pillow picture -> the network's input (height, width, channels), exactly as in training."""
    flat = flatten(image)
    if COLOR == "L":
        flat = flat.convert("L")
    resized = flat.resize((WIDTH, HEIGHT), Image.BILINEAR, box=source_box(*flat.size))
{% if p.color == "L" %}
    pixels = np.asarray(resized)[:, :, None]
{% elif p.color == "BGR" %}
    pixels = np.asarray(resized.convert("RGB"))[:, :, ::-1]
{% else %}
    pixels = np.asarray(resized.convert("RGB"))
{% endif %}
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
{% if p.resize == "stretch" %}
    return 0, 0, width, height
{% else %}
    scale = min(width / WIDTH, height / HEIGHT) * {{ p.crop_fraction }}
    left, top = max(0, (width - WIDTH * scale) / 2), max(0, (height - HEIGHT * scale) / 2)
    return left, top, min(left + WIDTH * scale, width), min(top + HEIGHT * scale, height)
{% endif %}


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
