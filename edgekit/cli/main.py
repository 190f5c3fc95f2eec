"""The entry point: finds the command, runs it, turns errors into one message and an exit code.

Commands are imported only when they are called, so that `edgekit --help` stays fast.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from edgekit import __version__
from edgekit.errors import EdgekitError, OutputError, unknown_name
from edgekit.interruption import exit_code, ignore_signals, stoppable

# Command -> (module, one line of help). The module holds a click command of the same name.
_COMMANDS = {
    "build": ("edgekit.cli.build", "Train or load, quantize, verify and bundle a model."),
    "train": ("edgekit.cli.train", "Train an architecture, on several devices too."),
    "models": ("edgekit.cli.models", "List the architectures with parameters and MACs."),
    "analyze": ("edgekit.cli.analyze", "Layers, cost and memory of a network, untrained."),
    "sensitivity": ("edgekit.cli.sensitivity", "Which layers can lose channels."),
    "scale": ("edgekit.cli.scale", "Scale EfficientNet by a compound coefficient."),
    "boards": ("edgekit.cli.boards", "List the boards edgekit knows."),
    "emulate": ("edgekit.cli.emulate", "Run a bundle as its target would, layer by layer."),
    "bench": ("edgekit.cli.bench", "Count what a model's C program takes of a board."),
    "predict": ("edgekit.cli.predict", "Classify pictures with a bundle."),
    "compare": ("edgekit.cli.compare", "Builds side by side: accuracy, size, cost, repairs."),
    "compare-kernels": ("edgekit.cli.compare_kernels", "One model under every host engine."),
    "plan": ("edgekit.cli.plan", "Show the RAM a model needs in TFLite Micro."),
    "show": ("edgekit.cli.show", "Show the report of a bundle again."),
}

_EPILOG = """\b
Examples:
  edgekit build mobilenet_v1 --alpha 0.25 --rho 0.571 --target coral
  edgekit build mobilenet_v1 --alpha 0.25 --resolution 96 --target tflm --data photos/
  edgekit models --alpha 0.5

\b
Exit codes: 0 done, 1 internal, 2 usage, 3 bad input file, 4 unsupported model, 5 does not fit
the board, 6 accuracy gate, 7 missing tool, 8 cannot write, 9 verification failed, 130 Ctrl-C,
143 SIGTERM.
"""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)  # on standard output, or among temporary files


class _LazyGroup(click.Group):
    """A group that knows its commands' names and help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            raise unknown_name("command", name, _COMMANDS)
        command: click.Command = getattr(import_module(_COMMANDS[name][0]), name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(
    cls=_LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="edgekit")
def cli() -> None:
    """From a CNN architecture to verified int8 firmware for small devices."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Args:
        argv: the arguments without the program's name; the process's own if None.
    """
    sys.exit(_run(argv))


def _run(argv: Sequence[str] | None) -> int:
    try:
        _call(argv)
    except EdgekitError as error:
        click.echo(f"edgekit: error: {error}", err=True)
        if error.hint:
            click.echo(f"  {error.hint}", err=True)
        return error.exit_code
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        click.echo(f"edgekit: error: Writing failed: {error.strerror}.", err=True)
        click.echo("  Make room where the output goes, and where temporary files do.", err=True)
        return OutputError.exit_code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as stop:
        click.echo("edgekit: interrupted; nothing half-written was left.", err=True)
        return exit_code(stop)
    return 0


def _call(argv: Sequence[str] | None) -> None:
    """Run the command. After it nothing is left to stop: signals would only make tracebacks."""
    try:
        with stoppable():
            cli.main(args=list(argv) if argv is not None else None, standalone_mode=False)
    finally:
        ignore_signals()
