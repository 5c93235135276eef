"""A set that others publish: on the user's disk, in its archive, or fetched from its host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.data.archive import Broken, unpacked
from w2s_groups.data.cache import Progress
from w2s_groups.data.download import Download, fetched
from w2s_groups.data.ondisk import OnDisk


@dataclass
class Published(OnDisk):
    """download: true fetches the set's archive into the cache, once, in place of root and archive.

    Subclasses say in GET what to fetch by hand and how to check it, and in DOWNLOAD where a host
    serves it without a form to fill in; None where none does.
    """

    download: bool = MISSING

    SOURCES: ClassVar[tuple[str, ...]] = ("root", "archive", "download")
    GET: ClassVar[str] = ""
    DOWNLOAD: ClassVar[Download | None] = None

    def _located(self, cache: Path, progress: Progress) -> Path:
        if not self.download:
            return super()._located(cache, progress)
        if self.DOWNLOAD is None:
            raise InputError(
                f"data.download=true: no host is known that serves {self.name} without a form; get "
                f"{self.GET}, and set data.root to its folder or data.archive to the file it came "
                "in"
            )
        path = fetched(self.DOWNLOAD, self.GET, cache, progress)
        try:
            return unpacked(path, cache, progress)
        except Broken:
            path.unlink(missing_ok=True)  # or the next run would find it again
            raise
