"""ONNX ops that move elements, join or reduce them.

Transposes and reshapes are changes of the view; only what an axis says (concatenation, split, pad,
mean, softmax) becomes a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from edgekit.convert.onnx_call import Call
from edgekit.convert.onnx_layout import Shape, View
from edgekit.errors import InputError, UnsupportedError
from edgekit.graph import ops

# A slice becomes one output of a split into equal parts; a network has few branches.
_MOST_PARTS = 256


def transpose(call: Call) -> list[View]:
    """Transpose."""
    source = call.view(0)
    rank = len(source.axes)
    permutation = tuple(call.attribute("perm", tuple(reversed(range(rank)))))
    if sorted(permutation) != list(range(rank)):
        raise InputError(f"its permutation {list(permutation)} does not fit {rank} dimensions")
    return [source.transposed(permutation)]


def reshape(call: Call) -> list[View]:
    """Reshape; 0 copies a dimension, -1 is what remains."""
    source = call.view(0)
    sizes = list(call.ints("shape", 1, ()))
    if not call.flag("allowzero"):
        if any(size == 0 and i >= len(source.axes) for i, size in enumerate(sizes)):
            raise InputError(f"its shape {sizes} copies a dimension that is not there")
        sizes = [source.dims[i] if size == 0 else size for i, size in enumerate(sizes)]
    return [_reshaped(call, source, sizes)]


def flatten(call: Call) -> list[View]:
    """Flatten to two dimensions."""
    source = call.view(0)
    rank = len(source.axes)
    axis = int(call.attribute("axis", 1))
    axis = rank if axis == rank else call.axis(axis, rank)
    return [_reshaped(call, source, (prod(source.dims[:axis]), prod(source.dims[axis:])))]


def squeeze(call: Call) -> list[View]:
    """Squeeze."""
    source = call.view(0)
    rank, dims = len(source.axes), source.dims
    units = [i for i, size in enumerate(dims) if size == 1]
    axes = [call.axis(axis, rank) for axis in call.ints("axes", 1, ())] or units
    if any(dims[axis] != 1 for axis in axes):
        raise InputError(f"its dimensions {axes} of {list(dims)} are not all 1")
    return [source.without(axes)]


def unsqueeze(call: Call) -> list[View]:
    """Unsqueeze."""
    source = call.view(0)
    given = call.ints("axes", 1, ())
    rank = len(source.axes) + len(given)
    groups = list(source.axes)
    for axis in sorted(call.axis(axis, rank) for axis in given):
        groups.insert(axis, ())
    return [replace(source, axes=tuple(groups))]


def concat(call: Call) -> list[View]:
    """Concat of computed tensors."""
    views = [call.view(i) for i in range(len(call.node.inputs))]
    rank = len(views[0].axes)
    axis = call.axis(int(call.attribute("axis", 1)), rank)
    if any(len(view.axes) != rank for view in views):
        raise InputError("its inputs differ in rank")
    if len(views) == 1:
        return views
    first, graph_axis = call.builder.with_axis(views[0], axis)
    same = all(view.axes == first.axes and view.graph_axis(axis) == graph_axis for view in views)
    if not same:
        views = [call.builder.standard(view) for view in views]
        first, graph_axis = views[0], views[0].axes[axis][0]
    op = ops.Concatenation(graph_axis)
    made = call.builder.emit(op, [view.tensor for view in views], call.output)
    return [first.of(made.tensor, made.shape)]


def split(call: Call) -> list[View]:
    """Split into equal parts."""
    source, axis = call.builder.with_axis(call.view(0), _axis(call, call.view(0)))
    parts = len(call.node.outputs)
    sizes = call.ints("split", 1, ())
    if len(set(sizes)) > 1 or source.shape[axis] % parts:
        raise UnsupportedError(
            f"splits {source.shape[axis]} unevenly; only equal parts are supported"
        )
    return _parts(
        call, source, axis, [name or f"{call.output}/unused" for name in call.node.outputs]
    )


def slice_(call: Call) -> list[View]:
    """Slice of whole parts: one output of a SPLIT. Slices of the same input share it."""
    source = call.view(0)
    starts, ends = call.ints("starts", 1, ()), call.ints("ends", 2, ())
    axes = call.ints("axes", 3, range(len(starts)))
    steps = call.ints("steps", 4, [1] * len(starts))
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise InputError("its starts, ends, axes and steps do not fit each other")
    view = source
    for start, end, given, step in zip(starts, ends, axes, steps, strict=True):
        axis = call.axis(given, len(source.axes))
        low, high, _ = slice(start, end, step).indices(view.dims[axis])
        size = view.dims[axis]
        if (low, high, step) == (0, size, 1):
            continue
        length = high - low
        if step != 1 or length < 1 or size % length or low % length:
            raise UnsupportedError(
                f"takes [{low}:{high}:{step}] of {size}; only equal parts of a tensor are supported"
            )
        if size // length > _MOST_PARTS:
            raise UnsupportedError(f"takes one of {size // length:,} parts; edgekit writes all")
        view, graph_axis = call.builder.with_axis(view, axis)
        names = [f"{call.output}/part{i}" for i in range(size // length)]
        view = _parts(call, view, graph_axis, names)[low // length]
    return [view]


def pad(call: Call) -> list[View]:
    """Pad with a constant."""
    source = call.view(0)
    rank = len(source.axes)
    mode = call.attribute("mode", "constant")
    pads = call.ints("pads", 1, ())
    if mode != "constant" or any(value < 0 for value in pads):
        raise UnsupportedError(
            f"pads by '{mode}' {list(pads)}; only adding a constant is supported"
        )
    given = call.ints("axes", 3, range(rank))
    axes = [call.axis(axis, rank) for axis in given]
    if len(pads) != 2 * len(axes):
        raise InputError(f"its pads {list(pads)} do not fit its input")
    pairs = dict(zip(axes, zip(pads[: len(axes)], pads[len(axes) :], strict=True), strict=True))
    pairs = {axis: pair for axis, pair in pairs.items() if any(pair)}
    if not pairs:
        return [source]
    if any(source.graph_axis(axis) is None for axis in pairs):
        source = call.builder.standard(source)
    paddings = np.zeros((len(source.shape), 2), np.int32)
    for axis, pair in pairs.items():
        graph_axis = source.graph_axis(axis)
        paddings[graph_axis] = np.minimum(pair, np.iinfo(np.int32).max)
    value = call.number("value", 2, 0.0)
    builder = call.builder
    inputs = [source.tensor, builder.add_constant(f"{call.output}/paddings", paddings)]
    if value != 0:
        inputs.append(builder.add_constant(f"{call.output}/value", np.array([value], np.float32)))
    made = builder.emit(ops.PadV2() if value != 0 else ops.Pad(), inputs, call.output)
    return [source.of(made.tensor, made.shape)]


def global_average_pool(call: Call) -> list[View]:
    """GlobalAveragePool: the mean over the spatial axes."""
    source = call.view(0)
    return [_mean(call, source, range(2, len(source.axes)))]


def reduce_mean(call: Call) -> list[View]:
    """ReduceMean."""
    source = call.view(0)
    rank = len(source.axes)
    given = call.ints("axes", 1, ())
    if not given and call.flag("noop_with_empty_axes"):
        return [source]
    axes = [call.axis(axis, rank) for axis in given] or list(range(rank))
    reduced = _mean(call, source, axes)
    return [reduced if call.flag("keepdims", True) else reduced.without(axes)]


def reduce_max(call: Call) -> list[View]:
    """ReduceMax over the pixels of a picture: MAX_POOL_2D."""
    source = call.view(0)
    rank = len(source.axes)
    given = [call.axis(axis, rank) for axis in call.ints("axes", 1, ())]
    axes = given or [] if call.flag("noop_with_empty_axes") else given or list(range(rank))
    found = {a for axis in axes for a in source.factors(axis)}
    if not found:
        reduced = source
    elif len(source.shape) == 4 and found <= {1, 2}:
        window = tuple(source.shape[axis] if axis in found else 1 for axis in (1, 2))
        made = call.builder.emit(
            ops.MaxPool2D((window[0], window[1])), [source.tensor], call.output
        )
        reduced = source.of(made.tensor, made.shape)
    else:
        raise UnsupportedError(
            f"takes the maximum over axes {axes} of {list(source.dims)}; only over the pixels of a "
            "picture is supported"
        )
    return [reduced if call.flag("keepdims", True) else reduced.without(axes)]


def gather(call: Call) -> list[View]:
    """Gather of everything in order: a reshape. torch's exporter writes as_strided so."""
    source = call.view(0)
    axis = _axis(call, source)
    indices = call.constant(1, "indices").astype(np.int64)
    size = source.dims[axis]
    positions = np.where(indices < 0, indices + size, indices).reshape(-1)
    if not np.array_equal(positions, np.arange(size)):
        raise UnsupportedError("picks single elements; only all of them in order are supported")
    dims = source.dims
    return [_reshaped(call, source, (*dims[:axis], *indices.shape, *dims[axis + 1 :]))]


