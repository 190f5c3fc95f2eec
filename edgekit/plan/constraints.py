"""What the Edge TPU compiler maps: one small function a rule, its docstring is the rule.

A node of an integer graph enters; the rule it breaks leaves, if any. The docstrings are also the
message a user sees and the source of the table in docs/edgetpu.md, so the three cannot disagree.
Source: coral.ai/docs/edgetpu/models-intro (operations of runtime 14, compiler 16), the compiler's
own logs, and pairs of models before and after it. Of an op that edgekit only read (`Opaque`), name
and tensors are judged; its options are not known.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgekit.graph import ops
from edgekit.graph.ir import Array, DType, Graph, Node, Tensor
from edgekit.graph.ops import Activation

_EIGHT_BIT = (DType.INT8, DType.UINT8)
_MAX_SOFTMAX_ELEMENTS = 16_000
# Beyond this the compiler was seen to leave a resize on the CPU (33 -> 513), below it was not.
_MAX_RESIZE_FACTOR = 10


@dataclass(frozen=True)
class Use:
    """A node with the tensors it touches, as a rule looks at it."""

    node: Node
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @staticmethod
    def of(graph: Graph, node: Node) -> Use:
        """The node in its graph."""
        return Use(node, graph.inputs_of(node), graph.outputs_of(node))

    @property
    def op_name(self) -> str:
        """TFLite's name of the op."""
        return self.node.op.tflite_name

    @property
    def activations(self) -> list[Tensor]:
        """The tensors that are not constants, outputs included."""
        return [tensor for tensor in (*self.inputs, *self.outputs) if not tensor.is_constant]

    def constant_input(self, index: int) -> Array | None:
        """The value of an input; None if it is absent or an activation."""
        return self.inputs[index].data if index < len(self.inputs) else None


Rule = Callable[[Use], bool]


def is_known(use: Use) -> bool:
    """The compiler supports the operation."""
    return use.op_name in OP_RULES


def is_eight_bit(use: Use) -> bool:
    """All activations are quantized to int8 or uint8, one scale a tensor."""
    return all(
        tensor.dtype in _EIGHT_BIT
        and tensor.quantization is not None
        and not tensor.quantization.is_per_channel
        for tensor in use.activations
    )


def has_fixed_sizes(use: Use) -> bool:
    """Tensor sizes are constant, no dimension is 0."""
    return all(min(tensor.shape, default=1) > 0 for tensor in use.activations)


def has_three_dimensions(use: Use) -> bool:
    """Only the three innermost dimensions of a tensor are larger than 1 (so the batch is 1)."""
    return all(max(tensor.shape[:-3], default=1) == 1 for tensor in use.activations)


def has_constant_parameters(use: Use) -> bool:
    """Weights, biases, axes and sizes are constants."""
    return all(tensor.is_constant for tensor in use.inputs[1:])


def has_no_fused_activation(use: Use) -> bool:
    """No fused activation function."""
    return getattr(use.node.op, "activation", Activation.NONE) is Activation.NONE


def has_equal_dilation(use: Use) -> bool:
    """The same dilation in x and y."""
    vertical, horizontal = getattr(use.node.op, "dilation", (1, 1))
    return bool(vertical == horizontal)


def has_one_group(use: Use) -> bool:
    """One group: each filter reads all channels."""
    return use.inputs[0].shape[-1] == use.inputs[1].shape[-1]


def joins_constant_only_as_padding(use: Use) -> bool:
    """If an input is a constant, there are two inputs and the constant is all zero."""
    constants = [tensor for tensor in use.inputs if tensor.is_constant]
    if not constants:
        return True
    return len(use.inputs) == 2 and all(_is_all_zero(tensor) for tensor in constants)


def has_flat_output(use: Use) -> bool:
    """The output has one dimension (all others are 1)."""
    return all(max(tensor.shape[:-1], default=1) == 1 for tensor in use.outputs)


def has_one_weight_scale(use: Use) -> bool:
    """The weights have one scale; scales per channel came after the compiler's last release."""
    quantization = use.inputs[1].quantization
    return quantization is None or not quantization.is_per_channel


def keeps_batch(use: Use) -> bool:
    """The batch dimension is not reduced."""
    return 0 not in _axes(use)


def reduces_channels_by_fours(use: Use) -> bool:
    """If channels are reduced, their number is a multiple of 4."""
    shape = use.inputs[0].shape
    return len(shape) - 1 not in _axes(use) or shape[-1] % 4 == 0


def does_not_pad_batch(use: Use) -> bool:
    """The batch dimension is not padded."""
    paddings = use.constant_input(1)
    return paddings is None or not np.any(paddings[0])


def splits_other_than_batch(use: Use) -> bool:
    """The batch dimension is not split."""
    axis = use.constant_input(0)
    return axis is None or int(axis.flat[0]) % len(use.inputs[1].shape) != 0


