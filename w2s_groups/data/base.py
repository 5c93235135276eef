"""What every dataset gives, and what its settings are: one class for each, and their families."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.data.files.cache import Progress, silent
from w2s_groups.design.groups import Groups

TRAIN, VAL, TEST = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Dataset(ABC):
    """N samples, each with a label, an attribute and a split; a subclass holds what they are.

    y, a: (N,) integer labels, attributes. split: (N,) TRAIN, VAL or TEST. Labelled and unlabelled
    sets are drawn from TRAIN and VAL rows, the test rows are TEST. official: (N,) the split that
    the samples came with, where `split` is another; None where it is the same.
    identity: N names of who or what a sample shows or comes from (an animal, an author, a person);
    place: N names of where, for crossed designs. Samples of one identity are alike, so pool and
    test share none of either. None where the data do not know them.
    target: (N,) finite numbers that heads learn in place of y under task=regression; y and a still
    define the groups. None where the data have none.
    """

    name: str
    y: NDArray[np.int64]
    a: NDArray[np.int64]
    split: NDArray[np.int64]
    groups: Groups
    official: NDArray[np.int64] | None = field(default=None, kw_only=True)
    identity: tuple[str, ...] | None = field(default=None, kw_only=True)
    place: tuple[str, ...] | None = field(default=None, kw_only=True)
    target: NDArray[np.float64] | None = field(default=None, kw_only=True)

    NOUN: ClassVar[str]

    @property
    def codes(self) -> NDArray[np.int64]:
        """(N,) group codes."""
        return self.groups.codes(self.y, self.a)

    @abstractmethod
    def in_order(self) -> Self:
        """The same samples in an order that does not depend on the table that lists them."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Listed(Dataset):
    """Samples that files or tables list one by one: images, texts or rows.

    files: N names. listed: (N,) place of each sample in the list that the data came with; None
    where the samples are in that order.
    """

    files: tuple[str, ...]
    listed: NDArray[np.int64] | None = None

    @property
    @abstractmethod
    def sort_keys(self) -> tuple[str, ...]:
        """N texts that tell the samples apart, whatever order a table lists them in."""

    def at(self, rows: NDArray[np.int64]) -> Self:
        """The samples of the given rows, in their order."""
        taken: dict[str, Any] = {}
        for part in fields(self):
            values = getattr(self, part.name)
            if isinstance(values, np.ndarray):
                taken[part.name] = values[rows]
            elif isinstance(values, tuple):
                taken[part.name] = tuple(map(values.__getitem__, rows.tolist()))
        return replace(self, **taken)

    def only(self, mask: NDArray[np.bool_]) -> Self:
        """The samples of a mask (N,), such as those that can be read."""
        return self.at(np.flatnonzero(mask))

    def in_order(self) -> Self:
        """The same samples, sorted by file name, or by text or row and labels.

        Whatever follows from the order of the rows (draws, folds, batches, keys) then follows from
        the data, and not from the lines of the table that lists them.
        """
        parts = [self.y, self.a, self.split, *([] if self.target is None else [self.target])]
        labels = zip(*(part.tolist() for part in parts), strict=True)
        keys = list(zip(self.sort_keys, labels, strict=True))
        rows = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
        return replace(self.at(rows), listed=rows if self.listed is None else self.listed[rows])


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageDataset(Listed):
    """N images on disk; nothing is decoded to make one.

    files: paths relative to `root`, with forward slashes.
    """

    root: Path

    NOUN: ClassVar[str] = "image"

    @property
    def sort_keys(self) -> tuple[str, ...]:
        """The N paths."""
        return self.files


