"""A file from its own host, into the cache: whole and checked, or not there."""

from __future__ import annotations

import http.client
import logging
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import content_hash, write_atomic
from w2s_groups.data.files.archive import is_web_page
from w2s_groups.data.files.cache import CANNOT_WRITE, Progress, writing

PATIENCE = 30.0  # seconds without an answer, or without a byte
TRIES = 3  # a long transfer may break off; each try goes on where the last one stopped
_BLOCK = 1 << 20
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Download:
    """url: of the file. size: bytes, sha256: hex, where they are known; None where not."""

    url: str
    size: int | None = None
    sha256: str | None = None

    @property
    def file(self) -> str:
        """Name of the file, the last part of its address."""
        return self.url.rpartition("/")[2]


def fetched(source: Download, by_hand: str, cache: Path, progress: Progress) -> Path:
    """cache/downloads/<file>, fetched unless it is there.

    What has come so far is <file>.partial, which later tries and later runs go on with where the
    host can and still has the same file; it gets its name once it is as long as the host (and
    `size`) says and has the sha256, or the one that `trust` recorded of an earlier download.
    Raises InputError with `by_hand`, what to get and how, where the host can't be reached, answers
    with something else, or the disk is full.
    """
    folder = cache / "downloads"
    path = folder / source.file
    if path.is_file():
        return path
    partial = path.with_name(f"{path.name}.partial")
    step = f"fetching {source.file}"
    with writing(folder, step):
        for attempt in range(1, TRIES + 1):
            try:
                _go_on(source, partial, step, progress)
                break
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
                    raise  # the disk's fault and not the host's
                refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
                if refused or attempt == TRIES:
                    reason = " ".join(str(getattr(error, "reason", error)).split())
                    raise _failed(source, reason or type(error).__name__, by_hand) from error
        _check(source, partial, path, by_hand)
        partial.replace(path)
        partial.with_name(f"{partial.name}.version").unlink(missing_ok=True)
    return path


def trust(source: Download, path: Path) -> None:
    """Record the sha256 of a file that proved usable, where no sum of it is published.

    It goes into <file>.sha256, which `fetched` and `archive.unpacked` compare from then on, and a
    warning says so once.
    """
    record = _record(path)
    if source.sha256 is not None or record.is_file():
        return
    digest = content_hash(path)
    with writing(path.parent, f"recording the sha256 of {path.name}"):
        write_atomic(record, f"{digest}  {path.name}\n".encode())
    log.warning(
        "no checksum of %s is published, so this download is trusted: sha256 %s, kept in %s; a "
        "later one that differs is refused",
        source.url, digest, record,
    )  # fmt: skip


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _recorded(path: Path) -> str | None:
    """The sha256 that `trust` recorded, or the user; None without one."""
    try:
        stated = _record(path).read_text(encoding="utf-8", errors="replace").split()
    except FileNotFoundError:
        return None
    return stated[0].lower() if stated else None


def _go_on(source: Download, partial: Path, step: str, progress: Progress) -> None:
    """Fetch what `partial` lacks. OSError where the host does not give all of it."""
    version = partial.with_name(f"{partial.name}.version")  # of the host's file, as it names it
    known = version.read_text(encoding="latin-1") if version.is_file() else ""
    done = partial.stat().st_size if partial.is_file() and known else 0
    request = urllib.request.Request(source.url, headers={"Accept-Encoding": "identity"})
    if done:
        request.add_header("Range", f"bytes={done}-")
        request.add_header("If-Range", known)
    with _opened(request, partial) as answer:
        if answer is None:
            return
        if answer.status != 206:
            partial.unlink(missing_ok=True)
            stated = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            version.write_text("" if stated.startswith("W/") else stated, encoding="latin-1")
        done, total = _place(answer, done)
        if total is not None and total - done > shutil.disk_usage(partial.parent).free:
            free = shutil.disk_usage(partial.parent).free
            raise InputError(
                f"{step} takes {(total - done) / 1e6:.0f} MB and {partial.parent} has "
                f"{free / 1e6:.0f} MB free; free some space or name another cache_dir"
            )
        with partial.open("r+b" if done else "wb") as out:
            out.seek(done)
            while block := answer.read(_BLOCK):
                out.write(block)
                done += len(block)
                progress(step, done, total or done)
    if total is None and source.size is None and source.sha256 is None:
        raise ConnectionError("the host does not say how long it is")
    if total is not None and done < total:
        raise ConnectionError(f"the connection closed after {done} of {total} bytes")


@contextmanager
def _opened(request: urllib.request.Request, partial: Path) -> Iterator[Any]:
    """The host's answer; None if it says that there is no byte behind those of `partial`."""
    try:
        answer = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not partial.is_file():
            raise
        if error.headers.get("Content-Range") != f"bytes */{partial.stat().st_size}":
            partial.unlink()
            raise ConnectionError("what had come is not of the host's file") from error
        yield None
        return
    with answer:
        yield answer


def _place(answer: Any, done: int) -> tuple[int, int | None]:
    """(bytes that are before this answer, bytes of the whole file if the host says)."""
    stated = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
    if answer.status == 206 and stated and int(stated[1]) == done:
        return done, int(stated[2])
    length = answer.headers.get("Content-Length")
    return 0, int(length) if length else None  # from the start again: it does not know ranges


def _check(source: Download, partial: Path, path: Path, by_hand: str) -> None:
    """InputError, and nothing kept, unless the file is of the stated size and content."""
    size, known = partial.stat().st_size, _recorded(path)
    if source.size is not None and size != source.size:
        reason = f"{size} bytes came and {source.size} are expected"
    elif source.sha256 is not None and content_hash(partial) != source.sha256:
        reason = "what came has another sha256"
    elif is_web_page(partial):
        reason = "the host answered with a web page"
    elif source.sha256 is None and known and content_hash(partial) != known:
        record = _record(path)
        reason = (
            f"what came is another file than the one that {record} states; where its owner "
            f"replaced it, remove {record.name} and run again"
        )
    else:
        return
    partial.unlink()
    partial.with_name(f"{partial.name}.version").unlink(missing_ok=True)
    raise _failed(source, reason, by_hand)


def _failed(source: Download, reason: str, by_hand: str) -> InputError:
    return InputError(
        f"data.download=true: {source.url} can't be fetched ({reason}); get {by_hand}, and set "
        "data.archive to the file or data.root to its folder"
    )
