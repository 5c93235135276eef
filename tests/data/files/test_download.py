"""Fetched files are whole or not there, whatever the host does; a real server on this machine."""

from __future__ import annotations

import errno
import hashlib
import io
import re
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from layouts import config, waterbirds

from w2s_groups.core.errors import InputError
from w2s_groups.data import waterbirds as waterbirds_module
from w2s_groups.data.files import download
from w2s_groups.data.files.cache import silent
from w2s_groups.data.files.download import Download, fetched

DATA = hashlib.shake_256(b"w2s").digest(3_000_000)
BY_HAND = "the file from its page"


@dataclass
class Host:
    """What the server answers with. cut: bytes after which a connection closes, one by one."""

    url: str = ""
    data: bytes = DATA
    tag: str = '"one"'
    ranges: bool = True
    status: int = 200
    length: bool = True
    cut: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def host() -> Iterator[Host]:
    state = Host()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            state.asked.append(wanted)
            if state.status != 200:
                self.send_error(state.status)
                return
            start = int(wanted[6:-1]) if wanted else 0
            if not state.ranges or self.headers.get("If-Range", state.tag) != state.tag:
                start = 0
            if start >= len(state.data) and start:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.data)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if state.tag:
                self.send_header("ETag", state.tag)
            if start:
                n = len(state.data)
                self.send_header("Content-Range", f"bytes {start}-{n - 1}/{n}")
            if state.length:
                self.send_header("Content-Length", str(len(state.data) - start))
            self.end_headers()
            end = start + state.cut.pop(0) if state.cut else len(state.data)
            self.wfile.write(state.data[start:end])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/set.tar.gz"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def get(host: Host, cache: Path, **known: Any) -> Path:
    return fetched(Download(host.url, **known), BY_HAND, cache, silent)


def left(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "downloads").iterdir())


def test_fetched_once(host: Host, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    path = fetched(Download(host.url), BY_HAND, tmp_path, lambda *step: steps.append(step))
    assert path.read_bytes() == DATA
    assert steps[-1] == ("fetching set.tar.gz", len(DATA), len(DATA))
    assert left(tmp_path) == ["set.tar.gz"]
    assert get(host, tmp_path) == path
    assert len(host.asked) == 1


def test_a_broken_transfer_goes_on_where_it_stopped(host: Host, tmp_path: Path) -> None:
    host.cut = [1_000_000, 700_000]
    assert get(host, tmp_path).read_bytes() == DATA
    assert host.asked == ["", "bytes=1000000-", "bytes=1700000-"]


def test_what_is_not_whole_is_never_taken_for_it_and_a_later_run_goes_on(
    host: Host, tmp_path: Path
) -> None:
    host.cut = [500_000] * 3
    with pytest.raises(InputError) as caught:
        get(host, tmp_path)
    assert str(caught.value) == (
        f"data.download=true: {host.url} can't be fetched (the connection closed after 1500000 of "
        "3000000 bytes); get the file from its page, and set data.archive to the file or data.root "
        "to its folder"
    )
    assert left(tmp_path) == ["set.tar.gz.partial", "set.tar.gz.partial.version"]
    assert get(host, tmp_path).read_bytes() == DATA
    assert host.asked[-1] == "bytes=1500000-"
    assert left(tmp_path) == ["set.tar.gz"]


def test_a_run_that_is_killed_between_the_last_byte_and_the_name(
    host: Host, tmp_path: Path
) -> None:
    partial = tmp_path / "downloads/set.tar.gz.partial"
    partial.parent.mkdir()
    partial.write_bytes(DATA)
    partial.with_name("set.tar.gz.partial.version").write_text(host.tag)
    assert get(host, tmp_path).read_bytes() == DATA
    assert host.asked == [f"bytes={len(DATA)}-"]


@pytest.mark.parametrize("kind", ["no ranges", "another file", "shorter file", "no name for it"])
def test_what_cannot_be_gone_on_with_starts_again(host: Host, tmp_path: Path, kind: str) -> None:
    host.cut = [900_000] * 3
    if kind == "no name for it":
        host.tag = ""
    with pytest.raises(InputError):
        get(host, tmp_path)
    if kind == "no ranges":
        host.ranges = False
    elif kind != "no name for it":
        host.data = DATA[::-1] if kind == "another file" else DATA[:500_000]
        host.tag = '"two"' if kind == "another file" else host.tag
    assert get(host, tmp_path).read_bytes() == host.data


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"size": 2_999_999}, r"3000000 bytes came and 2999999 are expected"),
        ({"sha256": "0" * 64}, "what came has another sha256"),
    ],
)
def test_another_file_than_expected_is_not_kept(
    host: Host, tmp_path: Path, known: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        get(host, tmp_path, **known)
    assert not any(name.startswith("set.tar.gz") and "version" not in name
                   for name in left(tmp_path))  # fmt: skip
    digest = hashlib.sha256(DATA).hexdigest()
    assert get(host, tmp_path, size=len(DATA), sha256=digest).read_bytes() == DATA


def test_a_host_that_does_not_say_how_long_it_is(host: Host, tmp_path: Path) -> None:
    host.length = host.ranges = False
    with pytest.raises(InputError, match="the host does not say how long it is"):
        get(host, tmp_path)
    assert get(host, tmp_path, size=len(DATA)).read_bytes() == DATA


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (503, 3)])
def test_refusals(host: Host, tmp_path: Path, status: int, tries: int) -> None:
    host.status = status
    with pytest.raises(InputError, match=r"can't be fetched \(.+\); get the file from its page"):
        get(host, tmp_path)
    assert len(host.asked) == tries
    assert left(tmp_path) == []


