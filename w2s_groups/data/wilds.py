"""Any set of images or texts of the wilds package, read through its own class from a folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.data.base import TRAIN, ImageDataset, Listed, TextDataset
from w2s_groups.data.files.cache import Progress
from w2s_groups.data.files.scan import require_files
from w2s_groups.data.ondisk import split_codes
from w2s_groups.data.published import Published
from w2s_groups.data.rows import groups_of


@dataclass
class Wilds(Published):
    """y, and as the attribute any field of a WILDSDataset's metadata. Source: Koh et al., 2021.

    dataset: its name in wilds. root: the folder that holds <dataset>_v<version>. attribute: a field
    of metadata_fields. splits: wilds' split -> train, val, test or drop (left out). class_names,
    attribute_names: null takes the names of metadata_map, or the values themselves.
    identity_column, place_column: further fields, such as slide or location. minority: (y, a)
    pairs; empty means a != y. Sets of neither image files nor texts (graphs) are refused.
    """

    dataset: str = MISSING
    attribute: str = MISSING
    splits: dict[str, str] = MISSING
    class_names: list[str] | None = MISSING
    attribute_names: list[str] | None = MISSING
    minority: list[list[int]] = MISSING

    GET = (
        "the set as wilds unpacks it, a folder <dataset>_v<version> with its RELEASE file, from "
        "someone who has it (wilds' own host has been unusable since 2025)"
    )

    def holds_set(self, folder: Path) -> bool:
        """Whether `folder` looks like what data.root has to be; no file is read."""
        return any(path.is_dir() for path in folder.glob(f"{self.dataset}_v*"))

    def read(self, root: Path, cache: Path, progress: Progress) -> Listed:
        """All images or texts below `root` with their official split."""
        source = self._open(root)
        fields = list(source.metadata_fields)
        if "y" not in fields or source.y_size != 1 or not source.is_classification:
            raise InputError(
                f"data.dataset={self.dataset} has no single class per image; name a "
                "classification set of wilds"
            )
        known = [field for field in fields if field not in ("y", "from_source_domain")]
        asked = {"attribute": self.attribute}
        asked |= {f"{field}_column": column for field, column in self.shown.by_field.items()}
        for key, field in asked.items():
            if field not in known:
                raise unknown_name(f"data.{key}", field, known)
        table = np.asarray(source.metadata_array)
        names = source.metadata_map or {}
        (y, classes), (a, attributes) = (
            _coded(table[:, fields.index(field)], field, given, names.get(field))
            for field, given in (("y", self.class_names), (self.attribute, self.attribute_names))
        )
        split, kept = self._split(source)
        shown: dict[str, Any] = {
            key: _named(table[:, fields.index(field)], field, names.get(field), kept)
            for key, field in self.shown.by_field.items()
        }
        groups = groups_of(classes, attributes, self.minority)
        coded = y[kept], a[kept], split[kept], groups
        texts = _texts(source, kept)
        if texts is not None:
            lines = tuple(f"index {row}" for row in kept.tolist())
            return TextDataset(self.name, *coded, files=lines, texts=texts, **shown)
        folder = Path(source.data_dir)
        paths = _paths(source, kept)
        files = tuple(_below(path, folder, self.dataset) for path in paths)
        require_files(folder, files, f"wilds' {self.dataset}", lambda row: f"index {kept[row]}")
        return ImageDataset(self.name, *coded, root=folder, files=files, **shown)

    def _open(self, root: Path) -> Any:
        get_dataset = import_wilds()
        supported = sys.modules["wilds"].supported_datasets
        if self.dataset not in supported:
            raise unknown_name("data.dataset", self.dataset, supported)
        try:
            return get_dataset(self.dataset, root_dir=str(root), download=False)
        except FileNotFoundError as error:
            raise InputError(
                f"data.root={root} does not hold wilds' {self.dataset}: "
                f"{' '.join(str(error).split('Initialize')[0].split())} Its own host has been "
                "unusable since 2025: put the unpacked folder there, with its RELEASE file"
            ) from error
        except ImportError as error:
            raise InputError(
                f"data.dataset={self.dataset} needs the package {error.name}, which wilds does not "
                f"bring; run pip install {error.name}"
            ) from error
        except (KeyError, ValueError, OSError, AssertionError, IndexError, TypeError) as error:
            raise InputError(
                f"wilds can't read {self.dataset} in data.root={root} "
                f"({type(error).__name__}: {' '.join(str(error).split())}); restore its files"
            ) from error

    def _split(self, source: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(N,) split of each image, and the rows that are kept."""
        codes = np.asarray(source.split_array).astype(np.int64)
        split, kept = np.full(len(codes), TRAIN), np.zeros(len(codes), dtype=bool)
        for name, target in split_codes(self.splits, source.split_dict, "wilds").items():
            if target is not None:
                rows = codes == source.split_dict[name]
                split[rows], kept[rows] = target, True
        return split, np.flatnonzero(kept)


