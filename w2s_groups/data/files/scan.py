"""Which files are there: one scan per folder, never one query per file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from w2s_groups.core.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
_LISTED = 5  # files named in one message


def require_files(
    root: Path,
    files: Sequence[str],
    source: str,
    label: Callable[[int], str] | None = None,
    remedy: str = "restore them or take their rows out",
) -> None:
    """InputError unless every one of `files` (relative to root) is there.

    source: what lists them. label(row): where it does, such as "line 7". Folders are read once
    each: on network file systems a query per image takes minutes.
    """
    present: set[str] = set()
    for folder in {file.rpartition("/")[0] for file in files}:
        prefix = f"{folder}/" if folder else ""
        present.update(map(prefix.__add__, _names(root / folder)))
    absent = [row for row, file in enumerate(files) if file not in present]
    if absent:
        shown = ", ".join(
            f"{files[row]} ({label(row)})" if label else files[row] for row in absent[:_LISTED]
        )
        more = f" and {len(absent) - _LISTED} more" if len(absent) > _LISTED else ""
        raise InputError(
            f"{source} lists {len(absent)} images that are not in {root} as regular files: "
            f"{shown}{more}; {remedy}"
        )


def images_below(root: Path, folder: str) -> list[str]:
    """Images in a folder and all below it, sorted, relative to root; hidden files are left out."""
    images, pending = [], [folder]
    while pending:
        inside = pending.pop()
        try:
            with os.scandir(root / inside) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir():
                        if entry.is_symlink() and _leads_back(Path(entry.path)):
                            raise InputError(
                                f"{entry.path} is a link to a folder that it lies in; remove it"
                            )
                        pending.append(f"{inside}/{entry.name}")
                    elif entry.name.lower().endswith(SUFFIXES):
                        if not entry.is_file():
                            raise InputError(
                                f"{entry.path} is not a regular file (a broken link, a pipe or a "
                                "device); remove it"
                            )
                        images.append(f"{inside}/{entry.name}")
        except OSError as error:
            raise InputError(
                f"{root / inside} can't be read ({error.strerror}); make it a readable directory"
            ) from None
    return sorted(images)


def _leads_back(link: Path) -> bool:
    """Whether a link to a folder would be followed for ever."""
    return link.resolve() in (link.parent.resolve() / link.name).parents


def _names(folder: Path) -> frozenset[str]:
    """Names of the regular files of a folder; none where the folder is missing.

    Links are followed: data are often spread over disks. Pipes and devices would stop a reader.
    """
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if entry.is_file())
    except PermissionError as error:
        raise InputError(f"{folder} can't be read ({error.strerror}); make it readable") from None
    except OSError:  # absent, a file, or a name that no folder can have
        return frozenset()