def test_a_web_page_in_place_of_the_file(host: Host, tmp_path: Path) -> None:
    host.data = b"\n<!DOCTYPE html><html>Quota exceeded</html>"
    with pytest.raises(InputError, match="the host answered with a web page"):
        get(host, tmp_path)
    host.data = DATA
    assert get(host, tmp_path).read_bytes() == DATA


def test_no_host(host: Host, tmp_path: Path) -> None:
    started = time.monotonic()
    for url in ("http://127.0.0.1:9/x.tar", "http://does-not-exist.invalid/x.tar"):
        with pytest.raises(InputError, match=rf"{re.escape(url)} can't be fetched \(.+\); get"):
            fetched(Download(url), BY_HAND, tmp_path, silent)
    assert time.monotonic() - started < 60


def test_a_silent_host_is_given_up(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "PATIENCE", 0.2)
    with socket.socket() as silent_host:
        silent_host.bind(("127.0.0.1", 0))
        silent_host.listen()
        url = f"http://127.0.0.1:{silent_host.getsockname()[1]}/x.tar"
        with pytest.raises(InputError, match="timed out"):
            fetched(Download(url), BY_HAND, tmp_path, silent)


def test_a_full_disk(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(download.shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
        with pytest.raises(InputError, match=r"takes 3 MB and .* has 0 MB free"):
            get(host, tmp_path)

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InputError, match="No space left on device; free some space"):
        fetched(Download(host.url), BY_HAND, tmp_path, full)
    assert len(host.asked) == 2


def test_waterbirds_by_its_download(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = waterbirds(tmp_path / "from", release=waterbirds_module.RELEASES[1])
    monkeypatch.setattr(waterbirds_module.Waterbirds, "DOWNLOAD", Download(host.url))
    own = config("waterbirds", download=True, check_counts=False)
    host.data = packed(folder)[:-40]  # whole as the host has it, and yet not a whole archive
    with pytest.raises(InputError, match="cannot be unpacked as a zip or tar file"):
        own.load(tmp_path / "cache")
    assert left(tmp_path / "cache") == []
    host.data = packed(folder)
    dataset = own.load(tmp_path / "cache")
    assert (dataset.root / dataset.files[0]).is_file()
    n = len(host.asked)
    assert own.load(tmp_path / "cache").files == dataset.files
    assert len(host.asked) == n


def packed(folder: Path) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as file:
        file.add(folder, folder.name)
    return out.getvalue()


def test_a_download_without_a_published_sum_is_trusted_once(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = waterbirds(tmp_path / "from", release=waterbirds_module.RELEASES[1])
    monkeypatch.setattr(waterbirds_module.Waterbirds, "DOWNLOAD", Download(host.url))
    own, cache = config("waterbirds", download=True, check_counts=False), tmp_path / "cache"
    host.data = packed(folder)
    dataset = own.load(cache)
    digest = hashlib.sha256(host.data).hexdigest()
    (said,) = caplog.messages
    assert "no checksum of" in said
    assert digest in said
    archive, record = (cache / "downloads" / name for name in ("set.tar.gz", "set.tar.gz.sha256"))
    assert record.read_text() == f"{digest}  set.tar.gz\n"  # as sha256sum reads it
    own.load(cache)
    assert len(caplog.messages) == 1

    # Another file under the same address, after the first was deleted.
    (folder / "metadata.csv").write_text((folder / "metadata.csv").read_text() + "\n")
    host.data, first = packed(folder), host.data
    archive.unlink()
    for _ in range(2):
        with pytest.raises(InputError, match=r"another file than the one .* remove set\.tar"):
            own.load(cache)
        assert left(cache) == ["set.tar.gz.sha256"]
    host.data = first
    assert own.load(cache).files == dataset.files

    # The cached archive is altered: found by its hash, fetched again by the next run.
    archive.write_bytes(packed(folder))
    with pytest.raises(InputError, match=r"has sha256 .* and set.tar.gz.sha256 states"):
        own.load(cache)
    assert own.load(cache).files == dataset.files
    # The owner's new file, once the user says so.
    host.data = packed(folder)
    archive.unlink()
    record.unlink()
    own.load(cache)
    assert record.read_text().startswith(hashlib.sha256(host.data).hexdigest())


def test_a_published_sum_needs_no_record(host: Host, tmp_path: Path) -> None:
    source = Download(host.url, sha256=hashlib.sha256(DATA).hexdigest())
    path = fetched(source, BY_HAND, tmp_path, silent)
    download.trust(source, path)
    assert left(tmp_path) == ["set.tar.gz"]
