"""CelebA: any of its 40 attributes as the class, any other as the attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.data.base import ImageDataset
from w2s_groups.data.files.cache import Progress
from w2s_groups.data.files.delimited import read_delimited
from w2s_groups.data.files.scan import require_files
from w2s_groups.data.files.table import Table, header_of, read_spaced
from w2s_groups.data.published import Published, check_counts, check_sizes
from w2s_groups.data.rows import SPLITS, groups_of
from w2s_groups.design.groups import Groups

PLACES = ("", "celebA_v1.0", "celebA/data", "celebA", "celeba")
IMAGES = ("img_align_celeba/img_align_celeba", "img_align_celeba", "Img/img_align_celeba")
NAMES = {"Blond_Hair": ("not blond", "blond"), "Male": ("female", "male")}
COUNTS = {  # of (Blond_Hair, Male)
    "train": (71629, 66874, 22880, 1387),
    "val": (8535, 8276, 2874, 182),
    "test": (9767, 7535, 2480, 180),
}
PERSONS = "identity_CelebA"
_CODES = {"-1": 0, "1": 1}


@dataclass
class CelebA(Published):
    """y: an attribute of CelebA, Blond_Hair by default. a: another, Male. Source: Liu et al., 2015.

    root: the folder with list_attr_celeba.csv or .txt and its partition, or the one above it.
    minority: (y, a) pairs. check_counts: refuse a release that is not whole. identity_column: a
    column of list_attr_celeba, or identity_CelebA for the persons of the file of that name.
    """

    target: str = MISSING
    attribute: str = MISSING
    minority: list[list[int]] = MISSING
    check_counts: bool = MISSING

    GET = (
        "the aligned images (202,599 files), list_attr_celeba and list_eval_partition from the "
        "authors' page or the Kaggle set jessicali9530/celeba-dataset; data/celeba/README.md says "
        "how they are checked"
    )

    def named_groups(self) -> Groups:
        """The groups that the settings name."""
        return groups_of(names_of(self.target), names_of(self.attribute), self.minority)

    def holds_set(self, folder: Path) -> bool:
        """Whether `folder` looks like what data.root has to be; no file is read."""
        return any(
            path.is_file()
            for place in PLACES
            for path in _candidates(folder / place, "list_attr_celeba")
        )

    def read(self, root: Path, cache: Path, progress: Progress) -> ImageDataset:
        """All images below `root` with their official split."""
        if self.target == self.attribute:
            raise InputError(
                f"data.target and data.attribute are both {self.target}; name another attribute"
            )
        attributes, partition, folder = self._tables(root)
        known = self.shown.names(attributes)
        images = _images(folder, attributes.unique("image_id"))
        files = attributes.files("image_id", images)
        labels, confounders = (
            attributes.codes(name, _CODES, f"-1, 1 ({', '.join(names_of(name))})")
            for name in (self.target, self.attribute)
        )
        groups = self.named_groups()
        require_files(folder, files, str(attributes.path), lambda i: f"line {attributes.lines[i]}")
        split = _joined(attributes, partition)
        dataset = ImageDataset(
            self.name, labels, confounders, split, groups, root=folder, files=files, **known
        )
        if self.check_counts:
            self._check(dataset)
        return dataset

    def _tables(self, root: Path) -> tuple[Table, Table, Path]:
        """Attributes, partition, and the folder below which everything is."""
        for place in PLACES:
            folder = root / place
            pair = [
                next((p for p in _candidates(folder, stem) if p.is_file()), None)
                for stem in ("list_attr_celeba", "list_eval_partition")
            ]
            if pair[0] is None:
                continue
            if pair[1] is None:
                raise InputError(
                    f"data {self.name}: {pair[0]} is there and list_eval_partition.csv or .txt is "
                    f"not; put it into {folder}"
                )
            for field in ("target", "attribute"):
                known = header_of(pair[0])
                if getattr(self, field) not in known:
                    raise unknown_name(f"data.{field}", getattr(self, field), known)
            own = [column for column in self.shown.columns if column != PERSONS]
            needed = ("image_id", self.target, self.attribute, *own)
            spaced = pair[0].suffix == ".txt"
            attributes = read_spaced(pair[0], needed) if spaced else read_delimited(pair[0], needed)
            if PERSONS in self.shown.columns:
                attributes = _with_persons(attributes, folder)
            columns = ("image_id", "partition")
            if pair[1].suffix == ".txt":
                return attributes, read_spaced(pair[1], columns, columns), folder
            return attributes, read_delimited(pair[1], columns), folder
        raise InputError(
            f"data {self.name}: there is no list_attr_celeba.csv or .txt in {root} or its folders "
            f"{', '.join(PLACES[1:])}; get it with list_eval_partition and img_align_celeba, as "
            "data/celeba/README.md says, and set data.root to the folder with them"
        )

    def _check(self, dataset: ImageDataset) -> None:
        if (self.target, self.attribute) == ("Blond_Hair", "Male"):
            check_counts(dataset, COUNTS)
        else:
            check_sizes(dataset, {name: sum(counts) for name, counts in COUNTS.items()})


def names_of(attribute: str) -> tuple[str, str]:
    """Names of an attribute's codes 0 (-1 in the files) and 1."""
    word = attribute.lower().replace("_", " ")
    return NAMES.get(attribute, (f"not {word}", word))


