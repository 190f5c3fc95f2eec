"""Downloads from a server on this machine that answers well and badly."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgekit.errors import InputError, OutputError
from edgekit.models.download import digest_of, fetch

CONTENT = bytes(range(256)) * 9000  # three reads
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(BaseHTTPRequestHandler):
    """Serves `CONTENT`, says more than it sends (short), or answers that there is nothing."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.endswith("missing.pth"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1000] if self.path.endswith("short.pth") else CONTENT)

    def log_message(self, *args: object) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """Its address, and what it was asked for."""
    asked: list[str] = []
    handler = type("Handler", (Server,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}/models", asked
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("digits", [8, 64])
def test_a_file_is_fetched_once(server: tuple[str, list[str]], tmp_path: Path, digits: int) -> None:
    url, asked = server
    told: list[tuple[str, int, int]] = []
    path = fetch(f"{url}/net.pth", SHA256[:digits], tmp_path / "new", lambda *x: told.append(x))
    assert path == tmp_path / "new/net.pth"
    assert path.read_bytes() == CONTENT
    assert digest_of(path) == SHA256
    assert told[-1] == ("download net.pth", len(CONTENT), len(CONTENT))
    assert fetch(f"{url}/net.pth", SHA256[:digits], tmp_path / "new") == path
    assert asked == ["/models/net.pth"]


def test_a_damaged_file_in_the_cache_is_fetched_again(
    server: tuple[str, list[str]], tmp_path: Path
) -> None:
    (tmp_path / "net.pth").write_bytes(b"damaged")
    assert fetch(f"{server[0]}/net.pth", SHA256, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "sha256", "said"),
    [
        ("missing.pth", SHA256, "answers 404"),
        ("short.pth", SHA256, "after 1,000 of 2,304,000 bytes"),
        ("net.pth", "0" * 8, f"begins with {SHA256[:8]}, not 00000000"),
    ],
)
def test_what_is_not_the_file_leaves_nothing(
    server: tuple[str, list[str]], tmp_path: Path, name: str, sha256: str, said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        fetch(f"{server[0]}/{name}", sha256, tmp_path)
    assert "--weights FILE" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_without_a_network_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Could not download http://127\.0\.0\.1:1/a\.pth"):
        fetch("http://127.0.0.1:1/a.pth", SHA256, tmp_path)
    with pytest.raises(InputError, match="Could not download nonsense"):
        fetch("nonsense", SHA256, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written(server: tuple[str, list[str]], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        fetch(f"{server[0]}/net.pth", SHA256, tmp_path / "file")
