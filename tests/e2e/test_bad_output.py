"""Places that cannot be written: full disks, read-only folders, other people's files, two builds.

Mostly with a ready model, so that nothing is trained; a training for where its weights are kept.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.cli import Outcome, edgekit
from support.failing import assert_one_error, tree
from support.graphs import convnet

from edgekit.convert.tflite_writer import write

pytestmark = pytest.mark.slow

BUILD = ("build", "--model", "good.tflite", "--target", "tflm")
SMALL = ("--alpha", "0.25", "--resolution", "32", "--epochs", "1", "--threads", "1")
TRAIN = ("build", "mobilenet_v1", *SMALL, "--calibration-images", "10", "--target", "tflm")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a good model in it."""
    (tmp_path / "good.tflite").write_bytes(write(convnet()))
    return tmp_path


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A file system in memory on a folder; skips the test where mounting is not allowed."""
    mount = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a full or read-only disk needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("kilobytes", [4, 40, 100, 400])
def test_a_full_disk_leaves_the_earlier_bundle(
    place: Path, earlier: Path, cache: Path, kilobytes: int
) -> None:
    disk = place / "disk"
    disk.mkdir()
    used = sum(path.stat().st_size + 4096 for path in earlier.rglob("*")) // 1024
    with mounted(disk, f"size={used + kilobytes}k"):
        shutil.copytree(earlier, disk / "bundle")
        before = tree(disk)
        outcome = edgekit(*BUILD, "-o", disk / "bundle", cwd=place, cache=cache)
        if outcome.code == 0 and kilobytes == 400:
            return  # there was room for both
        assert_one_error(outcome, 8, "the disk is full")
        assert tree(disk) == before


def test_a_read_only_disk(place: Path, earlier: Path, cache: Path) -> None:
    disk = place / "disk"
    disk.mkdir()
    with mounted(disk, "size=2m"):
        shutil.copytree(earlier, disk / "bundle")
        before = tree(disk)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for output in (disk / "bundle", disk / "new", disk / "a" / "b"):
            outcome = edgekit(*BUILD, "-o", output, cwd=place, cache=cache)
            assert_one_error(outcome, 8, "the file system is read-only")
        assert tree(disk) == before


def test_files_that_may_not_grow(place: Path, cache: Path) -> None:
    """A quota: no file may be larger than 1000 bytes."""
    outcome = limited(place, cache, (*BUILD, "-o", "new"), resource.RLIMIT_FSIZE, 1000)
    assert_one_error(outcome, 8, "Cannot write")
    assert sorted(path.name for path in place.iterdir()) == ["good.tflite"]


def test_standard_output_that_is_full(place: Path, cache: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    command = [sys.executable, "-m", "edgekit", *BUILD, "-o", "new", "--json"]
    env = {**os.environ, "EDGEKIT_CACHE": str(cache)}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, cwd=place, env=env, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert_one_error(Outcome(done.returncode, "", done.stderr), 8, "No space left on device")
    assert edgekit("show", "new", cwd=place, cache=cache).code == 0


def limited(cwd: Path, cache: Path, args: tuple[str, ...], limit: int, value: int) -> Outcome:
    """Run a command under a resource limit."""
    env = {**os.environ, "EDGEKIT_CACHE": str(cache)}
    command = [sys.executable, "-B", "-m", "edgekit", *args]
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(limit, (value, value)),
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


OUTPUTS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a file": (Path.touch, "out", "is not a folder"),
    "under a file": (Path.touch, "out/deep/bundle", "a part of the path is a file"),
    "a link": (lambda path: path.symlink_to(path.parent), "out", "is not a folder"),
    "a device": (lambda path: None, "/dev/null", "is not a folder"),
    "somebody's folder": (lambda path: (path.mkdir(), (path / "mine.txt").touch()), "out", "write"),
    "the whole disk": (lambda path: None, "/", "has content that edgekit did not write"),
    "no such place": (lambda path: None, "/proc/nowhere/bundle", "Cannot write"),
}


@pytest.mark.parametrize("what", OUTPUTS)
def test_outputs(place: Path, cache: Path, what: str) -> None:
    make, output, said = OUTPUTS[what]
    make(place / "out")
    before = tree(place)
    assert_one_error(edgekit(*BUILD, "-o", output, cwd=place, cache=cache), 8, said)
    assert tree(place) == before


@pytest.mark.parametrize("change", ["added", "changed"])
def test_the_users_own_work_in_a_bundle_is_kept(
    place: Path, earlier: Path, cache: Path, change: str
) -> None:
    shutil.copytree(earlier, place / "bundle")
    name = "notes.txt" if change == "added" else "main.cc"
    with (place / "bundle" / name).open("a") as file:
        file.write("// my own work\n")
    before = tree(place)
    outcome = edgekit(*BUILD, "-o", "bundle", cwd=place, cache=cache)
    assert_one_error(outcome, 8, name)
    assert tree(place) == before


def test_two_builds_into_one_folder(place: Path, cache: Path) -> None:
    """At the same time: each ends whole or is told to wait, and the folder is one bundle."""
    env = {**os.environ, "EDGEKIT_CACHE": str(cache)}
    command = [sys.executable, "-m", "edgekit", *BUILD, "-o", "bundle", "--quiet"]
    builds = [
        subprocess.Popen(
            command, cwd=place, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    ends = [build.communicate() for build in builds]
    codes = sorted(build.returncode for build in builds)
    assert codes[0] == 0 and set(codes) <= {0, 8}
    for build, (_, err) in zip(builds, ends, strict=True):
        assert build.returncode == 0 or "Another build is writing" in err
    assert sorted(path.name for path in place.iterdir()) == ["bundle", "good.tflite"]
    assert edgekit("show", "bundle", cwd=place, cache=cache).code == 0


CACHES: dict[str, Callable[[Path], object]] = {
    "a file": Path.touch,
    "under a file": lambda path: path.parent.touch(),
}


@pytest.mark.parametrize("what", CACHES)
def test_a_cache_that_cannot_be_written(
    tmp_path: Path, photos: Path, what: str, build: object
) -> None:
    home = tmp_path / "home" / "cache" if what == "under a file" else tmp_path / "home"
    CACHES[what](home)
    outcome = edgekit(*TRAIN, "--data", photos, "-o", "new", cwd=tmp_path, cache=home)
    assert_one_error(outcome, 8, "EDGEKIT_CACHE")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_a_full_cache(tmp_path: Path, photos: Path, build: object) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with mounted(home, "size=100k"):
        outcome = edgekit(*TRAIN, "--data", photos, "-o", "new", cwd=tmp_path, cache=home)
        assert_one_error(outcome, 8, "No space left on device")
        assert not [path for path in home.rglob("*") if path.is_file()]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_a_home_that_cannot_be_written(tmp_path: Path, photos: Path, build: object) -> None:
    env = {**os.environ, "HOME": "/dev/null"}
    for key in ("EDGEKIT_CACHE", "XDG_CACHE_HOME"):
        env.pop(key, None)
    command = [sys.executable, "-m", "edgekit", *TRAIN, "--data", str(photos), "-o", "new"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert_one_error(Outcome(done.returncode, done.stdout, done.stderr), 8, "EDGEKIT_CACHE")
    assert not any(tmp_path.iterdir())
