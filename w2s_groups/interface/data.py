"""`Data`: arrays of the user, or a data set by name, as what runs, draws and predictions take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.data.base import Dataset, DatasetConfig, Listed
from w2s_groups.experiment.inputs import Memory
from w2s_groups.interface import arrays
from w2s_groups.interface.arrays import Naming

Ints = NDArray[np.int64]
SHOWN = ("train", "val", "test")  # by code of a split


class Data:
    """N samples with a class, an attribute, a split, and features of a weak and a strong network.

    weak: (N, d_w) features of the teacher's network. strong: (N, d_s), of the student's. y: (N,)
    classes; group: (N,) attributes: names, or whole numbers. The groups are all pairs of the two.
    split: (N,) "train", "val" or "test", or 0, 1, 2; labelled and unlabelled sets are drawn from
    train and val. None: give `splits` to `run`.
    minority: pairs (class, attribute) against the spurious correlation, as y and group have them.
    None: those of different codes, where both are whole numbers from 0 on (a != y).
    ids: (N,) distinct names or whole numbers, by which the samples are sorted; None: they are
    sorted by their features. So the order of the rows changes no result.
    identity, place: (N,) who or what a sample shows, and where, for splits="crossed" and "random".
    target: (N,) numbers for task="regression".
    class_names, attribute_names: in the order of the codes; None: the sorted values.
    name: in results. networks: names of the weak and the strong network there.

    Arrays of NumPy, tensors of torch on any device, DataFrames and Series, and lists will do.
    Raises InputError for what may be read wrongly.
    """

    config: DatasetConfig
    dataset: Dataset
    rows: Ints  # (N,) row of the user's arrays of each sample of `dataset`
    cache_dir: str  # of a data set by name; "" for the default
    memory: Memory  # of data, features and pools, from one call to the next

    def __init__(
        self,
        *,
        weak: Any,
        strong: Any,
        y: Any,
        group: Any,
        split: Any = None,
        minority: Sequence[tuple[Any, Any]] | None = None,
        ids: Any = None,
        identity: Any = None,
        place: Any = None,
        target: Any = None,
        class_names: Sequence[str] | None = None,
        attribute_names: Sequence[str] | None = None,
        name: str = "data",
        networks: tuple[str, str] = ("weak", "strong"),
    ) -> None:
        given = {"weak": weak, "strong": strong, "y": y, "group": group, "split": split}
        given |= {"ids": ids, "identity": identity, "place": place, "target": target}
        naming = Naming(class_names, attribute_names, minority)
        self.dataset, self.rows = arrays.dataset(name, given, naming)
        self.config = arrays.Arrays.of(self.dataset, networks, has_split=split is not None)
        self.cache_dir, self.memory = "", Memory(8)

    @classmethod
    def of(cls, config: DatasetConfig, dataset: Dataset, memory: Memory, cache_dir: str) -> Self:
        """A data set that a configuration loads: see datasets.load."""
        made = cls.__new__(cls)
        made.config, made.dataset, made.memory = config, dataset, memory
        made.cache_dir = cache_dir
        made.rows = np.arange(len(dataset.y))
        return made

    def __len__(self) -> int:
        return len(self.dataset.y)

    def __repr__(self) -> str:
        groups = self.dataset.groups
        kinds = f"{len(groups.class_names)} classes, {len(groups.attribute_names)} attributes"
        return f"Data({self.dataset.name!r}: {len(self)} {self.dataset.NOUN}s, {kinds})"

    def _repr_html_(self) -> str:
        name = self.dataset.name
        return f"<p>{name}: {len(self):,} {self.dataset.NOUN}s</p>{self.counts.to_html()}"

    @property
    def y(self) -> Ints:
        """(N,) codes of the classes, in the order of the rows that were given."""
        return self._given(self.dataset.y)

    @property
    def group(self) -> Ints:
        """(N,) codes of the attributes, in the order of the rows that were given."""
        return self._given(self.dataset.a)

    @property
    def split(self) -> Ints:
        """(N,) 0 train, 1 val, 2 test, in the order of the rows that were given."""
        return self._given(self.dataset.split)

    @property
    def files(self) -> tuple[str, ...]:
        """N names of images, texts or rows of a data set by name; () for arrays."""
        return self.dataset.files if isinstance(self.dataset, Listed) else ()

    @property
    def counts(self) -> pd.DataFrame:
        """Samples of each group (index) in each split (columns), and which groups are minority."""
        groups = self.dataset.groups
        table = pd.DataFrame({"group": groups.names, "minority": groups.is_minority})
        for code, name in enumerate(SHOWN):
            own = self.dataset.codes[self.dataset.split == code]
            table[name] = np.bincount(own, minlength=groups.n_groups)
        return table.set_index("group")

    def _given(self, values_of_dataset: Ints) -> Ints:
        out = np.empty_like(values_of_dataset)
        out[self.rows] = values_of_dataset
        return out