def softmax(call: Call) -> list[View]:
    """Softmax; before opset 13 over all axes from the given one on."""
    source = call.view(0)
    rank = len(source.axes)
    flat = call.node.opset < 13
    axis = call.axis(int(call.attribute("axis", 1 if flat else -1)), rank)
    axes = range(axis, rank) if flat else (axis,)
    inside = [a for i in axes for a in source.factors(i)]
    if inside == [len(source.shape) - 1]:
        placed = source
    elif flat:
        size = prod(source.dims[axis:])
        placed = call.builder.placed(source, source.reading(), (prod(source.dims[:axis]), size))
    else:
        placed = call.builder.ordered(source, [*(i for i in range(rank) if i != axis), axis])
    made = call.builder.emit(ops.Softmax(), [placed.tensor], call.output)
    return [_reshaped(call, placed.of(made.tensor, made.shape), source.dims)]


def _axis(call: Call, view: View) -> int:
    return call.axis(int(call.attribute("axis", 0)), len(view.axes))


def _reshaped(call: Call, source: View, sizes: Sequence[int]) -> View:
    total, sizes = prod(source.dims), list(sizes)
    if sizes.count(-1) == 1:
        known = prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = total // known if known > 0 else 0
    target: Shape = tuple(sizes)
    if min(target, default=1) < 1 or prod(target) != total:
        raise InputError(f"does not reshape {list(source.dims)} to {sizes}")
    return source if target == source.dims else call.builder.reshaped(source, target)


def _parts(call: Call, source: View, graph_axis: int, names: Sequence[str]) -> list[View]:
    axis = call.builder.add_constant(f"{call.output}/axis", np.array([graph_axis], np.int32))
    made = call.builder.emit_all(ops.Split(len(names)), [axis, source.tensor], names)
    return [source.of(part.tensor, part.shape) for part in made]


def _mean(call: Call, source: View, axes: Sequence[int]) -> View:
    found = sorted({a for axis in axes for a in source.factors(axis)})
    if not found:
        return source
    constant = call.builder.add_constant(f"{call.output}/axes", np.array(found, np.int32))
    made = call.builder.emit(ops.Mean(keep_dims=True), [source.tensor, constant], call.output)
    return source.of(made.tensor, made.shape)
