"""ONNX ops with a sliding window: convolutions and pools, 1-D and 2-D.

Every padded op becomes a Pad and an unpadded op; `graph.passes` then removes the Pads that
TFLite's SAME says as well. Pads hold no more than what the windows read. Source: the ONNX operator
specifications of Conv, AveragePool and MaxPool.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.convert.onnx_call import Call
from edgekit.convert.onnx_layout import View
from edgekit.errors import InputError, UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ops import Padding
from edgekit.graph.passes.pads import same_padding

_LARGEST = 1 << 20


@dataclass(frozen=True)
class _Window:
    """One spatial axis: `before` and `after` are the padding the windows read."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    count: int

    def valid_counts(self, padded: tuple[int, int]) -> npt.NDArray[np.int64]:
        """For each window how many of its positions lie inside the input padded this much."""
        starts = np.arange(self.count) * self.stride - self.before
        low = np.maximum(starts, -padded[0])
        high = np.minimum(starts + self.kernel, self.size + padded[1])
        return high - low


def conv(call: Call) -> list[View]:
    """Conv, depthwise where each input channel has its own filters (any multiplier).

    Other groups stay a grouped Conv2D, which TFLite and TFLM compute.
    """
    builder = call.builder
    weights = call.constant(1, "weights").astype(np.float32)
    source = builder.nhwc(call.view(0))
    groups = int(call.attribute("group", 1))
    channels = source.shape[3]
    if weights.ndim != len(source.axes):
        raise InputError(f"its weights {list(weights.shape)} do not fit its input")
    if weights.ndim == 3:
        weights = weights[:, :, None, :]
    if groups < 1 or weights.shape[1] * groups != channels or weights.shape[0] % groups:
        raise InputError(
            f"its weights {list(weights.shape)} in {groups} groups do not fit {channels} channels"
        )
    windows = _windows(call, source, weights.shape[2:])
    stride = (windows[0].stride, windows[1].stride)
    dilation = (windows[0].dilation, windows[1].dilation)
    depthwise = groups > 1 and groups == channels
    kind = ops.DepthwiseConv2D if depthwise else ops.Conv2D
    layout = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
    inputs = [_padded(call, source.tensor, windows)]
    inputs.append(builder.add_constant(call.node.inputs[1], weights.transpose(layout)))
    if call.has(2):
        inputs.append(builder.add_constant(call.node.inputs[2], call.constant(2, "bias")))
    made = builder.emit(kind(stride, dilation, Padding.VALID), inputs, call.output)
    return [source.of(made.tensor, made.shape)]


def max_pool(call: Call) -> list[View]:
    """MaxPool. Padding is the lowest float, which a quantized graph clamps to its lowest value."""
    _refuse_second_output(call)
    source = call.builder.nhwc(call.view(0))
    windows = _windows(call, source, _kernel(call, source))
    lowest = float(np.finfo(np.float32).min)
    tensor = _padded(call, source.tensor, windows, lowest)
    return [_pool(call, ops.MaxPool2D, source, tensor, windows, Padding.VALID)]


def average_pool(call: Call) -> list[View]:
    """AveragePool, exact for every padding.

    TFLite's divisor counts the positions inside the input. Where ONNX counts padded ones too, the
    input is padded first; where the count then differs between windows, a constant corrects it.
    """
    source = call.builder.nhwc(call.view(0))
    windows = _windows(call, source, _kernel(call, source))
    declared = _declared_pads(call, windows) if call.flag("count_include_pad") else [(0, 0)] * 2
    counts = [w.valid_counts(p) for w, p in zip(windows, declared, strict=True)]
    inside = [window.valid_counts((0, 0)) for window in windows]
    if all(map(np.array_equal, counts, inside)) and all(map(_is_same, windows)):
        return [_pool(call, ops.AveragePool2D, source, source.tensor, windows, Padding.SAME)]
    tensor = _padded(call, source.tensor, windows)
    pooled = _pool(call, ops.AveragePool2D, source, tensor, windows, Padding.VALID)
    if all((c == window.kernel).all() for c, window in zip(counts, windows, strict=True)):
        return [pooled]
    rows, columns = (w.kernel / np.maximum(c, 1) for c, w in zip(counts, windows, strict=True))
    ratio = (rows[:, None] * columns[None, :]).astype(np.float32)[None, :, :, None]
    constant = call.builder.add_constant(f"{call.output}/ratio", ratio)
    made = call.builder.emit(ops.Mul(), [pooled.tensor, constant], f"{call.output}/corrected")
    return [pooled.of(made.tensor, made.shape)]


def global_max_pool(call: Call) -> list[View]:
    """GlobalMaxPool."""
    source = call.builder.nhwc(call.view(0))
    size = (source.shape[1], source.shape[2])
    made = call.builder.emit(ops.MaxPool2D(size), [source.tensor], call.output)
    return [source.of(made.tensor, made.shape)]


