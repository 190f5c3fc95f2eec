{% extends "python/run.py" %}
{% block imports %}
import subprocess
{% endblock %}
{% block arguments %}
    parser.add_argument("--cpu", action="store_true", help="do not use the Edge TPU")
    parser.add_argument("--probe", action="store_true", help=argparse.SUPPRESS)
{% endblock %}
{% block early %}
    if arguments.probe:
        edgetpu_interpreter().invoke()
        sys.exit()
{% endblock %}
{% block interpreter %}
EDGETPU_MODEL = HERE / {{ edgetpu_file | python }}
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
{% endblock %}
