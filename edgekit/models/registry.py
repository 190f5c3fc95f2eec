"""The architectures there are, and the step from a user's wish to a `ModelSpec` (no torch).

Enters: a name, multipliers, classes. Leaves: a `ModelSpec` that is known to work. Refuses unknown
names, and multipliers and resolutions out of range or too small, with a UsageError. A family is
found because its file lies in `families/`: a new architecture needs no line anywhere else.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from itertools import islice
from pkgutil import iter_modules
from typing import Any, get_args

from edgekit.errors import UsageError, unknown_name
from edgekit.models import families
from edgekit.models.cost import cost
from edgekit.models.layers import Layer, PaddingMode, Shape, walk
from edgekit.models.scaling import scaled
from edgekit.models.spec import INPUT_CHANNELS, Architecture, ModelSpec
from edgekit.models.state_names import translated

# The published resolutions 128, 160, 192 and 224 lie 32 apart: the product of the usual strides.
RESOLUTION_STEP = 32
MAX_RESOLUTION = 2048
MAX_MULTIPLIER = 10.0
MAX_CLASSES = 100_000
_USUAL_RHO = "0.571 (128 of 224 pixels) to 1"


@cache
def _architectures() -> dict[str, Architecture]:
    found = {}
    for module in iter_modules(families.__path__):
        for architecture in import_module(f"{families.__name__}.{module.name}").ARCHITECTURES:
            found[architecture.name] = architecture
    return found


def names() -> list[str]:
    """Names of all architectures, sorted."""
    return sorted(_architectures())


def get(name: str) -> Architecture:
    """The architecture of that name.

    Raises:
        UsageError: there is none; the hint names near ones.
    """
    if name not in _architectures():
        raise unknown_name("architecture", name, names())
    return _architectures()[name]


def resolve(
    arch: str,
    alpha: float = 1.0,
    rho: float = 1.0,
    resolution: int | None = None,
    classes: int = 1000,
    padding: PaddingMode = "same",
    phi: float | None = None,
) -> ModelSpec:
    """The model a user asked for.

    Args:
        arch: a name from `names()`.
        alpha: width multiplier, in (0, 10].
        rho: resolution multiplier, in (0, 10]; see `resolution_at`.
        resolution: height and width in pixels; overrides rho, which then follows from it.
        classes: outputs of the classifier, at least 2.
        padding: "same" (TFLite) or "torch" (torchvision's and timm's checkpoints).
        phi: compound coefficient, for an architecture that is scaled by one (see `scaling`).

    Raises:
        UsageError: a value is unknown, out of range, not finite, leaves a layer without channels,
            or makes a map smaller than the stride that is to halve it.
    """
    architecture = get(arch) if phi is None else scaled(get(arch), phi)
    if padding not in get_args(PaddingMode):
        raise unknown_name("padding", padding, get_args(PaddingMode))
    _check_multiplier("alpha", alpha, "0.25 to 1.4")
    _check_multiplier("rho", rho, _USUAL_RHO)
    _check_range("Number of classes", classes, 2, MAX_CLASSES)
    if resolution is None:
        resolution = resolution_at(architecture, rho)
    else:
        rho = round(resolution / architecture.resolution, 3)
    _check_range("Resolution", resolution, 1, MAX_RESOLUTION)
    tree = architecture.layers(alpha, classes, padding)
    _check_strides(arch, tree, resolution)
    return ModelSpec(
        arch=arch,
        family=architecture.family,
        alpha=float(alpha),
        rho=float(rho),
        resolution=resolution,
        classes=classes,
        padding=padding,
        mean=architecture.mean,
        std=architecture.std,
        phi=None if phi is None else float(phi),
        layers=tree,
    )


def resolution_at(architecture: Architecture, rho: float) -> int:
    """The resolution for a multiplier: rho x the base, to the nearest multiple of 32.

    On the base of 224, 0.571, 0.714, 0.857 and 1 give the published 128, 160, 192 and 224. rho = 1
    is the architecture's own resolution even where that is no multiple of 32; halves round up.

    Raises:
        UsageError: rho is not finite, out of (0, 10], or so small that nothing is left.
    """
    _check_multiplier("rho", rho, _USUAL_RHO)
    if rho == 1:
        return architecture.resolution
    wanted = rho * architecture.resolution
    steps = math.floor(wanted / RESOLUTION_STEP + 0.5)
    if steps < 1:
        raise UsageError(
            f"Resolution multiplier {rho:g} asks for {wanted:.1f} pixels: too small.",
            hint=f"rho chooses multiples of {RESOLUTION_STEP}; --resolution takes any other size.",
        )
    return steps * RESOLUTION_STEP


def catalogue(alpha: float = 1.0, rho: float = 1.0, classes: int = 1000) -> list[dict[str, Any]]:
    """{name, family, resolution, params, macs} of every architecture, in milliseconds.

    Raises:
        UsageError: as `resolve`.
    """
    rows = []
    for name in names():
        spec = resolve(name, alpha, rho, classes=classes)
        total = cost(spec)
        rows.append(
            {
                "name": name,
                "family": spec.family,
                "resolution": spec.resolution,
                "params": total.params,
                "macs": total.macs,
            }
        )
    return rows


def recognise(shapes: Mapping[str, Shape]) -> str | None:
    """Which published model a checkpoint holds, as "name with alpha 0.5"; None if none fits.

    Args:
        shapes: tensor shapes by the file's names, in any dialect that `state_names` knows. Only
            the body is compared: the classifier's size depends on the classes.
    """
    trained = sum(name.endswith((".weight", ".bias")) for name in shapes)
    for name in names():
        architecture = get(name)
        for alpha in architecture.alphas:
            tree = architecture.layers(alpha, 2, "torch")
            own = (parameter for parameter, _ in _parameters(tree, architecture.resolution))
            ours = translated(shapes, own)
            named = {ours[theirs]: shape for theirs, shape in shapes.items()}
            if _is_of(named, trained, _parameters(tree, architecture.resolution)):
                return f"{name} with alpha {alpha:g}"
    return None


def _is_of(
    shapes: Mapping[str, Shape], trained: int, parameters: Iterator[tuple[str, Shape]]
) -> bool:
    """Whether a checkpoint of so many trained tensors has these, the last two of any size.

    The number counts because deeper networks hold all that shallower ones hold.
    """
    pending = deque(islice(parameters, 2))
    count = len(pending)
    for parameter in parameters:  # mostly the first tells; the tree is walked no further then
        pending.append(parameter)
        name, expected = pending.popleft()
        if shapes.get(name) != expected:
            return False
        count += 1
    return count == trained and all(name in shapes for name, _ in pending)


def _parameters(tree: Layer, resolution: int) -> Iterator[tuple[str, Shape]]:
    """State-dict names and shapes of what is trained, in execution order."""
    for name, layer, shape in walk(tree, (INPUT_CHANNELS, resolution, resolution)):
        for suffix, expected in layer.parameters(shape).items():
            yield f"{name}.{suffix}", expected


def _check_multiplier(name: str, value: float, usual: str) -> None:
    if not math.isfinite(value) or not 0 < value <= MAX_MULTIPLIER:
        raise UsageError(
            f"The {name} multiplier is {value:g}; it lies above 0 and at most {MAX_MULTIPLIER:g}.",
            hint=f"Usual values are {usual}.",
        )


def _check_range(what: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise UsageError(f"{what} is {value}; it lies between {low} and {high:,}.")


def _check_strides(arch: str, tree: Layer, resolution: int) -> None:
    name = _first_misfit(tree, resolution)
    if name is None:
        return
    enough = next(n for n in range(resolution, MAX_RESOLUTION) if _first_misfit(tree, n) is None)
    raise UsageError(
        f"Resolution {resolution} is too small for {arch}: nothing is left to halve at '{name}'.",
        hint=f"The smallest that works is {enough}.",
    )


def _first_misfit(tree: Layer, resolution: int) -> str | None:
    layers = walk(tree, (INPUT_CHANNELS, resolution, resolution))
    return next((name for name, layer, shape in layers if not layer.fits(shape)), None)
