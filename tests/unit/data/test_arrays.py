import random
from pathlib import Path
from pickle import dumps

import numpy as np
import pytest
from fuzz import mutate_bytes

from edgekit.data.arrays import read_array
from edgekit.errors import InputError


def header(shape: str) -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize("kind", ["float32", "int8", "bool", "float64"])
@pytest.mark.parametrize("shape", [(4, 5, 3), (1,), (0, 3), ()])
def test_what_numpy_saves_is_read(tmp_path: Path, kind: str, shape: tuple[int, ...]) -> None:
    array = (np.arange(60)[: int(np.prod(shape))].reshape(shape) % 2).astype(kind)
    np.save(tmp_path / "a.npy", array)
    np.save(tmp_path / "f.npy", np.asfortranarray(array))
    for name in ("a.npy", "f.npy"):
        found = read_array(tmp_path / name)
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\3\4 a zip",
        b"\x93NUMPY\x09\x00",
        dumps([1, 2]),
        header("(1099511627776, 12, 12, 3)") + bytes(400),
        header("(-4, 2)") + bytes(400),
        header("(9999999999999999999999, 2)") + bytes(400),
        header("(4, 100)") + bytes(400),
        header("('a', 2)") + bytes(400),
        header("__import__('os').system('true')"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.npy is no \.npy file"):
        read_array(tmp_path / "x.npy")


def test_objects_text_and_folders_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "object.npy", np.array([{"a": 1}], object), allow_pickle=True)
    np.save(tmp_path / "text.npy", np.array(["a"]))
    np.save(tmp_path / "complex.npy", np.zeros(3, complex))
    for name in ("object.npy", "text.npy", "complex.npy", "missing.npy", "."):
        with pytest.raises(InputError):
            read_array(tmp_path / name)


def test_mutants(tmp_path: Path) -> None:
    np.save(tmp_path / "good.npy", np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    good, outcomes = (tmp_path / "good.npy").read_bytes(), set()
    for number in range(1000):
        (tmp_path / "x.npy").write_bytes(mutate_bytes.mutate(good, random.Random(number)))
        try:
            outcomes.add(read_array(tmp_path / "x.npy").nbytes <= 4 * len(good))
        except InputError:
            outcomes.add("refused")
    assert outcomes == {True, "refused"}
