"""ONNX file -> plain values: validated nodes, constants and static input shapes.

Serialized bytes or a path enter; an `OnnxModel` leaves, free of protobuf, with local functions
inlined and nodes that no output needs dropped. Refused, each with one sentence: files that do not
parse or break the ONNX rules (cycles, missing tensors), weights stored elsewhere and absent, opsets
outside the known ones, quantized (QDQ) models, inputs that have no fixed shape or are not float32.
Source: the ONNX IR specification (https://onnx.ai/onnx/repo-docs/IR.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from edgekit.errors import InputError, UnsupportedError, unknown_name

Values = npt.NDArray[np.generic]

OLDEST_OPSET = 7
_QUANTIZED_OPS = frozenset(
    {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}
    | {"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"}
)


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """One ONNX node.

    Attributes:
        name: its own, or the name of its first output.
        op_type: with the domain in front ("com.microsoft.Gelu") where it is not ONNX's own.
        inputs: tensor names; "" where an optional input is left out.
        attributes: plain Python values; tensors as arrays, subgraphs as protobuf.
        opset: of the node's domain.
    """

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """Nodes in execution order, the initializers, and the border with static shapes."""

    name: str
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Values]
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]


def load(
    source: bytes | Path,
    *,
    input_shape: Sequence[int] | None = None,
    outputs: Sequence[str] | None = None,
) -> OnnxModel:
    """Read and check an ONNX model.

    Args:
        source: the serialized model, or the path of a file (weights beside it are read too).
        input_shape: fixes the shape of the only input, in the model's own layout.
        outputs: the outputs to keep; all of them if None.

    Raises:
        InputError: the file is missing, corrupt, incomplete, or has no fixed input shape.
        UnsupportedError: quantized, of an unknown opset, or with inputs that are not float32.
        UsageError: `outputs` names an output the model does not have.
    """
    proto = _inlined(_parsed(source))
    opsets = _opsets(proto)
    _check(proto)
    constants = {_text(tensor.name): _array(tensor) for tensor in proto.graph.initializer}
    _refuse_sparse(proto)
    declared = [_text(value.name) for value in proto.graph.output]
    wanted = tuple(outputs or declared)
    for name in wanted:
        if name not in declared:
            raise unknown_name("output", name, declared)
    nodes = _needed([_node(node, opsets) for node in proto.graph.node], wanted)
    for node in nodes:
        if node.op_type in _QUANTIZED_OPS:
            raise UnsupportedError(
                f"Node '{node.name}' ({node.op_type}) belongs to an already quantized model.",
                hint="Give the float32 model: edgekit quantizes it itself.",
            )
        if any(isinstance(value, onnx.GraphProto) for value in node.attributes.values()):
            raise UnsupportedError(
                f"Node '{node.name}' ({node.op_type}): loops and branches are not supported.",
                hint="Recurrent networks become loops; edgekit converts feed-forward ones.",
            )
    used = {name for node in nodes for name in node.inputs} | set(wanted)
    inputs = [v for v in proto.graph.input if _text(v.name) not in constants and v.name in used]
    if not inputs or not nodes:
        raise InputError("The ONNX model computes nothing from an input.")
    if input_shape is not None and len(inputs) > 1:
        raise InputError(f"One input shape was given, but the model has {len(inputs)} inputs.")
    shapes = {value.name: _input_shape(value, input_shape) for value in inputs}
    kept = {name: array for name, array in constants.items() if name in used}
    return OnnxModel(_text(proto.graph.name) or "model", nodes, kept, shapes, wanted)


def self_contained(path: Path) -> bytes:
    """The model of a file, with the weights that are stored beside the file brought inside.

    Raises:
        InputError: as `load`.
        UnsupportedError: it would be larger than a protobuf can be (2 GiB).
    """
    from google.protobuf.message import EncodeError

    proto, content = _parsed(path), path.read_bytes()
    stored = onnx.load_model_from_string(content).graph.initializer
    if not any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in stored):
        return content
    try:
        return bytes(proto.SerializeToString())
    except (ValueError, EncodeError) as error:
        raise UnsupportedError("The ONNX model is larger than 2 GiB.") from error


def _parsed(source: bytes | Path) -> onnx.ModelProto:
    from google.protobuf.message import DecodeError

    try:
        if isinstance(source, bytes):
            proto = onnx.load_model_from_string(source)
        else:
            proto = onnx.load_model(source, format="protobuf")
    except (DecodeError, ValueError, RuntimeError) as error:
        raise InputError(f"This is not an ONNX model: {_first_line(error)}") from error
    except onnx.checker.ValidationError as error:
        raise InputError(
            f"The ONNX model's weights cannot be read: {_first_line(error)}"
        ) from error
    except OSError as error:
        missing = source if isinstance(source, Path) else error.filename
        raise InputError(
            f"Cannot read '{missing}': {error.strerror or error}.",
            hint="Weights stored beside an ONNX file must stand in the same folder.",
        ) from error
    if not proto.graph.node and not proto.graph.output:
        raise InputError("This is not an ONNX model: it holds no graph.")
    for tensor in proto.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise InputError(
                f"The weights '{tensor.name}' are stored outside the ONNX file.",
                hint="Give the path of the file instead of its bytes, or export them inside it.",
            )
    return proto


def _inlined(proto: onnx.ModelProto) -> onnx.ModelProto:
    if not proto.functions:
        return proto
    import onnx.inliner

    try:
        return onnx.inliner.inline_local_functions(proto)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"The model's functions are broken: {_first_line(error)}") from error


def _opsets(proto: onnx.ModelProto) -> dict[str, int]:
    opsets = {entry.domain or "ai.onnx": entry.version for entry in proto.opset_import}
    version = opsets.get("ai.onnx", 0)
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= version <= newest:
        raise UnsupportedError(
            f"The model uses ONNX opset {version}; edgekit reads {OLDEST_OPSET} to {newest}.",
            hint="Export it again with opset 17, or convert it with onnx.version_converter.",
        )
    return opsets


def _check(proto: onnx.ModelProto) -> None:
    """The ONNX rules, except that outputs need no declared shape: some exporters leave it out."""
    for value in proto.graph.output:
        is_other = value.type.WhichOneof("value") not in (None, "tensor_type")
        if not is_other and not value.type.tensor_type.HasField("shape"):
            value.type.tensor_type.shape.SetInParent()
    try:
        onnx.checker.check_model(proto)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise InputError(
            f"The ONNX model is not valid: {_first_line(error)}",
            hint="onnx.checker.check_model shows the details.",
        ) from error


def _refuse_sparse(proto: onnx.ModelProto) -> None:
    for tensor in proto.graph.sparse_initializer:
        raise UnsupportedError(f"The weights '{tensor.values.name}' are sparse; store them dense.")


def _array(tensor: onnx.TensorProto) -> Values:
    from onnx import numpy_helper

    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise InputError(
            f"The weights '{tensor.name}' are damaged: {_first_line(error)}"
        ) from error


def _node(proto: onnx.NodeProto, opsets: Mapping[str, int]) -> OnnxNode:
    domain = _text(proto.domain) or "ai.onnx"
    outputs = tuple(map(_text, proto.output))
    kind = _text(proto.op_type)
    return OnnxNode(
        _text(proto.name) or next(iter(outputs), kind),
        kind if domain == "ai.onnx" else f"{domain}.{kind}",
        tuple(map(_text, proto.input)),
        outputs,
        {_text(attribute.name): _attribute(attribute) for attribute in proto.attribute},
        opsets.get(domain, 0),
    )


def _text(value: str | bytes) -> str:
    """A name; protobuf hands out what is not UTF-8 as bytes."""
    if isinstance(value, bytes) or not value.isprintable():
        raise InputError(f"The ONNX model holds a name that is not text: {value!r}.")
    return value


def _attribute(attribute: onnx.AttributeProto) -> Any:
    try:
        value = onnx.helper.get_attribute_value(attribute)
    except ValueError as error:  # refers to a function's attribute, or has no known type
        raise InputError(
            f"The ONNX model's attribute '{attribute.name}' holds no value."
        ) from error
    if attribute.type == onnx.AttributeProto.TENSOR:
        return _array(value)
    if attribute.type == onnx.AttributeProto.STRING:
        return value.decode("utf-8", "replace")
    if attribute.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS):
        return tuple(value)
    return value


def _needed(nodes: Sequence[OnnxNode], outputs: Iterable[str]) -> tuple[OnnxNode, ...]:
    """The nodes some output depends on, in order."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))


