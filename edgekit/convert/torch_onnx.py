"""A trained `nn.Module` -> a simplified ONNX model, and the proof that both compute the same.

Enters: a module that takes float32 images (N, C, H, W) and returns logits (N, classes). Leaves: the
bytes of an ONNX model (opset 17) with BatchNorm and padding folded into the convolutions, a free
batch size "N", input "image", output "logits", and the module's own names on nodes and tensors. The
same module gives the same bytes; nothing is written to disk. Refuses weights that are not finite.

torch's TorchScript exporter is used on purpose: it takes a third of a second where its successor
takes six, and leaves the same nodes. What it says about its age is silenced.
"""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import onnxsim
import torch

from edgekit.errors import InputError, UsageError, VerificationError

OPSET = 17
INPUT, OUTPUT, BATCH = "image", "logits", "N"

# What an operator's inputs after the first are called in the names of its constants.
_ROLES = {
    "Conv": ("weight", "bias"),
    "Gemm": ("weight", "bias"),
    "Clip": ("min", "max"),
}


def export(
    module: torch.nn.Module, input_shape: tuple[int, int, int, int], name: str = "model"
) -> bytes:
    """The module in evaluation mode as a simplified ONNX model.

    Args:
        module: on the CPU; its training mode is left as it was.
        input_shape: (1, channels, height, width).
        name: of the graph.

    Raises:
        InputError: a parameter or running statistic is NaN or infinite.
        UsageError: the input shape is not four positive numbers with a batch of 1.
    """
    if len(input_shape) != 4 or input_shape[0] != 1 or min(input_shape) < 1:
        raise UsageError(f"The input shape {input_shape} is not (1, channels, height, width).")
    for key, value in module.state_dict().items():
        if not torch.isfinite(value).all():
            raise InputError(
                f"The weights hold NaN or infinity in '{key}'.",
                hint="Training diverged: lower the learning rate and train again.",
            )
    # onnxsim's own comparison (check_n) runs on random input; `check` does it on real images.
    model: onnx.ModelProto = onnxsim.simplify(_traced(module, input_shape), check_n=0)[0]
    _constants_to_initializers(model.graph)
    _rename(model.graph)
    return bytes(_normalised(model, name).SerializeToString(deterministic=True))


@dataclass(frozen=True)
class Agreement:
    """How near two runs of the same images are.

    Attributes:
        max_difference: the largest absolute difference of a logit.
        top1: share of images whose largest logit is the same one.
    """

    max_difference: float
    top1: float


def check(
    onnx_bytes: bytes,
    module: torch.nn.Module,
    images: npt.NDArray[np.float32],
    tolerance: float = 1e-4,
) -> Agreement:
    """Run the exported model in onnxruntime and compare it with the module.

    Args:
        onnx_bytes: from `export`.
        module: what was exported; its training mode is left as it was.
        images: float32 (n, channels, height, width).
        tolerance: the largest difference allowed, as a part of the largest absolute logit:
            folding BatchNorm rounds every weight anew.

    Raises:
        VerificationError: they differ by more.
        InputError: the module computes NaN or infinity.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(onnx_bytes, options, ["CPUExecutionProvider"])
    (ours,) = session.run([OUTPUT], {INPUT: images})
    with _evaluating(module), torch.no_grad():
        expected = module(torch.from_numpy(images)).numpy()
    if not np.isfinite(expected).all():
        raise InputError(
            "The network computes NaN or infinity on the validation pictures.",
            hint="Its weights are damaged, or belong to another preprocessing.",
        )
    difference = float(np.abs(ours - expected).max())
    allowed = tolerance * float(np.abs(expected).max()) + 1e-6
    if not difference <= allowed:  # a NaN compares false
        raise VerificationError(
            f"The ONNX model differs from the trained one by {difference:.3g} in a logit; "
            f"{allowed:.3g} is allowed."
        )
    return Agreement(difference, float((ours.argmax(1) == expected.argmax(1)).mean()))


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode inside; every part's own mode is back afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _traced(module: torch.nn.Module, input_shape: tuple[int, int, int, int]) -> onnx.ModelProto:
    """What torch's exporter makes of the module, without a word."""
    buffer = io.BytesIO()
    with _evaluating(module), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.zeros(input_shape),),
            buffer,
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamic_axes={INPUT: {0: BATCH}, OUTPUT: {0: BATCH}},
            dynamo=False,
        )
    return onnx.load_from_string(buffer.getvalue())


def _constants_to_initializers(graph: onnx.GraphProto) -> None:
    """One home for constants: Constant nodes become initializers."""
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        tensor = graph.initializer.add()
        tensor.CopyFrom(node.attribute[0].t)
        tensor.name = node.output[0]
        graph.node.remove(node)


def _rename(graph: onnx.GraphProto) -> None:
    """Name nodes, and the tensors they write and hold, after the module they come from."""
    names = _node_names(graph)
    constants = {tensor.name for tensor in graph.initializer}
    tensors = {INPUT: INPUT, OUTPUT: OUTPUT}
    for node, name in zip(graph.node, names, strict=True):
        node.name = name
        for position, old in enumerate(node.input):
            if old in constants:
                roles = _ROLES.get(node.op_type, ())
                role = roles[position - 1] if position <= len(roles) else f"input{position}"
                tensors.setdefault(old, f"{name}.{role}")
        for position, old in enumerate(node.output):
            tensors.setdefault(old, name if position == 0 else f"{name}.output{position}")
    for node in graph.node:
        node.input[:] = [tensors.get(old, old) for old in node.input]
        node.output[:] = [tensors[old] for old in node.output]
    for tensor in graph.initializer:
        tensor.name = tensors[tensor.name]


def _node_names(graph: onnx.GraphProto) -> list[str]:
    """The module path of every node: "/blocks/blocks.0/blocks.0.1/act1/Clip" -> "blocks.0.1.act1".

    A module that needs more than one node has them numbered: "se", "se/1".
    """
    seen: Counter[str] = Counter()
    names = []
    for node in graph.node:
        *scopes, operator = node.name.strip("/").split("/")
        parts: list[str] = []
        for scope in scopes:
            if parts and scope.startswith(f"{parts[-1]}."):  # a Sequential's child repeats it
                parts.pop()
            parts.append(scope)
        base = ".".join(parts) or operator.lower()
        names.append(f"{base}/{seen[base]}" if seen[base] else base)
        seen[base] += 1
    return names


def _normalised(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Without anything that depends on versions or places: only the network and its shapes."""
    del model.metadata_props[:]
    model.producer_name, model.producer_version, model.doc_string = "edgekit", "", ""
    graph = model.graph
    graph.name, graph.doc_string = name, ""
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    del graph.value_info[:]
    graph.initializer.sort(key=lambda tensor: str(tensor.name))
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    onnx.checker.check_model(inferred)
    return inferred
