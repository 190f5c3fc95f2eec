"""The table both TFLite directions read: op dataclass <-> builtin operator and its options.

One row an op: the operator's number, its options table and, field by field, where the value stands
in the flatbuffer (its slot) and in the op (its attribute). `encode` turns an op into the fields of
the schema's object API; `decode` turns the raw field values of a file into the op and refuses the
values that edgekit has no word for. Numbers and slots are those of TFLite's schema.fbs, version 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from edgekit.convert.tflite_flatbuffer import Table
from edgekit.errors import InputError, UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import DType, Tensor
from edgekit.graph.ops import Activation, Op, Padding

Value = int | float | bool | tuple[int, ...]

# Numbers of the schema's enums, in order.
PADDINGS = (Padding.SAME, Padding.VALID)
ACTIVATIONS = (Activation.NONE, Activation.RELU, Activation.RELU_N1_TO_1, Activation.RELU6)
TENSOR_TYPES = {
    0: DType.FLOAT32,
    2: DType.INT32,
    3: DType.UINT8,
    4: DType.INT64,
    6: DType.BOOL,
    7: DType.INT16,
    9: DType.INT8,
}


class Kind(Enum):
    """How a field is stored; the values are `struct` formats ("" is a vector of int32)."""

    PADDING = "<b"
    ACTIVATION = "<B"
    INT = "<i"
    FLOAT = "<f"
    BOOL = "<?"
    INTS = ""


@dataclass(frozen=True)
class Field:
    """One field of an options table.

    Attributes:
        name: in the schema's object API.
        slot: its position in the table.
        attribute: of the op; empty for a field that no op attribute holds.
        part: index into the attribute when that is a (h, w) pair.
        default: what an absent field means.
    """

    name: str
    slot: int
    kind: Kind
    attribute: str = ""
    part: int | None = None
    default: int | float = 0


@dataclass(frozen=True)
class Row:
    """One op: its BuiltinOperator number, the name and union number of its options table."""

    code: int
    table: str = ""
    union: int = 0
    fields: tuple[Field, ...] = ()


def _activation(slot: int) -> Field:
    return Field("fusedActivationFunction", slot, Kind.ACTIVATION, "activation")


def _pair(stem: str, slot: int, attribute: str, suffix: str = "", default: int = 0) -> list[Field]:
    """The schema stores pairs as width, height; ops hold (h, w)."""
    width, height = ("Width", "Height") if stem == "filter" else ("W", "H")
    return [
        Field(f"{stem}{width}{suffix}", slot, Kind.INT, attribute, 1, default),
        Field(f"{stem}{height}{suffix}", slot + 1, Kind.INT, attribute, 0, default),
    ]


_PADDING = Field("padding", 0, Kind.PADDING, "padding")
_STRIDE = _pair("stride", 1, "stride")
_CONV = (_PADDING, *_STRIDE, _activation(3), *_pair("dilation", 4, "dilation", "Factor", 1))
_DEPTHWISE = (
    _PADDING,
    *_STRIDE,
    Field("depthMultiplier", 3, Kind.INT),
    _activation(4),
    *_pair("dilation", 5, "dilation", "Factor", 1),
)
_POOL = (_PADDING, *_STRIDE, *_pair("filter", 3, "filter"), _activation(5))
_FULLY_CONNECTED = (
    _activation(0),
    Field("weightsFormat", 1, Kind.ACTIVATION),
    Field("keepNumDims", 2, Kind.BOOL, "keep_dims"),
)
_KEEP_DIMS = (Field("keepDims", 0, Kind.BOOL, "keep_dims"),)

ROWS: dict[type[Op], Row] = {
    ops.Add: Row(0, "AddOptions", 11, (_activation(0),)),
    ops.AveragePool2D: Row(1, "Pool2DOptions", 5, _POOL),
    ops.Concatenation: Row(
        2, "ConcatenationOptions", 10, (Field("axis", 0, Kind.INT, "axis"), _activation(1))
    ),
    ops.Conv2D: Row(3, "Conv2DOptions", 1, _CONV),
    ops.DepthwiseConv2D: Row(4, "DepthwiseConv2DOptions", 2, _DEPTHWISE),
    ops.Dequantize: Row(6, "DequantizeOptions", 38),
    ops.FullyConnected: Row(9, "FullyConnectedOptions", 8, _FULLY_CONNECTED),
    ops.Logistic: Row(14),
    ops.MaxPool2D: Row(17, "Pool2DOptions", 5, _POOL),
    ops.Mul: Row(18, "MulOptions", 21, (_activation(0),)),
    ops.Relu: Row(19),
    ops.Relu6: Row(21),
    ops.Reshape: Row(22, "ReshapeOptions", 17, (Field("newShape", 0, Kind.INTS),)),
    ops.Softmax: Row(25, "SoftmaxOptions", 9, (Field("beta", 0, Kind.FLOAT, "beta"),)),
    ops.Pad: Row(34, "PadOptions", 22),
    ops.Transpose: Row(39, "TransposeOptions", 26),
    ops.Mean: Row(40, "ReducerOptions", 27, _KEEP_DIMS),
    ops.Sub: Row(41, "SubOptions", 28, (_activation(0),)),
    ops.Squeeze: Row(43, "SqueezeOptions", 30, (Field("squeezeDims", 0, Kind.INTS, "axes"),)),
    ops.Split: Row(49, "SplitOptions", 35, (Field("numSplits", 0, Kind.INT, "splits"),)),
    ops.PadV2: Row(60, "PadV2Options", 43),
    ops.ExpandDims: Row(70, "ExpandDimsOptions", 52),
    ops.Quantize: Row(114, "QuantizeOptions", 89),
    ops.HardSwish: Row(117, "HardSwishOptions", 91),
}

OPS_BY_CODE: dict[int, type[Op]] = {row.code: kind for kind, row in ROWS.items()}


def encode(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> dict[str, Any]:
    """The fields of the op's options table, by their object API names.

    Two fields repeat what the shapes say and are kept for old runtimes: a depthwise convolution's
    multiplier and a reshape's new shape.
    """
    fields = {}
    for field in ROWS[type(op)].fields:
        if field.attribute:
            fields[field.name] = _encoded(field, getattr(op, field.attribute))
    if isinstance(op, ops.DepthwiseConv2D):
        fields["depthMultiplier"] = inputs[1].shape[3] // inputs[0].shape[3]
    if isinstance(op, ops.Reshape):
        fields["newShape"] = list(outputs[0].shape)
    return fields


def _encoded(field: Field, value: Any) -> Any:
    if field.part is not None:
        return value[field.part]
    if field.kind is Kind.PADDING:
        return PADDINGS.index(value)
    if field.kind is Kind.ACTIVATION:
        return ACTIVATIONS.index(value)
    return list(value) if field.kind is Kind.INTS else value


def option_values(kind: type[Op], table: Table) -> dict[str, Value]:
    """The fields of the node's options table; defaults where there is no table."""
    row = ROWS[kind]
    union, options = table.scalar(3, "<B"), table.table(4)
    if options is not None and row.fields and union != row.union:
        raise InputError(f"its options are of kind {union}, not {row.union} ({row.table})")
    values: dict[str, Value] = {}
    for field in row.fields:
        if options is None:
            values[field.name] = () if field.kind is Kind.INTS else field.default
        elif field.kind is Kind.INTS:
            values[field.name] = tuple(int(v) for v in options.numbers(field.slot, "<i4"))
        else:
            values[field.name] = options.scalar(field.slot, field.kind.value, field.default)
    return values


