"""Archives that a user fetched: checked before unpacking, unpacked once, whole or not at all."""

from __future__ import annotations

import errno
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import content_hash
from w2s_groups.data.files.cache import Progress, built

_AGAIN = "fetch the file again"
BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError),
    *(EOFError, RuntimeError, NotImplementedError),  # zipfile's for passwords and odd methods
)
# Of names that two members share, as a file and its folder or where case does not matter.
_NAMES = (*(errno.EEXIST, errno.ENOTDIR, errno.EISDIR), errno.ENAMETOOLONG, errno.EILSEQ)


class Broken(InputError):
    """An archive that is damaged or something else: another copy of it may do."""


Member = tuple[str, int, Callable[[], IO[bytes]]]
"""Path of a file in an archive, its size in bytes, and how to open it."""


def unpacked(archive: Path, cache: Path, progress: Progress) -> Path:
    """The folder with an archive's files, below cache/archives, named by the archive's content.

    Zip and tar (plain, gzip, bzip2, xz). A file <archive>.sha256 next to it, as sha256sum writes,
    is compared first. Raises InputError, before anything is written, for a web page or another
    kind of file, a wrong checksum, a member that is a link or would land outside the folder.
    """
    if not archive.is_file():
        raise InputError(
            f"data.archive={archive} is not a file; set it to the archive, or data.root to a folder"
        )
    _check_type(archive)
    digest = content_hash(archive)
    _check_sum(archive, digest)
    return built(
        cache / "archives" / digest[:16],
        {"sha256": digest},
        lambda folder, step: _unpack(archive, folder, step, progress),
        f"unpacking {archive.name}",
    )


def _check_type(archive: Path) -> None:
    if archive.stat().st_size == 0:
        raise Broken(f"data.archive={archive} is empty; {_AGAIN}")
    if is_web_page(archive):
        raise Broken(
            f"data.archive={archive} is a web page, not an archive: the server answered with an "
            f"error or a form to confirm; open it in a browser, then {_AGAIN}"
        )


def is_web_page(path: Path) -> bool:
    """Whether a file is what a server shows a browser, and not what it was asked for."""
    with path.open("rb") as file:
        head = file.read(1024)
    return head.lstrip()[:1] == b"<" or b"<html" in head.lower()


def _check_sum(archive: Path, digest: str) -> None:
    stated_in = archive.with_name(f"{archive.name}.sha256")
    if not stated_in.is_file():
        return
    stated = stated_in.read_text(encoding="utf-8", errors="replace").split()
    if not stated or stated[0].lower() != digest:
        raise Broken(
            f"data.archive={archive} has sha256 {digest} and {stated_in.name} states "
            f"{stated[0] if stated else 'nothing'}; {_AGAIN}"
        )


def _unpack(archive: Path, folder: Path, step: str, progress: Progress) -> None:
    members = _zip_members if zipfile.is_zipfile(archive) else _tar_members
    try:
        sizes: dict[str, int] = {}
        for name, size, _ in members(archive):
            _check_name(name, archive)
            if name in sizes:
                raise Broken(f"data.archive={archive} holds {name} twice; {_AGAIN}")
            sizes[name] = size
        need, free = sum(sizes.values()), shutil.disk_usage(folder).free
        if need > free:
            raise InputError(
                f"data.archive={archive} unpacks to {need / 1e6:.0f} MB and the cache folder has "
                f"{free / 1e6:.0f} MB free; free some space or name another cache_dir"
            )
        for done, (name, _, opened) in enumerate(members(archive), start=1):
            with _made(folder / name, archive) as out, opened() as source:
                shutil.copyfileobj(source, out, 1 << 20)
            progress(step, done, len(sizes))
    except BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Broken(
            f"data.archive={archive} cannot be unpacked as a zip or tar file ({reason}); {_AGAIN}"
        ) from error


def _made(target: Path, archive: Path) -> IO[bytes]:
    """A new file for a member. InputError for a name that this file system cannot have too."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.open("xb")
    except OSError as error:
        if error.errno not in _NAMES:
            raise
        raise InputError(
            f"data.archive={archive}: its member {target.name[:100]!r} cannot be unpacked here "
            f"({error.strerror}): the name is too long, or another member's on this file system; "
            "unpack it yourself and set data.root"
        ) from error


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            if info.is_dir():
                continue
            mode = info.external_attr >> 16
            if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise _odd(info.filename, archive)

            def opened(info: zipfile.ZipInfo = info) -> IO[bytes]:
                return file.open(info)

            yield info.filename, info.file_size, opened


def _tar_members(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive) as file:
        for info in file:
            if info.isdir():
                continue
            if not info.isfile():
                raise _odd(info.name, archive)

            def opened(info: tarfile.TarInfo = info) -> IO[bytes]:
                source = file.extractfile(info)
                assert source is not None  # only of members that are no files
                return source

            yield info.name, info.size, opened


def _odd(name: str, archive: Path) -> InputError:
    return InputError(
        f"data.archive={archive}: its member {name!r} is a link or a device, which may lead out of "
        "the folder; unpack it yourself and set data.root"
    )


def _check_name(name: str, archive: Path) -> None:
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0] or "\0" in name:
        raise InputError(
            f"data.archive={archive}: its member {name!r} would land outside the folder; do not "
            "trust the file, get it from its own source"
        )