def _candidates(folder: Path, stem: str) -> list[Path]:
    """As Kaggle and wilds have it, then the original distribution's own folders."""
    places = (folder, folder / "Anno", folder / "Eval")
    return [place / f"{stem}{suffix}" for suffix in (".csv", ".txt") for place in places]


def _with_persons(attributes: Table, folder: Path) -> Table:
    """The table with the column PERSONS, empty for images that the file does not list."""
    columns = ("image_id", PERSONS)
    path = next((path for path in _candidates(folder, PERSONS) if path.is_file()), None)
    if path is None:
        raise InputError(
            f"data.identity_column={PERSONS}: there is no {PERSONS}.txt in {folder} or its folder "
            "Anno; get it from the authors' page, or set data.identity_column=null"
        )
    listed = read_spaced(path, columns, columns)
    person = dict(zip(listed.unique("image_id"), listed.columns[PERSONS], strict=True))
    persons = tuple(person.get(name, "") for name in attributes.columns["image_id"])
    return replace(attributes, columns={**attributes.columns, PERSONS: persons})


def _images(folder: Path, ids: Sequence[str]) -> str:
    """The folder of images below `folder`, with a slash: the one that holds most probably all."""
    for place in IMAGES:
        if (folder / place / ids[0]).is_file():
            return f"{place}/"
    return next((f"{place}/" for place in IMAGES if (folder / place).is_dir()), f"{IMAGES[1]}/")


def _joined(attributes: Table, partition: Table) -> NDArray[np.int64]:
    """(N,) split of each image by its image_id; the two files need not be in one order."""
    ids, known = attributes.columns["image_id"], partition.unique("image_id")
    codes = partition.codes("partition", SPLITS, "0..2 (train, val, test)")
    split = dict(zip(known, codes.tolist(), strict=True))
    lacking = [row for row, name in enumerate(ids) if name not in split]
    if lacking:
        raise InputError(
            f"{attributes.where(lacking[0])}: {ids[lacking[0]]} and {len(lacking) - 1} other "
            f"images are not in {partition.path.name}; restore it"
        )
    if len(known) != len(ids):
        listed = set(ids)
        row = next(row for row, name in enumerate(known) if name not in listed)
        raise InputError(
            f"{partition.where(row)}: {known[row]} and {len(known) - len(ids) - 1} other images "
            f"are not in {attributes.path.name}; restore it"
        )
    return np.array([split[name] for name in ids], dtype=np.int64)
