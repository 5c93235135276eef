"""A data set of the Hugging Face hub, or one on disk as parquet or arrow files."""

from __future__ import annotations

import errno
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.core.roles import Role, role
from w2s_groups.data.base import Listed
from w2s_groups.data.files.cache import MARKER, Progress, built, key
from w2s_groups.data.files.hf_columns import (
    check_files,
    check_holds_texts,
    image_kind,
    label_texts,
    name_texts,
    require_columns,
    value_texts,
)
from w2s_groups.data.files.table import Table
from w2s_groups.data.identities import Shown
from w2s_groups.data.labels import named
from w2s_groups.data.ondisk import OnDisk, split_codes
from w2s_groups.data.rows import Codes, check_texts, codes_of, dataset_of, groups_of, texts_of
from w2s_groups.data.targets import BINS, binned, check_target
from w2s_groups.design.groups import Groups

_SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp", b"GIF8": ".gif"}
_DATA = (".parquet", ".arrow", ".csv", ".json", ".jsonl")
_BATCH = 256  # images in memory at a time
_PAIR, _TARGET = ("text", "second"), "target"


@dataclass
class HuggingFace(OnDisk):
    """Images or texts, y and a from columns. Needs the extra w2s_groups[hf].

    hub: a name such as owner/set, fetched once into the cache; subset: one of its configurations;
    revision: one of its commits, or null for the last; or root: a folder of parquet or arrow files,
    or one that save_to_disk wrote. image_column: an image (bytes or a path), or texts that are
    paths below root. text_columns: a column of texts, or two of pairs, in place of it.
    splits: the set's split -> train, val, test or drop. class_names, attribute_names: null takes a
    ClassLabel's names, or the column's values; names of a ClassLabel in another order give codes
    in that order, other names rename its codes. minority: (y, a) pairs; empty means a != y.
    target_column, target_edges: as in metadata_csv. Image
    bytes are written once, as files below cache/images that are named by split and content.
    """

    hub: str | None = MISSING
    image_column: str = MISSING
    text_columns: list[str] = MISSING
    y_column: str | None = MISSING
    a_column: str = MISSING
    splits: dict[str, str] = MISSING
    class_names: list[str] | None = MISSING
    attribute_names: list[str] | None = MISSING
    minority: list[list[int]] = MISSING
    subset: str | None = role(Role.if_set, None)
    revision: str | None = role(Role.if_set, None)
    target_column: str | None = role(Role.if_set, None)
    target_edges: list[float] | None = role(Role.if_set, None)

    SOURCES: ClassVar[tuple[str, ...]] = ("root", "archive", "hub")

    def _located(self, cache: Path, progress: Progress) -> Path:
        return cache if self.hub is not None else super()._located(cache, progress)

    def read(self, root: Path, cache: Path, progress: Progress) -> Listed:
        """All images or texts below `root` with their official split."""
        check_texts(self.text_columns)
        check_target(self.target_column, self.target_edges, self.y_column)
        source = self._open(root, cache)
        owner = self.hub or str(root)
        targets = split_codes(self.splits, source, owner)
        parts = {name: source[name] for name, target in targets.items() if target is not None}
        if not any(map(len, parts.values())):
            raise InputError(f"data: {owner} holds no row in a split that is kept; set data.splits")
        self._check_columns(parts, owner)
        labels = [column for column in (self.y_column, self.a_column) if column is not None]
        if self.hub is None:
            check_files(root, labels)
        columns, names = self._classes(parts)
        a, attributes = label_texts(parts, self.a_column, self.attribute_names, "attribute_names")
        splits = (str(targets[name]) for name, part in parts.items() for _ in range(len(part)))
        columns |= {"a": tuple(a), "split": tuple(splits)}
        known = self.shown.by_field
        columns |= {field: tuple(name_texts(parts, column)) for field, column in known.items()}
        shown = Shown(**{field: field for field in known})  # as this table calls them
        table = Table(Path(owner), tuple(range(len(columns["a"]))), columns, unit="row")
        target = self.target_column and _TARGET
        names, table = binned(table, target, self.target_edges, names)
        coded = ("y" if self.y_column else BINS, "a", "split")
        classes, table = named(table, coded[0], names, "y")
        attributes, table = named(table, "a", attributes, "a")
        groups = groups_of(classes, attributes, self.minority)
        self.check_labels(owner, groups, *codes_of(table, coded, groups))
        folder, inputs = self._inputs(parts, root, cache, progress)
        table = replace(table, columns={**table.columns, **inputs})
        if self.text_columns:
            return texts_of(self.name, table, tuple(inputs), coded, groups, shown, target)
        return dataset_of(self.name, folder, table, ("file", *coded), groups, shown, target)

    def _classes(
        self, parts: Mapping[str, Any]
    ) -> tuple[dict[str, tuple[str, ...]], Sequence[str] | None]:
        """The columns of labels y and of the target, where they are asked for; names of classes."""
        columns: dict[str, tuple[str, ...]] = {}
        names: Sequence[str] | None = self.class_names
        if self.target_column is not None:
            columns[_TARGET] = tuple(value_texts(parts, self.target_column))
        if self.y_column is not None:
            y, names = label_texts(parts, self.y_column, self.class_names, "class_names")
            columns["y"] = tuple(y)
        return columns, names

    def check_labels(self, owner: str, groups: Groups, y: Codes, a: Codes, split: Codes) -> None:
        """Called with the codes (N,) of all rows before any image is written; owner: of the set."""

    def _check_columns(self, parts: Mapping[str, Any], owner: str) -> None:
        """InputError unless each part has each column once, with images or texts."""
        inputs = self.text_columns or [self.image_column]
        named_ones = (*inputs, self.y_column, self.a_column, self.target_column)
        wanted = [column for column in named_ones if column is not None]
        for split, part in parts.items():
            require_columns(part, (*wanted, *self.shown.columns), split, owner)
            if not self.text_columns:
                image_kind(part, self.image_column, split)
            for column in self.text_columns:
                check_holds_texts(part, column, split)
        if len(set(wanted)) < len(wanted):
            raise InputError(
                f"data.{'text_columns' if self.text_columns else 'image_column'}, y_column and "
                f"a_column are {', '.join(wanted)}; name a column once"
            )

    def _inputs(
        self, parts: Mapping[str, Any], root: Path, cache: Path, progress: Progress
    ) -> tuple[Path, dict[str, tuple[str, ...]]]:
        """The folder of the images, and the columns of files or texts."""
        if not self.text_columns:
            folder, files = self._files(parts, root, cache, progress)
            return folder, {"file": tuple(files)}
        return root, {
            name: tuple(text or "" for part in parts.values() for text in part[column])
            for name, column in zip(_PAIR, self.text_columns, strict=False)
        }

    def holds_set(self, folder: Path) -> bool:
        """Whether `folder` looks like what data.root has to be; no file is read."""
        there = [p for p in folder.iterdir() if not p.name.startswith(".") and p.name != MARKER]
        return any(path.is_file() and path.suffix in _DATA for path in there) or any(
            (folder / name).exists() for name in ("dataset_dict.json", "state.json", "data")
        )

    def _open(self, root: Path, cache: Path) -> Mapping[str, Any]:
        """Split name -> datasets.Dataset."""
        try:
            import datasets
        except ImportError as error:
            raise InputError(
                "data=huggingface needs the package datasets; run pip install 'w2s_groups[hf]'"
            ) from error
        where = str(cache / "huggingface")
        try:
            if self.hub is not None:
                opened = datasets.load_dataset(
                    self.hub, self.subset, revision=self.revision, cache_dir=where
                )
            elif (root / "dataset_dict.json").is_file() or (root / "state.json").is_file():
                opened = datasets.load_from_disk(str(root))
            else:
                opened = datasets.load_dataset(str(root), cache_dir=where)
        except Exception as error:  # each builder, file system and codec has its own
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            remedy = (
                "check the name and the network, or fetch its parquet files elsewhere and set "
                "data.root to their folder"
                if self.hub is not None
                else "set data.root to a folder of parquet or arrow files, or one of save_to_disk"
            )
            raise InputError(
                f"data.{'hub' if self.hub else 'root'}={self.hub or root} can't be read "
                f"({reason}); {remedy}"
            ) from error
        return {"train": opened} if isinstance(opened, datasets.Dataset) else dict(opened)

    def _files(
        self, parts: Mapping[str, Any], root: Path, cache: Path, progress: Progress
    ) -> tuple[Path, list[str]]:
        """The folder and, in order, the file of each image below it."""
        kinds = {image_kind(part, self.image_column, split) for split, part in parts.items()}
        if kinds == {"path"}:
            return root, [text or "" for part in parts.values() for text in part[self.image_column]]
        if len(kinds) > 1:
            raise InputError(
                f"data.image_column={self.image_column} holds images in some splits and paths in "
                "others; write all of them in one way"
            )
        total = sum(map(len, parts.values()))
        names: list[str] = []
        seen: Counter[str] = Counter()
        for done, (split, data) in enumerate(self._images(parts, root), start=1):
            suffix = next((s for magic, s in _SUFFIXES.items() if data.startswith(magic)), ".img")
            stem = f"{split}/{hashlib.sha256(data).hexdigest()[:32]}"
            seen[stem] += 1
            names.append(f"{stem}{f'-{seen[stem]}' if seen[stem] > 1 else ''}{suffix}")
            progress(f"reading {self.name}", done, total)
        # A name stands for the content, so that the same images in any order are one folder.
        digest = hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
        recipe = {"images": digest, "splits": sorted(parts)}

        def write(folder: Path, step: str) -> None:
            for done, (_, data) in enumerate(self._images(parts, root), start=1):
                path = folder / names[done - 1]
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
                progress(step, done, total)

        folder = built(cache / "images" / key(recipe), recipe, write, f"writing {self.name}")
        return folder, names

    def _images(self, parts: Mapping[str, Any], root: Path) -> Iterator[tuple[str, bytes]]:
        """(split, bytes) of each image as they are stored; none is decoded."""
        import datasets

        for split, part in parts.items():
            plain = part.cast_column(self.image_column, datasets.Image(decode=False))
            rows = plain.select_columns([self.image_column]).with_format("arrow")
            number = 0
            for batch in rows.iter(batch_size=_BATCH):
                for image in batch.column(self.image_column).to_pylist():
                    yield split, _bytes(image, root, split, number)
                    number += 1


def _bytes(image: Mapping[str, Any] | None, root: Path, split: str, number: int) -> bytes:
    if image is not None and image.get("bytes") is not None:
        return bytes(image["bytes"])
    if image is None or not image.get("path"):
        raise InputError(
            f"data: row {number} of split {split} has no image; take the row out of the set"
        )
    path = root / str(image["path"])
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "not a regular file")
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"data: row {number} of split {split} names {path}, which can't be read "
            f"({error.strerror}); restore it"
        ) from error
