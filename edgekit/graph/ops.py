"""The operations a graph is made of: one frozen dataclass an op, named as TFLite names it.

A dataclass holds the static parameters of the op's builtin options in the TFLite schema; what it
reads and writes stands in its docstring (shapes NHWC). Quantized multipliers are not stored: they
follow from the tensors' scales, as in TFLite's Prepare. `reference` gives each op its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Padding(Enum):
    """TFLite's two paddings; SAME puts the odd row or column at the end."""

    SAME = "SAME"
    VALID = "VALID"


class Activation(Enum):
    """The activation fused into an op's output."""

    NONE = "NONE"
    RELU = "RELU"
    RELU_N1_TO_1 = "RELU_N1_TO_1"
    RELU6 = "RELU6"


@dataclass(frozen=True)
class Op:
    """Base of all ops."""

    @property
    def tflite_name(self) -> str:
        """The op's name in TFLite's BuiltinOperator enum."""
        return TFLITE_NAMES[type(self)]


@dataclass(frozen=True)
class Conv2D(Op):
    """(N,H,W,C), weights (O,kH,kW,C/groups), [bias (O)] -> (N,H',W',O). Strides (h, w).

    Groups follow from the shapes: C divided by the weights' last dimension.
    """

    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: Padding = Padding.SAME
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class DepthwiseConv2D(Op):
    """(N,H,W,C), weights (1,kH,kW,C*multiplier), [bias] -> (N,H',W',C*multiplier)."""

    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: Padding = Padding.SAME
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class FullyConnected(Op):
    """(..., I) read as (batch, I), weights (O,I), [bias (O)] -> (batch, O).

    With keep_dims the leading dimensions of the input are kept.
    """

    activation: Activation = Activation.NONE
    keep_dims: bool = False


@dataclass(frozen=True)
class _Pool(Op):
    filter: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: Padding = Padding.VALID
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class AveragePool2D(_Pool):
    """(N,H,W,C) -> (N,H',W',C); padded positions are not counted."""


@dataclass(frozen=True)
class MaxPool2D(_Pool):
    """(N,H,W,C) -> (N,H',W',C)."""


@dataclass(frozen=True)
class Mean(Op):
    """x, axes (int32 constant) -> mean over those axes."""

    keep_dims: bool = False


@dataclass(frozen=True)
class _Binary(Op):
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class Add(_Binary):
    """a, b -> a + b, broadcast; either may be a constant."""


@dataclass(frozen=True)
class Sub(_Binary):
    """a, b -> a - b, broadcast."""


@dataclass(frozen=True)
class Mul(_Binary):
    """a, b -> a * b, broadcast."""


@dataclass(frozen=True)
class Concatenation(Op):
    """Any number of tensors joined along `axis`."""

    axis: int = -1
    activation: Activation = Activation.NONE


@dataclass(frozen=True)
class Pad(Op):
    """x, paddings (int32 constant, (rank, 2)) -> x padded with real 0 (the zero point)."""


@dataclass(frozen=True)
class PadV2(Op):
    """x, paddings, constant (1 element, x's quantization) -> x padded with the constant."""


@dataclass(frozen=True)
class Softmax(Op):
    """Softmax over the last axis."""

    beta: float = 1.0


@dataclass(frozen=True)
class Logistic(Op):
    """x -> 1 / (1 + exp(-x)); int8 output scale 1/256, zero point -128."""


@dataclass(frozen=True)
class HardSwish(Op):
    """x -> x * relu6(x + 3) / 6."""


@dataclass(frozen=True)
class Relu(Op):
    """x -> max(x, 0)."""


@dataclass(frozen=True)
class Relu6(Op):
    """x -> min(max(x, 0), 6)."""


@dataclass(frozen=True)
class Reshape(Op):
    """x, [shape (int32 constant)] -> the same elements; the output tensor holds the shape."""


@dataclass(frozen=True)
class Squeeze(Op):
    """x -> without the size-1 dimensions `axes` (all of them if empty)."""

    axes: tuple[int, ...] = ()


@dataclass(frozen=True)
class ExpandDims(Op):
    """x, axis (int32 constant, 1 element) -> one more dimension of size 1."""


@dataclass(frozen=True)
class Transpose(Op):
    """x, permutation (int32 constant) -> x with its dimensions in that order."""


@dataclass(frozen=True)
class Split(Op):
    """axis (int32 constant, 1 element), x -> `splits` equal parts along that axis."""

    splits: int


@dataclass(frozen=True)
class Quantize(Op):
    """float or int8/uint8/int16 -> integer with the output's quantization."""


@dataclass(frozen=True)
class Dequantize(Op):
    """integer -> float32."""


@dataclass(frozen=True)
class Opaque(Op):
    """An op edgekit can read and judge (preflight) but not compute.

    Only the TFLite reader makes these, and only when asked to; every consumer that must compute
    refuses them by name.
    """

    builtin_name: str
    builtin_code: int

    @property
    def tflite_name(self) -> str:
        """The name from the file."""
        return self.builtin_name


TFLITE_NAMES: dict[type[Op], str] = {
    Conv2D: "CONV_2D",
    DepthwiseConv2D: "DEPTHWISE_CONV_2D",
    FullyConnected: "FULLY_CONNECTED",
    AveragePool2D: "AVERAGE_POOL_2D",
    MaxPool2D: "MAX_POOL_2D",
    Mean: "MEAN",
    Add: "ADD",
    Sub: "SUB",
    Mul: "MUL",
    Concatenation: "CONCATENATION",
    Pad: "PAD",
    PadV2: "PADV2",
    Softmax: "SOFTMAX",
    Logistic: "LOGISTIC",
    HardSwish: "HARD_SWISH",
    Relu: "RELU",
    Relu6: "RELU6",
    Reshape: "RESHAPE",
    Squeeze: "SQUEEZE",
    ExpandDims: "EXPAND_DIMS",
    Transpose: "TRANSPOSE",
    Split: "SPLIT",
    Quantize: "QUANTIZE",
    Dequantize: "DEQUANTIZE",
}