def is_short_vector(use: Use) -> bool:
    """The input is one-dimensional, of at most 16,000 elements."""
    return has_flat_output(use) and use.inputs[0].elements <= _MAX_SOFTMAX_ELEMENTS


def resizes_moderately(use: Use) -> bool:
    """No side grows more than tenfold (an estimate: the limit depends on the sizes)."""
    if not use.inputs:  # nobody has verified an op that edgekit only read
        return False
    sides = zip(use.inputs[0].shape[1:3], use.outputs[0].shape[1:3], strict=False)
    return all(new <= _MAX_RESIZE_FACTOR * old for old, new in sides)


def has_one_slope_a_channel(use: Use) -> bool:
    """Only the innermost dimension of the slopes is larger than 1."""
    return all(max(tensor.shape[:-1], default=1) == 1 for tensor in use.inputs[1:])


def _axes(use: Use) -> set[int]:
    """The reduced axes, counted from the front."""
    axes = use.constant_input(1)
    rank = len(use.inputs[0].shape) if use.inputs else 0
    return {int(axis) % rank for axis in axes.flat} if axes is not None and rank else set()


def _is_all_zero(tensor: Tensor) -> bool:
    zero_point = tensor.quantization.zero_point if tensor.quantization else 0
    return tensor.data is not None and bool(np.all(tensor.data == zero_point))


GENERAL_RULES: tuple[Rule, ...] = (is_known, is_eight_bit, has_fixed_sizes, has_three_dimensions)

OP_RULES: Mapping[str, tuple[Rule, ...]] = {
    "ADD": (),
    "AVERAGE_POOL_2D": (has_no_fused_activation,),
    "CONCATENATION": (has_no_fused_activation, joins_constant_only_as_padding),
    "CONV_2D": (has_constant_parameters, has_equal_dilation, has_one_group),
    "DEPTHWISE_CONV_2D": (has_constant_parameters, has_equal_dilation),
    "EXPAND_DIMS": (has_constant_parameters,),
    "FULLY_CONNECTED": (has_constant_parameters, has_flat_output, has_one_weight_scale),
    "L2_NORMALIZATION": (),
    "LOGISTIC": (),
    "MAXIMUM": (),
    "MAX_POOL_2D": (has_no_fused_activation,),
    "MEAN": (has_constant_parameters, keeps_batch, reduces_channels_by_fours),
    "MINIMUM": (),
    "MUL": (),
    "PACK": (),
    "PAD": (has_constant_parameters, does_not_pad_batch),
    "PRELU": (has_constant_parameters, has_one_slope_a_channel),
    "QUANTIZE": (),
    "REDUCE_MAX": (has_constant_parameters, keeps_batch),
    "REDUCE_MIN": (has_constant_parameters, keeps_batch),
    "RELU": (),
    "RELU6": (),
    "RELU_N1_TO_1": (),
    "RESHAPE": (has_constant_parameters,),
    "RESIZE_BILINEAR": (has_constant_parameters, resizes_moderately),
    "RESIZE_NEAREST_NEIGHBOR": (has_constant_parameters, resizes_moderately),
    "RSQRT": (),
    "SLICE": (has_constant_parameters,),
    "SOFTMAX": (is_short_vector,),
    "SPACE_TO_DEPTH": (),
    "SPLIT": (splits_other_than_batch,),
    "SQUARED_DIFFERENCE": (),
    "SQUEEZE": (),
    "STRIDED_SLICE": (has_constant_parameters,),
    "SUB": (),
    "SUM": (has_constant_parameters, keeps_batch),
    "TANH": (),
    "TILE": (has_constant_parameters,),
    "TRANSPOSE": (has_constant_parameters,),
    "TRANSPOSE_CONV": (),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (),
}


def broken_rule(graph: Graph, node: Node) -> Rule | None:
    """The first rule that keeps a node off the Edge TPU; None if it can be mapped."""
    use = Use.of(graph, node)
    for rule in GENERAL_RULES:
        if not rule(use):
            return rule
    return next((rule for rule in OP_RULES[use.op_name] if not rule(use)), None)


def text(rule: Rule) -> str:
    """The rule as a sentence: its docstring on one line."""
    return " ".join((inspect.getdoc(rule) or "").split())


def support_table() -> str:
    """The rules as Markdown: those of every op, then one row an op."""
    lines = ["Every operation:", ""]
    lines += [f"- {text(rule)}" for rule in GENERAL_RULES]
    lines += ["", "| operation | made by edgekit | rules |", "|---|---|---|"]
    ours = set(ops.TFLITE_NAMES.values())
    for name, rules in OP_RULES.items():
        made = "yes" if name in ours else ""
        lines.append(f"| {name} | {made} | {' '.join(text(rule) for rule in rules)} |")
    missing = ", ".join(sorted(ours - set(OP_RULES)))
    lines += ["", f"Not on the list, so on the CPU, with all that follows: {missing}."]
    return "\n".join(lines) + "\n"