def decode(kind: type[Op], values: Mapping[str, Value]) -> Op:
    """The op whose options table holds `values` (by object API name, absent ones defaulted).

    Raises:
        InputError: a value outside its enum.
        UnsupportedError: a fused TANH or SIGN_BIT, or shuffled fully connected weights.
    """
    arguments: dict[str, Any] = {}
    for field in ROWS[kind].fields:
        value = _decoded(field, values[field.name])
        if field.part is None:
            arguments[field.attribute] = value
        else:
            pair = arguments.setdefault(field.attribute, [0, 0])
            pair[field.part] = value
    arguments.pop("", None)
    if values.get("weightsFormat", 0) != 0:
        raise UnsupportedError("its weights are stored shuffled (weights_format is not DEFAULT)")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()})


def _decoded(field: Field, value: Any) -> Any:
    if field.kind is Kind.PADDING:
        if not 0 <= value < len(PADDINGS):
            raise InputError(f"its padding has the unknown number {value}")
        return PADDINGS[value]
    if field.kind is Kind.ACTIVATION and field.attribute:
        if value in (4, 5):
            raise UnsupportedError(f"it has a fused {('TANH', 'SIGN_BIT')[value - 4]}")
        if value >= len(ACTIVATIONS):
            raise InputError(f"its fused activation has the unknown number {value}")
        return ACTIVATIONS[value]
    return value