def _pool(
    call: Call,
    kind: type[ops.AveragePool2D] | type[ops.MaxPool2D],
    source: View,
    tensor: str,
    windows: tuple[_Window, _Window],
    padding: Padding,
) -> View:
    if any(window.dilation != 1 for window in windows):
        raise UnsupportedError("is a dilated pool; TFLite has none")
    kernel = (windows[0].kernel, windows[1].kernel)
    op = kind(kernel, (windows[0].stride, windows[1].stride), padding)
    made = call.builder.emit(op, [tensor], call.output)
    return source.of(made.tensor, made.shape)


def _refuse_second_output(call: Call) -> None:
    if len(call.node.outputs) > 1 and call.node.outputs[1]:
        raise UnsupportedError(
            "gives indices as a second output, which TFLite's MAX_POOL_2D cannot"
        )


def _kernel(call: Call, source: View) -> tuple[int, ...]:
    kernel = tuple(int(size) for size in call.attribute("kernel_shape", ()))
    if len(kernel) != len(source.axes) - 2:
        raise InputError(f"its kernel_shape {list(kernel)} does not fit its input")
    return (1, *kernel) if len(kernel) == 1 else kernel


def _windows(call: Call, source: View, kernel: tuple[int, ...]) -> tuple[_Window, _Window]:
    strides = _pair(call, "strides", source)
    dilations = _pair(call, "dilations", source)
    rows, columns = (
        _window(call, i, source.shape[1 + i], kernel[i], strides[i], dilations[i]) for i in (0, 1)
    )
    return rows, columns


def _pair(call: Call, name: str, source: View) -> tuple[int, int]:
    values = tuple(int(value) for value in call.attribute(name, ()))
    values = values or (1,) * (len(source.axes) - 2)
    if len(values) != len(source.axes) - 2 or not all(0 < v < _LARGEST for v in values):
        raise InputError(f"its {name} {list(values)} do not fit its input")
    return (1, values[0]) if len(values) == 1 else (values[0], values[1])


def _window(call: Call, axis: int, size: int, kernel: int, stride: int, dilation: int) -> _Window:
    extent = (kernel - 1) * dilation + 1
    auto = call.attribute("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise InputError(f"its auto_pad '{auto}' is not known")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        count = -(-size // stride)
        less, more = same_padding(size, kernel, stride, dilation)
        before = more if auto == "SAME_LOWER" else less
    else:
        before, after = _pads(call)[axis] if auto == "NOTSET" else (0, 0)
        span = size + before + after - extent
        rounded = -(-span // stride) if call.flag("ceil_mode") else span // stride
        count = rounded + 1
        # A window that would start behind the input and its leading padding is left out.
        if call.flag("ceil_mode") and rounded * stride >= size + before:
            count -= 1
        if kernel < 1 or span < 0:
            raise InputError(f"its window {kernel} does not fit into {size}")
    needed = max(0, (count - 1) * stride + extent - size - before)
    return _Window(size, kernel, stride, dilation, before, needed, count)


def _pads(call: Call) -> list[tuple[int, int]]:
    """The declared (before, after) of rows and columns."""
    pads = [int(value) for value in call.attribute("pads", ())]
    if any(not 0 <= value < _LARGEST for value in pads):
        raise UnsupportedError(f"has pads {pads}; negative ones are not supported")
    if len(pads) == 2:
        return [(0, 0), (pads[0], pads[1])]
    if pads and len(pads) != 4:
        raise InputError(f"its pads {pads} do not fit its input")
    return [(pads[0], pads[2]), (pads[1], pads[3])] if pads else [(0, 0), (0, 0)]


def _declared_pads(call: Call, windows: tuple[_Window, _Window]) -> list[tuple[int, int]]:
    if call.attribute("auto_pad", "NOTSET") == "NOTSET":
        return _pads(call)
    return [(window.before, window.after) for window in windows]


def _is_same(window: _Window) -> bool:
    """Whether TFLite's SAME has these windows."""
    before, _ = same_padding(window.size, window.kernel, window.stride, window.dilation)
    return window.count == -(-window.size // window.stride) and window.before == before


def _padded(
    call: Call, tensor: str, windows: tuple[_Window, _Window], value: float | None = None
) -> str:
    """The NHWC tensor with the padding its windows read, of zeros or of `value`."""
    rows, columns = windows
    if not (rows.before or rows.after or columns.before or columns.after):
        return tensor
    pads = np.array(
        [[0, 0], [rows.before, rows.after], [columns.before, columns.after], [0, 0]], np.int32
    )
    name = f"{call.output}/pad"
    inputs = [tensor, call.builder.add_constant(f"{name}/paddings", pads)]
    if value is None:
        return call.builder.emit(ops.Pad(), inputs, name).tensor
    inputs.append(call.builder.add_constant(f"{name}/value", np.array([value], np.float32)))
    return call.builder.emit(ops.PadV2(), inputs, name).tensor
