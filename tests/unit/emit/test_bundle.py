import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgekit.emit.bundle import claim, read_bundle, write_bundle
from edgekit.emit.folder import PARTIAL
from edgekit.errors import InputError, OutputError

FILES = {
    "model.tflite": b"\x01\x02",
    "src/main.cc": b"int main() {}\n",
    "run.py": b"#!/usr/bin/x\n",
}
ORIGIN = {"seed": 7, "model": "net"}


def write(path: Path, files: dict[str, bytes] = FILES, **more: Any) -> Path:
    return write_bundle(path, files, provenance=ORIGIN, **more)


def content(path: Path) -> dict[str, bytes]:
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file()
    }


def only(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir())


def test_files_manifest_and_report_are_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a" / "b", report={"seconds": {"train": 1.5}})
    written = content(path)
    assert {name: written[name] for name in FILES} == FILES
    assert json.loads(written["report.json"]) == {"seconds": {"train": 1.5}}
    manifest = json.loads(written["manifest.json"])
    assert manifest["provenance"] == ORIGIN
    assert [entry["path"] for entry in manifest["files"]] == sorted(FILES)
    assert manifest["files"][0] == {
        "path": "model.tflite",
        "bytes": 2,
        "sha256": "a12871fee210fb8619291eaea194581cbd2531e4b23759d225f6806923f63222",
    }
    assert only(tmp_path / "a") == ["b"]


def test_scripts_are_executable_and_others_are_not(tmp_path: Path) -> None:
    path = write(tmp_path / "b")
    assert (path / "run.py").stat().st_mode & 0o777 == 0o755
    assert (path / "model.tflite").stat().st_mode & 0o777 == 0o644
    assert path.stat().st_mode & 0o777 == 0o755


def test_same_inputs_give_the_same_bytes_except_for_the_report(tmp_path: Path) -> None:
    one = content(write(tmp_path / "one", report={"seconds": 1}))
    two = content(write(tmp_path / "two", dict(reversed(FILES.items())), report={"seconds": 2}))
    assert one.pop("report.json") != two.pop("report.json")
    assert one == two


def test_an_older_bundle_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "b", {"old.txt": b"old"}, report={})
    write(path)
    assert set(content(path)) == {*FILES, "manifest.json"}
    assert only(tmp_path) == ["b"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    assert read_bundle(write(tmp_path / "b")).names == tuple(sorted(FILES))


def test_foreign_folders_are_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="content that edgekit did not write"):
        write(tmp_path)
    assert content(tmp_path) == {"thesis.txt": b"years of work"}


def test_own_files_inside_a_bundle_are_refused_and_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "b")
    (path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"not edgekit's: notes\.txt"):
        write(path)
    assert content(path)["notes.txt"] == b"mine"


def test_files_somebody_changed_are_refused_and_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "b")
    (path / "src/main.cc").write_text("int main() { my_camera(); }\n")
    with pytest.raises(OutputError, match=r"changed after edgekit wrote them: src/main\.cc") as e:
        write(path)
    assert "-o/--output" in e.value.hint
    assert b"my_camera" in content(path)["src/main.cc"]
    (path / "src/main.cc").unlink()
    write(path)


def test_what_the_readme_asks_for_stays_while_its_source_does(tmp_path: Path) -> None:
    more = {"compiled.bin": "model.tflite"}
    path = write(tmp_path / "b", additions=more)
    (path / "compiled.bin").write_bytes(b"by another tool")
    with claim(path) as target:
        assert target.notices(FILES, more) == [
            "compiled.bin stays in the bundle: the model it was made from has not changed."
        ]
    write(path, {**FILES, "run.py": b"new"}, additions=more)
    assert content(path)["compiled.bin"] == b"by another tool"
    assert "compiled.bin" not in read_bundle(path)
    other = {**FILES, "model.tflite": b"\x03"}
    with claim(path) as target:
        (notice,) = target.notices(other, more)
        assert notice.startswith("compiled.bin was made from an older model and goes with it")
    write(path, other, additions=more)
    assert "compiled.bin" not in content(path)


@pytest.mark.parametrize(
    ("files", "additions"),
    [(FILES, {}), ({"run.py": b"1"}, {}), ({**FILES, "compiled.bin": b"ours"}, {})],
)
def test_additions_go_with_the_bundle_that_knew_them(
    tmp_path: Path, files: dict[str, bytes], additions: dict[str, str]
) -> None:
    path = write(tmp_path / "b", additions={"compiled.bin": "model.tflite"})
    (path / "compiled.bin").write_bytes(b"by another tool")
    write(path, files, additions=additions)
    assert content(path).get("compiled.bin") == files.get("compiled.bin")


def test_files_and_links_in_the_way_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is not a folder"):
        write(tmp_path / "file")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OutputError, match="is not a folder"):
        write(tmp_path / "link")
    with pytest.raises(OutputError, match="a part of the path is a file"):
        write(tmp_path / "file" / "b")


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", ""])
def test_paths_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="cannot hold the path"):
        write(tmp_path / "b", {name: b""})
    assert only(tmp_path) == []


