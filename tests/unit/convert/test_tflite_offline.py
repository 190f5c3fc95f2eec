import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.graphs import assert_same_graph, convnet

from edgekit.convert.tflite_offline import METADATA_NAME, decode, encode
from edgekit.convert.tflite_reader import read, read_offsets
from edgekit.convert.tflite_writer import write
from edgekit.errors import InputError

OFFSETS = {"image": 0, "stem": 768, "probabilities": 16}


def parsed(file: bytes) -> schema.ModelT:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(file), 0))


def with_plan(numbers: list[int]) -> bytes:
    """A planned model whose plan is replaced by these numbers."""
    model = parsed(write(convnet(), OFFSETS))
    raw = np.array(numbers, "<i4").view(np.uint8)
    model.buffers[model.metadata[0].buffer].data = raw
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_the_plan_is_version_subgraph_count_and_an_offset_a_tensor() -> None:
    model = parsed(write(convnet(), OFFSETS))
    (metadata,) = model.metadata
    tensors = [tensor.name.decode() for tensor in model.subgraphs[0].tensors]
    numbers = np.asarray(model.buffers[metadata.buffer].data).view("<i4").tolist()
    assert metadata.name.decode() == METADATA_NAME == "OfflineMemoryAllocation"
    assert numbers[:3] == [1, 0, len(tensors)]
    assert numbers[3:] == [OFFSETS.get(name, -1) for name in tensors]


def test_without_offsets_there_is_no_metadata() -> None:
    assert parsed(write(convnet())).metadata is None
    assert write(convnet(), {}) == write(convnet())


def test_offsets_come_back_and_do_not_change_the_graph() -> None:
    file = write(convnet(), OFFSETS)
    assert read_offsets(file) == OFFSETS
    assert read_offsets(write(convnet())) == {}
    assert_same_graph(read(file), convnet())


def test_tensors_are_read_in_the_order_of_the_file() -> None:
    file = write(convnet())
    names = [tensor.name.decode() for tensor in parsed(file).subgraphs[0].tensors]
    assert list(read(file).tensors) == names


@pytest.mark.parametrize("numbers", [[], [1, 0], [1, 0, 3, 0, 0, 0], [1, 0, 10_000]])
def test_a_plan_for_another_model_is_refused(numbers: list[int]) -> None:
    with pytest.raises(InputError, match="offline memory plan"):
        read_offsets(with_plan(numbers))
    assert_same_graph(read(with_plan(numbers)), convnet())


def test_numbers_and_offsets() -> None:
    assert encode([16, None]).tolist() == [1, 0, 2, 16, -1]
    assert decode(np.array([1, 0, 2, 16, -1], np.int32), 2) == [16, None]
    with pytest.raises(InputError, match="offline memory plan"):
        decode(np.array([1, 0, 2, 16, -2], np.int32), 2)
