"""Damaged pictures, checkpoints, preprocessing contracts, boards and bundles, and their readers."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from fuzz import mutate_bytes, mutate_json
from PIL import Image

from edgekit.data.pictures import read_picture
from edgekit.errors import InputError, UnsupportedError
from edgekit.plan import boards
from edgekit.preprocessing import Preprocessing

Mutant = tuple[bytes, Callable[[], bool]]
_CONTRACT = Preprocessing(height=16, width=12, resize="center_crop")


@cache
def _folder() -> Path:
    """A folder for the files of this process."""
    return Path(tempfile.mkdtemp(prefix="edgekit-fuzz-"))


def _stored(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def _accepted(read: Callable[[], object]) -> bool:
    """Whether a file passes; errors that name the file's fault are the other way to survive."""
    try:
        read()
    except (InputError, UnsupportedError):
        return False
    return True


@cache
def _pictures() -> tuple[tuple[str, bytes], ...]:
    """(suffix, file) in every format and mode, with and without EXIF."""
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (24, 30, 4), np.uint8), "RGBA")
    exif = Image.Exif()
    exif[0x0112] = 6
    found = []
    for mode, suffix, options in (
        ("RGB", "png", {}),
        ("RGBA", "png", {}),
        ("P", "png", {}),
        ("L", "png", {"transparency": 7}),
        ("I;16", "png", {}),
        ("1", "png", {}),
        ("RGB", "jpg", {"exif": exif, "quality": 80}),
        ("L", "jpg", {"progressive": True}),
        ("CMYK", "jpg", {}),
        ("RGB", "bmp", {}),
        ("P", "bmp", {}),
        ("RGB", "webp", {"exif": exif}),
        ("RGBA", "webp", {"lossless": True}),
    ):
        file = io.BytesIO()
        picture = colours.convert("L").convert(mode) if mode == "I;16" else colours.convert(mode)
        picture.save(file, {"jpg": "JPEG"}.get(suffix, suffix.upper()), **options)
        found.append((suffix, file.getvalue()))
    return tuple(found)


def picture(rng: random.Random) -> Mutant:
    """A picture file, read and made into pixels."""
    suffix, content = rng.choice(_pictures())
    data = mutate_bytes.mutate(content, rng)
    path = _folder() / f"picture.{suffix}"

    def survives() -> bool:
        path.write_bytes(data)
        return _accepted(lambda: _CONTRACT.pixels(read_picture(path)))

    return data, survives


@cache
def _checkpoints() -> tuple[tuple[str, bytes], ...]:
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    state = _network().state_dict()
    torch.save({"state_dict": state, "epoch": 3}, _folder() / "good.pth")
    torch.save(state, _folder() / "old.pth", _use_new_zipfile_serialization=False)
    save_file(state, _folder() / "good.safetensors")
    names = ("good.pth", "old.pth", "good.safetensors")
    return tuple((name, (_folder() / name).read_bytes()) for name in names)


@cache
def _network() -> Any:
    from edgekit.models.module import build
    from edgekit.models.registry import resolve

    return build(resolve("mobilenet_v1", 0.04, resolution=32, classes=3))


def checkpoint(rng: random.Random) -> Mutant:
    """A checkpoint, loaded."""
    from edgekit.models.checkpoints import load_weights

    name, content = rng.choice(_checkpoints())
    data = mutate_bytes.mutate(content, rng)

    def survives() -> bool:
        return _accepted(lambda: load_weights(_network(), _stored(name, data)))

    return data, survives


def preprocessing(rng: random.Random) -> Mutant:
    """A preprocessing contract as a manifest holds it, read and used."""
    good = _CONTRACT.quantized(1 / 128, -3).to_json()
    value = mutate_json.mutate(good, rng)

    def survives() -> bool:
        return _accepted(lambda: _use(Preprocessing.from_json(value)))

    return json.dumps(value).encode(), survives


def _use(contract: Preprocessing) -> None:
    contract.normalize(contract.pixels(Image.new("RGB", (5, 4), "red")))
    if contract.input_scale is not None:
        contract.table()
    if Preprocessing.from_json(contract.to_json()) != contract:
        raise AssertionError("it changes when it is written and read")


def board(rng: random.Random) -> Mutant:
    """A board's TOML."""
    name = rng.choice(boards.names())
    lines = (boards.targets_dir() / f"{name}.toml").read_text().splitlines(keepends=True)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        kind = rng.randrange(4)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, rng.choice(lines))
        elif "=" in lines[at]:
            value = rng.choice(['""', "-1", "nan", "1e999", "[]", '"../x"', "true", "{", "9" * 40])
            lines[at] = f"{lines[at].split('=')[0]}= {value}\n"
        if not lines:
            break
    data = "".join(lines).encode()
    if rng.random() < 0.3:
        data = mutate_bytes.mutate(data, rng)

    def survives() -> bool:
        def read() -> None:
            found = boards.read(_stored(f"{name}.toml", data))
            assert found.id == name and isinstance(found.model_dump_json(), str)

        return _accepted(read)

    return data, survives


@cache
def _bundle() -> dict[str, bytes]:
    """The files of a bundle of a small model, in the folder `bundle`."""
    from support.bundles import written
    from support.deployments import deployment

    made = deployment("nucleo_f446re")
    assert made.preprocessing is not None
    provenance = {
        "target": "tflm",
        "board": made.board.id,
        "preprocessing": made.preprocessing.to_json(),
        "memory": {"arena_bytes": made.arena.arena_bytes},
    }
    folder = written(_folder() / "bundle", replace(made, provenance=provenance))
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def bundle(rng: random.Random) -> Mutant:
    """A bundle with another manifest, or with a damaged file that the manifest vouches for."""
    from edgekit.cli.deployed import open_bundle

    contents = dict(_bundle())
    manifest = json.loads(contents["manifest.json"])
    if rng.random() < 0.5:
        data = json.dumps(mutate_json.mutate(manifest, rng)).encode()
        data = mutate_bytes.mutate(data, rng) if rng.random() < 0.3 else data
        changed = {"manifest.json": data}
    else:
        entry = rng.choice([e for e in manifest["files"] if e["path"] in _READ])
        data = mutate_bytes.mutate(contents[entry["path"]], rng)
        entry.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        changed = {entry["path"]: data, "manifest.json": json.dumps(manifest).encode()}

    def survives() -> bool:
        for name, content in {**contents, **changed}.items():
            (_folder() / "bundle" / name).write_bytes(content)
        return _accepted(lambda: open_bundle(_folder() / "bundle").golden())

    return data, survives


_READ = ("model_int8.tflite", "labels.txt", "golden/input_0.npy", "golden/output_0.npy")