def _input_shape(value: onnx.ValueInfoProto, given: Sequence[int] | None) -> tuple[int, ...]:
    """The static shape: `given`, else the declared one with a free batch dimension read as 1."""
    kind = value.type.tensor_type
    if kind.elem_type != onnx.TensorProto.FLOAT:
        types = onnx.TensorProto.DataType
        known = kind.elem_type in types.values()
        found = types.Name(kind.elem_type).lower() if known else f"of type {kind.elem_type}"
        raise UnsupportedError(
            f"The input '{value.name}' is {found}; edgekit reads float32 models."
        )
    if not kind.HasField("shape"):
        declared = [0] * len(given or ())
    else:
        declared = [max(0, int(dim.dim_value)) for dim in kind.shape.dim]
    if given is not None:
        fits = len(given) == len(declared) and all(
            size > 0 and known in (0, size) for size, known in zip(given, declared, strict=True)
        )
        if not fits:
            raise InputError(
                f"The input '{value.name}' has the shape {declared}, not {list(given)}."
            )
        declared = [int(size) for size in given]
    elif declared and declared[0] == 0:
        declared[0] = 1
    if not declared or 0 in declared:
        raise InputError(
            f"The input '{value.name}' has no fixed shape ({declared}; 0 = free).",
            hint="Export the model with a fixed size, or give the input shape.",
        )
    if declared[0] != 1:
        raise UnsupportedError(
            f"The input '{value.name}' has a batch of {declared[0]}; only 1 can be deployed.",
            hint="Export the model with a batch of 1 or a free batch dimension.",
        )
    return tuple(declared)


def _first_line(error: Exception) -> str:
    """Only what can be printed: the libraries quote names of the model as they are."""
    lines = str(error).strip().splitlines()
    text = "".join(c if c.isprintable() else "\ufffd" for c in next(iter(lines), ""))
    return text.rstrip(".") + "." if text else type(error).__name__