def import_wilds() -> Callable[..., Any]:
    """wilds.get_dataset, without the thread that asks the network for a newer release of wilds.

    InputError where wilds is not installed, or a pandas to whose tables its classes cannot write.
    """
    if int(version("pandas").partition(".")[0]) >= 3:
        raise InputError(
            "data=wilds needs pandas 2, since classes of wilds write to tables that pandas 3 makes "
            "read-only; run pip install 'w2s_groups[wilds]'"
        )
    if sys.modules.get("wilds") is None:
        before = sys.modules.get("outdated")
        sys.modules["outdated"] = None  # type: ignore[assignment]  # makes its import fail
        try:
            import wilds
        except ModuleNotFoundError as error:
            if error.name != "wilds":
                raise
            raise InputError(
                "data=wilds needs the package wilds; run pip install 'w2s_groups[wilds]'"
            ) from error
        finally:
            del sys.modules["outdated"]
            if before is not None:
                sys.modules["outdated"] = before
        assert wilds.get_dataset is not None
    get_dataset: Callable[..., Any] = sys.modules["wilds"].get_dataset
    return get_dataset


def _coded(
    values: NDArray[Any], field: str, given: Sequence[str] | None, mapped: Sequence[Any] | None
) -> tuple[NDArray[np.int64], list[str]]:
    """Codes 0..K-1 of a metadata column and their names. Raises InputError for a missing value."""
    lost = ~np.isfinite(values) | ((values < 0) & (field == "y"))
    if lost.any():
        row = int(np.flatnonzero(lost)[0])
        raise InputError(
            f"data: {field}={values[row]:g} at index {row} (and {int(lost.sum()) - 1} more) reads "
            "as a missing label; take these rows out of the set's table"
        )
    values = values.astype(np.int64)
    if mapped is not None and values.min() >= 0 and values.max() < len(mapped):
        names = [" ".join(str(name).split()) for name in mapped]
    else:
        levels, values = np.unique(values, return_inverse=True)
        names = [f"{field}={value}" for value in levels]
    if given is not None:
        if len(given) != len(names):
            raise InputError(
                f"data: {len(given)} names are given for {field}, which has {len(names)} values "
                f"({', '.join(names[:20])}); give as many"
            )
        names = list(given)
    return values, names


def _named(
    values: NDArray[Any], field: str, mapped: Sequence[Any] | None, kept: NDArray[np.int64]
) -> tuple[str, ...]:
    """The name that a metadata column gives each kept row, as `_coded` names its values."""
    codes, names = _coded(values, field, None, mapped)
    return tuple(names[code] for code in codes[kept].tolist())


class _Opened(BaseException):
    """Carries the path of an image out of the class that was about to open it."""


@contextmanager
def _recording(source: Any) -> Iterator[None]:
    """While open, `source` opens no image: its module's Image.open raises the path instead."""
    module = sys.modules[type(source).__module__]

    class Recorder:
        @staticmethod
        def open(path: Any, *args: Any, **kwargs: Any) -> NoReturn:
            raise _Opened(path)

    before = getattr(module, "Image", None)
    module.Image = Recorder  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if before is None:
            del module.Image
        else:
            module.Image = before  # type: ignore[attr-defined]


def _texts(source: Any, rows: NDArray[np.int64]) -> tuple[str, ...] | None:
    """The text of each row; None of a set of anything else.

    pandas reads "NA" and the like as missing, and so do the classes of wilds: such a text is empty.
    """
    texts = []
    with _recording(source):
        for row in rows.tolist():
            try:
                value = source.get_input(row)
            except _Opened:
                return None
            missing = isinstance(value, float) and np.isnan(value)
            if not isinstance(value, str) and not missing:
                return None
            texts.append("" if missing else value)
    return tuple(texts)


def _paths(source: Any, rows: NDArray[np.int64]) -> list[str]:
    """The image file of each row, as the set's own get_input finds it; nothing is opened."""
    paths = []
    with _recording(source):
        for row in rows.tolist():
            try:
                source.get_input(row)
            except _Opened as opened:
                paths.append(str(opened.args[0]))
            else:
                raise InputError(
                    f"data.dataset={source.dataset_name} holds neither image files nor texts (its "
                    "inputs are graphs or arrays), and nothing else can be read; name another set"
                )
    return paths


def _below(path: str, folder: Path, name: str) -> str:
    inside = str(folder)
    if not path.startswith(inside):
        raise InputError(
            f"wilds' {name} names {path}, which is outside {folder}; restore its files"
        )
    return path[len(inside) :].lstrip("/").replace("\\", "/")
