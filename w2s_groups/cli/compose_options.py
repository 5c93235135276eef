"""The options of `w2s-groups compose`, and the values that they hold."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from w2s_groups.cli.errors import Parser
from w2s_groups.data.compositing.folder import SPLITS

_DESCRIPTION = """\
Paste cut-outs of each class on photographs of each attribute value, and write a folder in the
Waterbirds format (metadata.csv and the images) with exact counts per group and split. No
cut-out identity and no background photograph is in two splits. The same options and pictures
give the same bytes. The last lines printed are the command that runs the benchmark on it.
"""
_EXAMPLES = """\
examples:
  Birds with transparency, two folders of photographs; 5 % of the training set against the rule:
    w2s-groups compose birds --cutouts landbird=cut/land waterbird=cut/water \\
      --backgrounds land=photos/land water=photos/water --train 3600:0.05 --val 600 --test 1000

  COCO's masks on Places' nested folders:
    w2s-groups compose pets --coco instances_val2017.json --coco-images val2017 \\
      --coco-classes cat=cat dog=dog --backgrounds indoor=places/b/bedroom outdoor=places/y/yard

  Test images in pairs that differ only in the background:
    w2s-groups compose birds --cutouts ... --backgrounds ... --counterfactual test

A name's place in its list is its code: landbird is y = 0, waterbird y = 1. metadata.csv has the
columns img_id, img_filename, y, split (0 train, 1 val, 2 test), place (the attribute) and
place_filename, and with --counterfactual pair: the number of the set an image belongs to.
"""


def parser() -> Parser:
    """A parser of every option, in four groups."""
    made = Parser(
        prog="w2s-groups compose",
        usage="w2s-groups compose OUT --cutouts CLASS=FOLDER CLASS=FOLDER [...]\n"
        "         --backgrounds VALUE=FOLDER VALUE=FOLDER [...] [options]",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    made.add_argument(
        "out", type=Path, metavar="OUT", help="folder to make; it must not exist, or be empty"
    )
    _of_cutouts(made.add_argument_group("cut-outs: from folders, from COCO's masks, or from both"))
    _of_backgrounds(made.add_argument_group("backgrounds"))
    _of_images(made.add_argument_group("number of images, groups and splits"))
    _of_appearance(made.add_argument_group("appearance of the images"))
    return made


def _of_cutouts(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--cutouts",
        nargs="+",
        action="extend",
        default=[],
        type=_folder,
        metavar="CLASS=FOLDER",
        help="folders of pictures with transparency; naming a class again adds a folder to it",
    )
    add(
        "--identity",
        choices=("folder", "picture"),
        default="folder",
        help="which cut-outs stay together in one split: those of a sub-folder, such as all views "
        "of one object (default: folder), or each picture by itself",
    )
    add("--coco", type=Path, metavar="FILE", help="instances_*.json, with polygons or run lengths")
    add("--coco-images", type=Path, metavar="FOLDER", help="the photographs that FILE lists")
    add(
        "--coco-classes",
        nargs="+",
        action="extend",
        default=[],
        type=_categories,
        metavar="CLASS=CATEGORY[,CATEGORY]",
        help="the categories of FILE that make a class; each photograph is one identity",
    )
    add(
        "--min-area",
        type=float,
        default=9216,
        metavar="PIXELS",
        help="smallest object of FILE to use (default: 9216 = 96 x 96, COCO's 'large')",
    )
    add(
        "--objects",
        choices=("largest", "all"),
        default="largest",
        help="use the largest object of a photograph (default: largest), or all objects of the "
        "largest one's class",
    )


def _of_backgrounds(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--backgrounds",
        nargs="+",
        action="extend",
        default=[],
        type=_folder,
        metavar="VALUE=FOLDER",
        help="folders of photographs for each attribute value, searched to any depth; naming a "
        "value again adds a folder to it",
    )


def _of_images(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    for name, default, text in (
        (
            "train",
            "3600",
            "number of training images, and the fraction of them in minority groups; without ETA "
            "all groups have equal counts (default: 3600)",
        ),
        ("val", None, "the same for the validation set (default: none)"),
        ("test", "1000", "the same for the test set (default: 1000)"),
    ):
        add(f"--{name}", type=_size, default=default, metavar="N[:ETA]", help=text)
    add(
        "--minority",
        nargs="+",
        action="extend",
        default=[],
        metavar="GROUP",
        help="minority groups, such as landbird-on-water (default: all with y different from a)",
    )
    add(
        "--counterfactual",
        nargs="*",
        choices=SPLITS,
        metavar="SPLIT",
        help="make these splits (default: all) of sets of images: one cut-out at one position, "
        "size and flip, on a background of every attribute value; the groups of such a split have "
        "equal counts",
    )
    add(
        "--val-share",
        type=float,
        default=0.15,
        metavar="F",
        help="fraction of the identities and of the photographs for validation (default: 0.15)",
    )
    add(
        "--test-share",
        type=float,
        default=0.3,
        metavar="F",
        help="the same for the test set (default: 0.3); the rest is for training",
    )
    add("--seed", type=int, default=0, help="of the split and of every placement (default: 0)")


def _of_appearance(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--size", type=int, default=224, help="side of the images in pixels (default: 224)")
    add(
        "--scale",
        type=float,
        nargs=2,
        default=(0.55, 0.85),
        metavar=("LOW", "HIGH"),
        help="longer side of the cut-out / side of the image (default: 0.55 0.85)",
    )
    add(
        "--crop",
        type=float,
        nargs=2,
        default=(0.6, 1.0),
        metavar=("LOW", "HIGH"),
        help="square cut from a photograph / its shorter side (default: 0.6 1)",
    )
    add("--format", choices=("jpeg", "png"), default="jpeg", help="of the images (default: jpeg)")
    add("--quality", type=int, default=95, help="of JPEG files (default: 95)")
    add("--name", help="data.name in the benchmark's reports (default: the folder's name)")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not value or not re.fullmatch(r"\w[\w-]*", name):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=..., with a name of letters, digits, _ and -"
        )
    return name, value


def _folder(text: str) -> tuple[str, Path]:
    name, value = _pair(text)
    return name, Path(value).expanduser()


def _categories(text: str) -> tuple[str, list[str]]:
    name, value = _pair(text)
    return name, [category.strip() for category in value.split(",")]


def _size(text: str) -> tuple[int, float | None]:
    """N[:ETA]; without ETA all groups have equal counts."""
    n, colon, eta = text.partition(":")
    try:
        size, fraction = int(n), float(eta) if colon else None
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not N or N:ETA, such as 3600:0.05") from None
    if not 1 <= size <= 10**7 or not 0 <= (fraction or 0) <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} needs 1 <= N <= 10000000 and 0 <= ETA <= 1")
    return size, fraction
