"""Arrays of the user as a dataset: coded, checked, and in an order that follows from the data."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.roles import Role, role
from w2s_groups.data.base import TEST, TRAIN, DatasetConfig, FeatureDataset
from w2s_groups.data.files.cache import Progress, silent
from w2s_groups.data.files.table import Table, label_coding
from w2s_groups.data.labels import named
from w2s_groups.data.rows import SPLITS
from w2s_groups.design.groups import Groups
from w2s_groups.interface import values

Ints = NDArray[np.int64]


class Naming(NamedTuple):
    """Names of classes and attributes in the order of their codes, and the minority pairs."""

    class_names: Sequence[str] | None
    attribute_names: Sequence[str] | None
    minority: Sequence[tuple[Any, Any]] | None


def dataset(name: str, given: Mapping[str, Any], naming: Naming) -> tuple[FeatureDataset, Ints]:
    """The dataset of what was given to `Data`, and the (N,) row there of each of its samples."""
    values.check_index(given)
    features = {"teacher": values.features(given["weak"], "weak")}
    n = len(features["teacher"])
    features["student"] = _as_many(values.features(given["strong"], "strong"), n)
    columns = {field: values.texts(given[field], field, n) for field in ("y", "group")}
    groups, (y, a) = _coded(columns, naming)
    split = _splits(given["split"], n)
    target = None if given["target"] is None else values.floats(given["target"], "target", n)
    shown = {
        field: _names(given[field], field, n)
        for field in ("identity", "place")
        if given[field] is not None
    }
    parts: list[NDArray[Any]] = [*features.values(), y, a, split]
    parts += [] if target is None else [target]
    rows = _by_content(parts) if given["ids"] is None else _by_ids(given["ids"], n)
    at = {side: matrix[rows] for side, matrix in features.items()}
    made = FeatureDataset(
        name=name,
        y=y[rows],
        a=a[rows],
        split=split[rows],
        groups=groups,
        features=at,
        key=f"arrays {_digest(*at.values())}",
        target=None if target is None else target[rows],
    )
    sorted_names: Any = {f: tuple(names[r] for r in rows.tolist()) for f, names in shown.items()}
    return replace(made, **sorted_names), rows


@dataclass
class Arrays(DatasetConfig):
    """Settings of data that are arrays: the name, and a digest that tells them from others."""

    digest: str = role(Role.features, "")

    @classmethod
    def of(cls, dataset: FeatureDataset, networks: tuple[str, str], has_split: bool) -> Arrays:
        """Settings that give this dataset. has_split: whether a split came with it."""
        rows = [dataset.codes, dataset.split, *([] if dataset.target is None else [dataset.target])]
        made = cls(dataset.name, _digest(*dataset.features.values(), *rows)[:8])
        made._dataset, made._networks, made.has_split = dataset, networks, has_split
        return made

    def __post_init__(self) -> None:
        self._dataset: FeatureDataset | None = None
        self._networks: tuple[str, str] = ("weak", "strong")
        self.has_split = True

    @property
    def networks(self) -> tuple[str, ...]:
        """The names that the user gave to the two networks."""
        return self._networks

    def load(self, cache: Path, progress: Progress = silent) -> FeatureDataset:
        """The arrays."""
        assert self._dataset is not None
        return self._dataset


def _as_many(strong: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    if len(strong) != n:
        raise InputError(
            f"weak has {n} rows and strong has {len(strong)}; give both features of each sample"
        )
    return strong


def _coded(
    columns: Mapping[str, tuple[str, ...]], naming: Naming
) -> tuple[Groups, tuple[Ints, Ints]]:
    """Groups, and codes of classes and attributes, as a table of files would give them."""
    n = len(columns["y"])
    table = Table(Path("Data"), tuple(range(n)), columns, "row")
    known, names, codes = table, [], []
    for column, given, letter in (
        ("y", naming.class_names, "y"),
        ("group", naming.attribute_names, "a"),
    ):
        own, known = named(known, column, given, letter, "")
        coding = label_coding(own)
        codes.append(known.codes(column, *coding))
        names.append(tuple(own))
    pairs = frozenset(_pair(pair, table, known, names) for pair in naming.minority or ())
    codings = [{str(code) for code in range(len(own))} for own in names]
    coded = all(
        coding.issuperset(own) for coding, own in zip(codings, columns.values(), strict=True)
    )
    if not pairs and not (coded or names[0] == names[1]):
        raise InputError(
            "minority is not given, and which groups are against the correlation does not follow "
            f"from names; list them, such as minority=[({names[0][0]!r}, {names[1][-1]!r})]"
        )
    return Groups(names[0], names[1], pairs), (codes[0], codes[1])


def _pair(
    pair: Any, table: Table, known: Table, names: Sequence[tuple[str, ...]]
) -> tuple[int, int]:
    """Codes of a minority group that the user writes as in y and group."""
    try:
        first, second = pair
    except (TypeError, ValueError):
        raise InputError(
            f"minority: {pair!r} must be a pair of a class and an attribute; correct it"
        ) from None
    found = []
    for value, column, own in zip((first, second), ("y", "group"), names, strict=True):
        (text,) = values.texts([value], "minority", 1)
        codes = dict(zip(table.columns[column], known.columns[column], strict=True))
        coding = label_coding(own)[0]
        code = coding.get(codes.get(text, text))
        if code is None:
            raise InputError(
                f"minority: {value!r} is not a value of {column}, whose values are "
                f"{', '.join(sorted(set(table.columns[column]))[:20])}"
            )
        found.append(code)
    return found[0], found[1]


def _splits(given: Any, n: int) -> Ints:
    """(n,) codes of the splits; all TRAIN where none is given."""
    if given is None:
        return np.full(n, TRAIN)
    if values.column(given, "split", n).dtype == bool:
        raise InputError('split holds True and False; give "train" and "test"')
    table = Table(Path("Data"), tuple(range(n)), {"split": values.texts(given, "split", n)}, "row")
    splits = table.codes("split", SPLITS, "0..2 (train, val, test)")
    if not (splits == TEST).any() or (splits == TEST).all():
        lacks = "train" if (splits == TEST).all() else "test"
        raise InputError(
            f"split has no {lacks} row (0 is train, 1 is val, 2 is test); give some, or leave "
            'split out and give splits="random" to run'
        )
    return splits


def _names(given: Any, field: str, n: int) -> tuple[str, ...]:
    names = values.texts(given, field, n)
    missing = [row for row, text in enumerate(names) if text in ("", "nan")]
    if missing:
        raise InputError(f"{field}[{missing[0]}] is missing; name it, or leave the row out")
    return names


def _by_ids(given: Any, n: int) -> Ints:
    """(n,) rows in the order of their ids: by number where all are whole numbers."""
    ids = _names(given, "ids", n)
    if len(set(ids)) < n:
        twice = Counter(ids).most_common(1)[0][0]
        raise InputError(f"ids: {twice!r} is there twice; give each sample a name of its own")
    whole = all(text.lstrip("-").isdecimal() for text in ids)
    return np.array(sorted(range(n), key=lambda r: int(ids[r]) if whole else ids[r]), np.int64)


def _by_content(parts: Sequence[NDArray[Any]]) -> Ints:
    """(n,) rows in an order that follows from what they hold."""
    texts = [hashlib.sha256(b"".join(p[r].tobytes() for p in parts)).digest()
             for r in range(len(parts[0]))]  # fmt: skip
    return np.array(sorted(range(len(texts)), key=texts.__getitem__), dtype=np.int64)


def _digest(*arrays: NDArray[Any]) -> str:
    """sha256 of arrays, their shapes included."""
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(f"{array.shape} {array.dtype.str} ".encode())
        whole.update(np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()