@dataclass(frozen=True, eq=False, kw_only=True)
class TextDataset(Listed):
    """N texts; nothing is tokenised to make one.

    texts: N as they were stored. second: the N other halves where a sample is a pair of texts
    (premise and hypothesis). files: N names, for messages and for features from a file.
    """

    texts: tuple[str, ...]
    second: tuple[str, ...] | None = None

    NOUN: ClassVar[str] = "text"

    @cached_property
    def sort_keys(self) -> tuple[str, ...]:
        """sha256 of each sample's text or texts: the same text has the same one."""
        seconds = self.second or ("",) * len(self.texts)
        pairs = zip(self.texts, seconds, strict=True)
        return tuple(hashlib.sha256("\0".join(pair).encode()).hexdigest() for pair in pairs)

    def shown(self, row: int) -> str:
        """A sample as one text; of a pair, both with a bar between them."""
        text = self.texts[row]
        return text if self.second is None else f"{text} | {self.second[row]}"


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are. numeric: names of those of numbers.

    vocabulary: name of each column of categories -> its categories, whose codes are 0, 1, ...
    """

    numeric: tuple[str, ...]
    vocabulary: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False, kw_only=True)
class TableDataset(Listed):
    """N rows of a table, as they were stored; nothing is encoded to make one.

    columns: names, and the categories of those that are no numbers. numbers: (N, k) float64 in the
    order of columns.numeric, NaN where missing. categories: (N, m) codes in the order of
    columns.vocabulary, -1 where missing. files: N names, for messages and for features from a file.
    """

    columns: Columns
    numbers: NDArray[np.float64]
    categories: NDArray[np.int64]

    NOUN: ClassVar[str] = "row"

    @cached_property
    def sort_keys(self) -> tuple[str, ...]:
        """sha256 of each row's values by the names of their columns: rows alike have the same."""
        values = {name: self.numbers[:, k] + 0.0 for k, name in enumerate(self.columns.numeric)}
        bits = {name: np.where(np.isnan(x), np.nan, x).view("<u8") for name, x in values.items()}
        for k, (name, texts) in enumerate(self.columns.vocabulary.items()):
            hashes = [hashlib.sha256(text.encode()).digest()[:8] for text in (*texts, "")]
            bits[name] = np.frombuffer(b"".join(hashes), "<u8")[self.categories[:, k]]
        rows = np.stack([bits[name] for name in sorted(bits)], axis=1)
        return tuple(hashlib.sha256(row.tobytes()).hexdigest() for row in rows)

    def shown(self, row: int) -> str:
        """A row in words, such as "age=39, sex=Male"; what is missing is left out."""
        numbers = zip(self.columns.numeric, self.numbers[row].tolist(), strict=True)
        words = [f"{name}={value:.6g}" for name, value in numbers if value == value]
        codes = zip(self.columns.vocabulary.items(), self.categories[row].tolist(), strict=True)
        words += [f"{name}={texts[code]}" for (name, texts), code in codes if code >= 0]
        return ", ".join(words)


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureDataset(Dataset):
    """N samples that are features already: side ("teacher", "student") -> (N, d) float32.

    key: text that stands for the content of `features`. noise: variance of the target around the
    best prediction, where it is known: the least risk that any head can have.
    """

    features: Mapping[str, NDArray[np.float32]]
    key: str
    noise: float | None = None

    NOUN: ClassVar[str] = "sample"

    def in_order(self) -> Self:
        """The samples as they are: no table lists them."""
        return self


def original_eta(dataset: Dataset) -> float:
    """Minority fraction of the train split that the data came with (eta_o); of the pool without.

    A split of one's own does not change it. 1 where neither has a row.
    """
    split = dataset.split if dataset.official is None else dataset.official
    rows = split == TRAIN if (split == TRAIN).any() else split != TEST
    minority = dataset.groups.is_minority[dataset.codes[rows]]
    return float(minority.mean()) if minority.size else 1.0


def in_range(field: str, value: float, low: float, high: float) -> None:
    """InputError unless low <= value <= high (nan fails)."""
    if not low <= value <= high:
        raise InputError(f"{field}={value} must lie in {low}..{high}; change it")


def check_fraction(field: str, value: float) -> None:
    """InputError unless 0 < value < 1 (nan fails)."""
    if not 0 < value < 1:
        raise InputError(f"{field}={value} must lie between 0 and 1; change it")


@dataclass
class DatasetConfig(ABC):
    """Settings of a dataset: the fields of a subclass are its keys under `data`.

    name: of the dataset, in results and reports. A field that says where data are on this machine,
    or how they are checked there, has that role (core.roles): no key and no report holds it.
    """

    name: str = MISSING

    NETWORKS: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def load(self, cache: Path, progress: Progress = silent) -> Dataset:
        """The dataset; what has to be fetched or built for it goes below `cache`, once.

        Raises InputError for settings or files that do not fit.
        """

    @property
    def networks(self) -> tuple[str, ...]:
        """The two networks of data that are features already; empty where networks compute them."""
        return self.NETWORKS

    def if_all(self, dataset: Dataset) -> NDArray[np.int64] | None:
        """(n_groups,) samples that another setting, pool=all, would leave to draw from.

        None where there is no such setting, or it is set already.
        """
        return None

    def named_groups(self) -> Groups | None:
        """The groups, where the settings say them without the data; None where they do not."""
        return None

    def card(self) -> str:
        """Markdown tables of a dataset card, from the settings: for data that are made here."""
        return ""
