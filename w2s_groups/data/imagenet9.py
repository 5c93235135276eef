"""ImageNet-9 (Backgrounds Challenge): nine foreground classes on backgrounds of nine classes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TEST, TRAIN, VAL, ImageDataset
from w2s_groups.data.files.cache import Progress
from w2s_groups.data.files.scan import images_below
from w2s_groups.data.published import Published
from w2s_groups.design.groups import Groups

CLASSES = (
    *("dog", "bird", "wheeled vehicle", "reptile", "carnivore"),
    *("insect", "musical instrument", "primate", "fish"),
)
GROUPS = Groups(CLASSES, CLASSES)
_FOLDER = re.compile(r"(\d\d)_[\w -]+")
_OWN_BACKGROUND = {"original", "in9l", "mixed_same"}
_REMEDY = "get the set again, or set data.background to what the names follow"
_ENOUGH = 18  # images of a set from which its backgrounds are judged
PER_CLASS = 5045  # images of original/train in each of the nine classes


@dataclass
class ImageNet9(Published):
    """y: foreground class. a: background class; minority a != y. Source: arXiv 2006.09994.

    train_sets, val_sets, test_sets: folders such as mixed_rand/train, each with NN_class/ folders;
    the same one only once. background: a regular expression for file names, whose group
    `background` is the number of the background's class; images of sets in which the background is
    of the foreground's class (original, in9l, mixed_same) are read without it. Sets whose names
    tell one background for nearly all images of a class, where they should be random, are refused.
    check_counts: refuse an original/train that is not whole.
    """

    train_sets: list[str] = MISSING
    val_sets: list[str] = MISSING
    test_sets: list[str] = MISSING
    background: str = MISSING
    check_counts: bool = MISSING

    NO_COLUMNS = "imagenet9 lists its images in folders, and no table names what they come from"
    GET = (
        "original.tar.gz, mixed_same.tar.gz and mixed_rand.tar.gz, which the repository "
        "MadryLab/backgrounds_challenge links (original/train has 45,405 images), and unpack them "
        "side by side"
    )

    def named_groups(self) -> Groups:
        """The groups that the settings name."""
        return GROUPS

    def holds_set(self, folder: Path) -> bool:
        """Whether `folder` looks like what data.root has to be; no file is read."""
        return any((folder / name).is_dir() for name in (*self.train_sets, *self.test_sets))

    def read(self, root: Path, cache: Path, progress: Progress) -> ImageDataset:
        """All images below `root` with their official split."""
        try:
            pattern = re.compile(self.background)
        except re.error as error:
            raise InputError(
                f"data.background={self.background!r} is not a regular expression ({error}); "
                "correct it"
            ) from None
        if "background" not in pattern.groupindex:
            raise InputError(
                f"data.background={self.background!r} lacks the group (?P<background>...); add it"
            )
        names = [*self.train_sets, *self.val_sets, *self.test_sets]
        if len(set(names)) < len(names) or not self.train_sets or not self.test_sets:
            raise InputError(
                f"data.train_sets={self.train_sets}, val_sets={self.val_sets} and "
                f"test_sets={self.test_sets} must name each set once, one of train and one of test"
            )
        files: list[str] = []
        codes: list[tuple[int, int, int]] = []
        for split, sets in (
            (TRAIN, self.train_sets), (VAL, self.val_sets), (TEST, self.test_sets),
        ):  # fmt: skip
            for name in sets:
                of_set = _of_set(root, name)
                if self.check_counts:
                    _check(name, of_set)
                groups = [_groups(file, name, pattern) for file in of_set]
                _check_backgrounds(name, groups)
                files += of_set
                codes += [(split, y, a) for y, a in groups]
        _check_folders(files)
        split_y_a = np.array(codes, dtype=np.int64)
        split, y, a = split_y_a.T
        return ImageDataset(self.name, y, a, split, GROUPS, root=root, files=tuple(files))


def _of_set(root: Path, name: str) -> list[str]:
    folder = root / name
    if not folder.is_dir():
        there = sorted(
            f"{path.parent.name}/{path.name}" for path in root.glob("*/*") if path.is_dir()
        )
        raise InputError(
            f"data: there is no set {name} in {root}, which has {', '.join(there[:20]) or 'none'}; "
            "data/imagenet9/README.md says what to get; set data.root to the folder with it, or "
            "name other sets in data.train_sets and data.test_sets"
        )
    images = images_below(root, name.strip("/"))
    if not images:
        raise InputError(f"data: {folder} holds no image; restore it")
    return images


def _check(name: str, files: Sequence[str]) -> None:
    """InputError unless original/train has as many images of each class as the release."""
    if name.strip("/").split("/")[-2:] != ["original", "train"]:
        return
    n_of_folder = Counter(file.split("/")[-2] for file in files)
    for folder, n in sorted(n_of_folder.items()):
        if n != PER_CLASS:
            raise InputError(
                f"data: {name}/{folder} has {n} images and the release has {PER_CLASS}; restore "
                "the whole release, or set data.check_counts=false for a subset"
            )


def _check_folders(files: Sequence[str]) -> None:
    """InputError where NN_class names two classes for one number: the sets have to agree."""
    folders: dict[str, str] = {}
    for file in files:
        folder = next(part for part in file.split("/") if _FOLDER.fullmatch(part))
        number = folder.partition("_")[0]
        first = folders.setdefault(number, folder)
        if re.sub(r"[\W_]+", "", first).lower() != re.sub(r"[\W_]+", "", folder).lower():
            raise InputError(
                f"data: the sets number their classes differently ({first} and {folder}); restore "
                "the release's folders, 00_dog to 08_fish"
            )


def _check_backgrounds(name: str, groups: Sequence[tuple[int, int]]) -> None:
    """InputError where file names repeat a rule in place of what each background shows.

    In a set of random backgrounds one in nine is of each class. That more than half are k classes
    on, or of one background for a class, does not come by chance with _ENOUGH images. In other
    sets every image one class on is mixed_next's rule, which no set of another name follows.
    """
    if _OWN_BACKGROUND.intersection(name.split("/")) or len(groups) < _ENOUGH:
        return
    of_class = Counter(y for y, _ in groups)
    (y, a), n_same = Counter(groups).most_common(1)[0]
    offset, n = Counter((a - y) % len(CLASSES) for y, a in groups).most_common(1)[0]
    if "rand" in name.lower():
        wrong = n > len(groups) / 2
        if not wrong and of_class[y] >= _ENOUGH and n_same > of_class[y] / 2:
            raise InputError(
                f"data: the file names of {n_same} of {of_class[y]} images of {CLASSES[y]} in "
                f"{name} tell the background {CLASSES[a]}, and they should be random; {_REMEDY}"
            )
    else:
        wrong = offset == 1 and n == len(groups) and "next" not in name.lower()
    if wrong:
        rule = "the class itself" if offset == 0 else f"the class + {offset}"
        raise InputError(
            f"data: the file names of {n} of {len(groups)} images in {name} tell {rule} as the "
            f"background, which is a rule of naming and not what they show; {_REMEDY}"
        )


def _groups(file: str, name: str, pattern: re.Pattern[str]) -> tuple[int, int]:
    """(y, a) of an image, from its class folder and its name."""
    inside: Sequence[str] = file[len(name.strip("/")) + 1 :].split("/")
    match = _FOLDER.fullmatch(inside[0])
    if match is None or int(match[1]) >= len(CLASSES) or len(inside) < 2:
        raise InputError(
            f"data: {file} is not in a folder NN_class with NN from 00 to 08; restore the layout"
        )
    y = int(match[1])
    if _OWN_BACKGROUND.intersection(name.split("/")):
        return y, y
    background_of = pattern.search(inside[-1])
    try:
        a = int(background_of["background"]) if background_of else -1
    except ValueError:
        a = -1
    if not 0 <= a < len(CLASSES):
        raise InputError(
            f"data: the name of {file} tells no background class 0..8 by "
            f"data.background={pattern.pattern!r}; set it to what the set's names follow"
        )
    return y, a