class Disk:
    """Stands in for os.fsync: fails, or interrupts, at the n-th file."""

    def __init__(self, at: int, error: BaseException) -> None:
        self.left, self.error = at, error

    def __call__(self, descriptor: int) -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error


@pytest.mark.parametrize(
    ("number", "cause"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "read-only"), (errno.EIO, "Input/output")],
)
def test_a_failing_disk_leaves_the_old_bundle_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, cause: str
) -> None:
    path = write(tmp_path / "b", {"old.txt": b"old"})
    monkeypatch.setattr(os, "fsync", Disk(2, OSError(number, os.strerror(number))))
    with pytest.raises(OutputError, match=cause):
        write(path)
    assert content(path)["old.txt"] == b"old"
    assert only(tmp_path) == ["b"]


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", Disk(3, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "new" / "b")
    assert only(tmp_path) == []


def test_an_interrupt_between_the_two_moves_brings_the_old_bundle_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "b", {"old.txt": b"old"})
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if target == path and not self.name == "old":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(path)
    assert content(path)["old.txt"] == b"old"
    assert only(tmp_path) == ["b"]


def test_leftovers_of_a_killed_build_are_cleared_and_its_old_bundle_restored(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "b", {"old.txt": b"old"})
    left = tmp_path / f".b.xyz{PARTIAL}"
    left.mkdir()
    path.rename(left / "old")
    with claim(path):
        assert content(path)["old.txt"] == b"old"
    assert only(tmp_path) == ["b"]


def test_two_builds_cannot_claim_one_folder(tmp_path: Path) -> None:
    with claim(tmp_path / "b"), pytest.raises(OutputError, match="Another build is writing"):
        write(tmp_path / "b")
    write(tmp_path / "b")


def test_another_process_is_kept_out_and_a_dead_one_forgotten(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from edgekit.emit.bundle import claim\n"
        "with claim(pathlib.Path(sys.argv[1])):\n"
        "    print('claimed', flush=True); sys.stdin.read(); os._exit(9)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "b"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin and child.stdout
    assert child.stdout.readline() == b"claimed\n"
    with pytest.raises(OutputError, match="Another build is writing"):
        write(tmp_path / "b")
    child.communicate()
    assert child.returncode == 9
    write(tmp_path / "b")
    assert only(tmp_path) == ["b"]


def test_a_claim_without_a_bundle_leaves_no_folders(tmp_path: Path) -> None:
    with claim(tmp_path / "x" / "y" / "b"):
        assert (tmp_path / "x" / "y").is_dir()
    assert only(tmp_path) == []


def test_a_failed_block_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claim(tmp_path / "b"):
        raise ZeroDivisionError
    assert only(tmp_path) == []


def test_a_bundle_reads_as_it_was_written(tmp_path: Path) -> None:
    made = read_bundle(write(tmp_path / "b", report={"top1": 91.5}))
    assert {name: made.read(name) for name in made.names} == FILES
    assert made.provenance == ORIGIN
    assert made.report() == {"top1": 91.5}
    assert "run.py" in made and "absent" not in made
    assert read_bundle(write(tmp_path / "c")).report() is None
    with pytest.raises(InputError, match="has no absent"):
        made.read("absent")


def test_damage_names_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "b", report={})
    (path / "model.tflite").write_bytes(b"\x01\x03")
    (path / "run.py").unlink()
    (path / "src/main.cc").write_bytes(FILES["src/main.cc"] + b"\n")
    (path / "report.json").write_bytes(b"{")
    made = read_bundle(path)
    for name in ("model.tflite", "src/main.cc"):
        with pytest.raises(InputError, match=f"damaged: {name} is not as edgekit wrote it"):
            made.read(name)
    with pytest.raises(InputError, match=r"damaged: run\.py cannot be read \(No such file"):
        made.read("run.py")
    with pytest.raises(InputError, match=r"report\.json is damaged"):
        made.report()


def test_what_is_no_bundle_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name, words in (("absent", "not exist"), ("file", "not a folder"), ("", "no manifest")):
        with pytest.raises(InputError, match=words):
            read_bundle(tmp_path / name)


ENTRY = {"path": "a", "bytes": 1, "sha256": "0"}


@pytest.mark.parametrize(
    "manifest",
    [
        "[]",
        "nothing",
        "[" * 100_000,
        {"format": "other"},
        {"files": None},
        {"files": ["a"]},
        {"files": [{**ENTRY, "path": "../a"}]},
        {"files": [{**ENTRY, "bytes": "1"}]},
        {"files": [ENTRY], "additions": {"b": "absent"}},
        {"files": [ENTRY], "additions": {"../b": "a"}},
        {"files": [ENTRY], "additions": {"b": []}},
        {"files": [ENTRY], "provenance": None},
    ],
)
def test_hostile_manifests_are_refused_by_readers_and_builds(
    tmp_path: Path, manifest: str | dict[str, Any]
) -> None:
    if isinstance(manifest, dict):
        manifest = json.dumps({"format": "edgekit-bundle", "provenance": {}, **manifest})
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(InputError, match=r"manifest\.json"):
        read_bundle(tmp_path)
    with pytest.raises(OutputError, match="did not write"):
        write(tmp_path)
