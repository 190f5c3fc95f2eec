"""Shape inference: what an op's inputs say about the shapes of its outputs.

An op and the tensors it reads enter; its output shapes leave. Inputs that do not fit the op or each
other are refused with the reason (which node it was, the caller knows). Layouts as in `ir`.
Source: the Prepare functions of TFLite's kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from edgekit.errors import InputError, UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import Tensor
from edgekit.graph.ops import Op, Padding

# How far a window may reach beyond an image: networks for large images run on small ones, where
# dilated windows see mostly padding; beyond this, nothing but padding costs memory and time.
_REACH_FACTOR, _REACH_SLACK = 4, 256
Shape = tuple[int, ...]
Inputs = Sequence[Tensor]


def infer(op: Op, inputs: Inputs) -> tuple[Shape, ...]:
    """The shapes of the op's outputs.

    Axes, permutations, paddings and the like are read from the constant inputs.

    Raises:
        InputError: the number of inputs, a shape or a parameter does not fit the op.
        UnsupportedError: an op whose output shape does not follow from its inputs: `Opaque`, and
            `Reshape` without its shape input.
    """
    if type(op) not in _RULES:
        raise UnsupportedError(f"the output shape of {op.tflite_name} is not known")
    least, most, rule = _RULES[type(op)]
    if not least <= len(inputs) <= most:
        count = f"{least}" if least == most else f"{least} to {most}"
        raise InputError(f"{op.tflite_name} reads {count} tensors, not {len(inputs)}")
    return rule(op, inputs)


def window_count(size: int, window: int, stride: int, dilation: int, padding: Padding) -> int:
    """How many positions a sliding window has along one dimension (0 if it does not fit).

    SAME: ceil(size / stride). VALID: ceil((size - extent + 1) / stride), where the extent of a
    dilated window is (window - 1) * dilation + 1.
    """
    if min(window, stride, dilation) < 1:
        raise InputError(f"window {window}, stride {stride} and dilation {dilation} must be >= 1")
    if padding is Padding.SAME:
        return -(-size // stride)
    extent = (window - 1) * dilation + 1
    return max(0, -(-(size - extent + 1) // stride))


def constant_ints(tensor: Tensor, what: str, at_most: int, rank: int = 1) -> list[int]:
    """The values of a constant integer tensor with a bounded number of elements.

    Args:
        tensor: flattened.
        what: what the values mean, for the message.
        at_most: more elements than this are refused.
        rank: more dimensions than this are refused.
    """
    data = tensor.data
    if data is None:
        raise UnsupportedError(f"its {what} '{tensor.name}' must be a constant")
    if data.dtype not in (np.int32, np.int64) or data.size > at_most or data.ndim > rank:
        raise InputError(f"its {what} '{tensor.name}' must be at most {at_most} integers")
    return [int(value) for value in data.reshape(-1)]


def normalized_axis(axis: int, rank: int) -> int:
    """The axis counted from the front; negative ones count from the back."""
    if not -rank <= axis < rank:
        raise InputError(f"axis {axis} does not exist in {rank} dimensions")
    return axis % rank


def _rank4(tensor: Tensor) -> Shape:
    if len(tensor.shape) != 4:
        raise InputError(f"'{tensor.name}' must have 4 dimensions, not {list(tensor.shape)}")
    return tensor.shape


def _slide(op: Any, height: int, width: int, window: Shape, dilation: Shape = (1, 1)) -> Shape:
    """(H', W') of a window that slides over (height, width)."""
    for size, taps, step in zip((height, width), window, dilation, strict=True):
        if (taps - 1) * step + 1 > _REACH_FACTOR * size + _REACH_SLACK:
            raise InputError(f"its window reaches {(taps - 1) * step + 1:,} pixels over {size}")
    h = window_count(height, window[0], op.stride[0], dilation[0], op.padding)
    w = window_count(width, window[1], op.stride[1], dilation[1], op.padding)
    if h < 1 or w < 1:
        raise InputError(f"its window {list(window)} does not fit into {height}x{width}")
    return h, w


def _check_bias(inputs: Inputs, channels: int) -> None:
    if len(inputs) == 3 and inputs[2].shape != (channels,):
        raise InputError(
            f"its bias '{inputs[2].name}' must have {channels} elements, "
            f"not {list(inputs[2].shape)}"
        )


def _conv(op: ops.Conv2D, inputs: Inputs) -> tuple[Shape, ...]:
    n, height, width, channels = _rank4(inputs[0])
    out, kernel_h, kernel_w, depth = _rank4(inputs[1])
    groups = channels // depth if depth else 0
    if groups * depth != channels or groups < 1 or out % groups:
        raise InputError(
            f"its weights '{inputs[1].name}' {list(inputs[1].shape)} do not fit "
            f"{channels} input channels"
        )
    _check_bias(inputs, out)
    return ((n, *_slide(op, height, width, (kernel_h, kernel_w), op.dilation), out),)


def _depthwise(op: ops.DepthwiseConv2D, inputs: Inputs) -> tuple[Shape, ...]:
    n, height, width, channels = _rank4(inputs[0])
    one, kernel_h, kernel_w, out = _rank4(inputs[1])
    if one != 1 or channels < 1 or out % channels or out < 1:
        raise InputError(
            f"its weights '{inputs[1].name}' {list(inputs[1].shape)} do not fit "
            f"{channels} input channels"
        )
    _check_bias(inputs, out)
    return ((n, *_slide(op, height, width, (kernel_h, kernel_w), op.dilation), out),)


def _fully_connected(op: ops.FullyConnected, inputs: Inputs) -> tuple[Shape, ...]:
    shape, weights = inputs[0].shape, inputs[1].shape
    fits = len(weights) == 2 and min(weights) > 0 and prod(shape) % weights[1] == 0
    if op.keep_dims:
        fits = fits and len(shape) > 0 and shape[-1] == weights[1]
    if not fits:
        raise InputError(
            f"its weights '{inputs[1].name}' {list(weights)} do not fit its input {list(shape)}"
        )
    _check_bias(inputs, weights[0])
    if op.keep_dims:
        return ((*shape[:-1], weights[0]),)
    return ((prod(shape) // weights[1], weights[0]),)


def _pool(op: ops.AveragePool2D | ops.MaxPool2D, inputs: Inputs) -> tuple[Shape, ...]:
    n, height, width, channels = _rank4(inputs[0])
    return ((n, *_slide(op, height, width, op.filter), channels),)


def _mean(op: ops.Mean, inputs: Inputs) -> tuple[Shape, ...]:
    shape = inputs[0].shape
    values = constant_ints(inputs[1], "axes", len(shape))
    axes = {normalized_axis(value, len(shape)) for value in values}
    if op.keep_dims:
        return (tuple(1 if i in axes else size for i, size in enumerate(shape)),)
    return (tuple(size for i, size in enumerate(shape) if i not in axes),)


def _broadcast(op: Op, inputs: Inputs) -> tuple[Shape, ...]:
    a, b = inputs[0].shape, inputs[1].shape
    rank = max(len(a), len(b))
    wide_a, wide_b = ((1,) * (rank - len(shape)) + shape for shape in (a, b))
    if any(x != y and x != 1 and y != 1 for x, y in zip(wide_a, wide_b, strict=True)):
        raise InputError(f"shapes {list(a)} and {list(b)} do not broadcast")
    return (tuple(y if x == 1 else x for x, y in zip(wide_a, wide_b, strict=True)),)


def _concatenation(op: ops.Concatenation, inputs: Inputs) -> tuple[Shape, ...]:
    first = inputs[0].shape
    axis = normalized_axis(op.axis, len(first))
    for tensor in inputs:
        rest = (*tensor.shape[:axis], *tensor.shape[axis + 1 :])
        if len(tensor.shape) != len(first) or rest != (*first[:axis], *first[axis + 1 :]):
            raise InputError(
                f"'{tensor.name}' {list(tensor.shape)} and {list(first)} do not join "
                f"along axis {axis}"
            )
    total = sum(tensor.shape[axis] for tensor in inputs)
    return ((*first[:axis], total, *first[axis + 1 :]),)


def _pad(op: Op, inputs: Inputs) -> tuple[Shape, ...]:
    shape, paddings = inputs[0].shape, inputs[1]
    values = constant_ints(paddings, "paddings", 2 * len(shape), rank=2)
    if paddings.shape != (len(shape), 2) or any(value < 0 for value in values):
        raise InputError(
            f"its paddings '{paddings.name}' must be {len(shape)} pairs of numbers >= 0"
        )
    if isinstance(op, ops.PadV2) and inputs[2].elements != 1:
        raise InputError(f"its padding value '{inputs[2].name}' must be one element")
    pairs = zip(shape, values[0::2], values[1::2], strict=True)
    return (tuple(size + before + after for size, before, after in pairs),)


def _same(op: Op, inputs: Inputs) -> tuple[Shape, ...]:
    return (inputs[0].shape,)


def _softmax(op: ops.Softmax, inputs: Inputs) -> tuple[Shape, ...]:
    if not inputs[0].shape:
        raise InputError("SOFTMAX needs at least 1 dimension")
    return (inputs[0].shape,)


def _reshape(op: ops.Reshape, inputs: Inputs) -> tuple[Shape, ...]:
    if len(inputs) == 1:
        raise UnsupportedError("the output shape of RESHAPE without a shape input is not known")
    count = prod(inputs[0].shape)
    target = constant_ints(inputs[1], "shape", 8)
    known = prod(size for size in target if size != -1)
    if target.count(-1) == 1 and known > 0:
        target[target.index(-1)] = count // known
    if prod(target) != count or any(size < 0 for size in target):
        raise InputError(f"{list(inputs[0].shape)} does not reshape to {target}")
    return (tuple(target),)


def _squeeze(op: ops.Squeeze, inputs: Inputs) -> tuple[Shape, ...]:
    shape = inputs[0].shape
    axes = {normalized_axis(axis, len(shape)) for axis in op.axes}
    if not op.axes:
        axes = {i for i, size in enumerate(shape) if size == 1}
    if any(shape[axis] != 1 for axis in axes):
        raise InputError(f"dimensions {sorted(axes)} of {list(shape)} are not all 1")
    return (tuple(size for i, size in enumerate(shape) if i not in axes),)


def _one_axis(tensor: Tensor, rank: int) -> int:
    values = constant_ints(tensor, "axis", 1)
    if len(values) != 1:
        raise InputError(f"its axis '{tensor.name}' is empty")
    return normalized_axis(values[0], rank)


def _expand_dims(op: ops.ExpandDims, inputs: Inputs) -> tuple[Shape, ...]:
    shape = inputs[0].shape
    axis = _one_axis(inputs[1], len(shape) + 1)
    return ((*shape[:axis], 1, *shape[axis:]),)


def _transpose(op: ops.Transpose, inputs: Inputs) -> tuple[Shape, ...]:
    shape = inputs[0].shape
    values = constant_ints(inputs[1], "permutation", len(shape))
    permutation = [normalized_axis(value, len(shape)) for value in values]
    if inputs[1].shape != (len(shape),) or sorted(permutation) != list(range(len(shape))):
        raise InputError(f"{values} is not a permutation of {len(shape)} dimensions")
    return (tuple(shape[axis] for axis in permutation),)


def _split(op: ops.Split, inputs: Inputs) -> tuple[Shape, ...]:
    shape = inputs[1].shape
    axis = _one_axis(inputs[0], len(shape))
    if op.splits < 1 or shape[axis] % op.splits:
        raise InputError(f"dimension {axis} of {list(shape)} does not split in {op.splits}")
    part = (*shape[:axis], shape[axis] // op.splits, *shape[axis + 1 :])
    return (part,) * op.splits


_ANY = 1 << 31
# Op -> fewest inputs, most inputs, rule.
_RULES: dict[type[Op], tuple[int, int, Callable[[Any, Inputs], tuple[Shape, ...]]]] = {
    ops.Conv2D: (2, 3, _conv),
    ops.DepthwiseConv2D: (2, 3, _depthwise),
    ops.FullyConnected: (2, 3, _fully_connected),
    ops.AveragePool2D: (1, 1, _pool),
    ops.MaxPool2D: (1, 1, _pool),
    ops.Mean: (2, 2, _mean),
    ops.Add: (2, 2, _broadcast),
    ops.Sub: (2, 2, _broadcast),
    ops.Mul: (2, 2, _broadcast),
    ops.Concatenation: (1, _ANY, _concatenation),
    ops.Pad: (2, 2, _pad),
    ops.PadV2: (3, 3, _pad),
    ops.Softmax: (1, 1, _softmax),
    ops.Logistic: (1, 1, _same),
    ops.HardSwish: (1, 1, _same),
    ops.Relu: (1, 1, _same),
    ops.Relu6: (1, 1, _same),
    ops.Reshape: (1, 2, _reshape),
    ops.Squeeze: (1, 1, _squeeze),
    ops.ExpandDims: (2, 2, _expand_dims),
    ops.Transpose: (2, 2, _transpose),
    ops.Split: (2, 2, _split),
    ops.Quantize: (1, 1, _same),
    ops.Dequantize: (1, 1, _same),
}
