"""w2s-groups compose: cut-outs on backgrounds as a Waterbirds-format folder, for any eta."""

from __future__ import annotations

import argparse
import itertools
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.files import check_writable, shipped
from w2s_groups.core.progress import Steps
from w2s_groups.data.base import TEST, TRAIN, VAL, in_range
from w2s_groups.data.compositing import coco
from w2s_groups.data.compositing.folder import SPLITS, compose_folder, split_of
from w2s_groups.data.compositing.layout import Row, Split
from w2s_groups.data.compositing.render import Look
from w2s_groups.data.compositing.sources import Cutouts, sources_in
from w2s_groups.data.files.cache import refuse_filled
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import Request, check_feasible, class_priors
from w2s_groups.schema.fields import as_folder

_DESCRIPTION = """\
Paste cut-outs of each class on photographs of each attribute value, and write a folder in the
Waterbirds format (metadata.csv beside the images) with exact counts per group and split. No
cut-out identity and no background photograph is in two splits. The same options and pictures
give the same bytes. At the end stands the command that runs the benchmark on the folder.
"""
_EXAMPLES = """\
examples:
  Birds with transparency, two folders of photographs; 5 % of the training set against the rule:
    w2s-groups compose birds --cutouts landbird=cut/land waterbird=cut/water \\
      --backgrounds land=photos/land water=photos/water --train 3600:0.05 --val 600 --test 1000

  COCO's masks on Places' nested folders:
    w2s-groups compose pets --coco instances_val2017.json --coco-images val2017 \\
      --coco-classes cat=cat dog=dog --backgrounds indoor=places/b/bedroom outdoor=places/y/yard

  Test images in pairs that differ in the background alone:
    w2s-groups compose birds --cutouts ... --backgrounds ... --counterfactual test

A name's place in its list is its code: landbird is y = 0, waterbird y = 1. metadata.csv has the
columns img_id, img_filename, y, split (0 train, 1 val, 2 test), place (the attribute) and
place_filename, and with --counterfactual pair: the number of the set an image belongs to.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; w2s-groups compose --help lists every option")


def main(argv: Sequence[str]) -> int:
    """Exit status 0, or 2 after one line on stderr for a user's mistake or a stop."""
    parser = _options()
    try:
        options, unknown = parser.parse_known_args(argv)
        if unknown:
            known = [name for action in parser._actions for name in action.option_strings]
            raise unknown_name("option", unknown[0].partition("=")[0], known)
        with Steps() as steps:
            name, groups, rows, splits = _compose(options, steps)
        print(f"{options.out} is ready.\n\n{table(groups, splits, rows)}\n")
        print(_next(name, options.out, groups, rows))
    except InputError as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: stopped; no part of the folder was kept", file=sys.stderr)
        return 2
    return 0


def _options() -> _Parser:
    parser = _Parser(
        prog="w2s-groups compose",
        usage="w2s-groups compose OUT --cutouts CLASS=FOLDER CLASS=FOLDER [...]\n"
        "         --backgrounds VALUE=FOLDER VALUE=FOLDER [...] [options]",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="folder to make; it must not exist, or be empty"
    )

    add = parser.add_argument_group(
        "cut-outs, from folders or from COCO's masks or both"
    ).add_argument
    add(
        "--cutouts",
        nargs="+",
        action="extend",
        default=[],
        type=_folder,
        metavar="CLASS=FOLDER",
        help="folders of pictures with transparency; a class named again adds a folder to it",
    )
    add(
        "--identity",
        choices=("folder", "picture"),
        default="folder",
        help="what never crosses a split: a sub-folder of cut-outs as a whole, such as all views "
        "of one object (default), or each picture for itself",
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
        help="which of FILE's categories make a class; each photograph is one identity",
    )
    add(
        "--min-area",
        type=float,
        default=9216,
        metavar="PIXELS",
        help="smallest object of FILE that is used (default 9216 = 96 x 96, COCO's 'large')",
    )
    add(
        "--objects",
        choices=("largest", "all"),
        default="largest",
        help="objects of a photograph: its largest (default), or all of that one's class",
    )

    add = parser.add_argument_group("backgrounds").add_argument
    add(
        "--backgrounds",
        nargs="+",
        action="extend",
        default=[],
        type=_folder,
        metavar="VALUE=FOLDER",
        help="folders of photographs per attribute value, searched to any depth; a value named "
        "again adds a folder to it",
    )

    add = parser.add_argument_group("what is made").add_argument
    for name, default, what in (
        (
            "train",
            "3600",
            "training images, and the fraction of them in minority groups; without ETA all groups "
            "are equal (default 3600)",
        ),
        ("val", None, "the same for the validation set (default none)"),
        ("test", "1000", "the same for the test set (default 1000)"),
    ):
        add(f"--{name}", type=_size, default=default, metavar="N[:ETA]", help=what)
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
        help="make these splits (default: all) of sets: one cut-out in one place, size and flip on "
        "a background of every attribute value; a split's groups are then equal",
    )
    add(
        "--val-share",
        type=float,
        default=0.15,
        metavar="F",
        help="fraction of the identities, of both kinds, that is validation's (default 0.15)",
    )
    add(
        "--test-share",
        type=float,
        default=0.3,
        metavar="F",
        help="the same for the test (default 0.3); training takes the rest",
    )
    add("--seed", type=int, default=0, help="of the split and of every placement (default 0)")

    add = parser.add_argument_group("how it looks").add_argument
    add("--size", type=int, default=224, help="side of the images in pixels (default 224)")
    add(
        "--scale",
        type=float,
        nargs=2,
        default=(0.55, 0.85),
        metavar=("LOW", "HIGH"),
        help="longer side of the cut-out / side of the image (default 0.55 0.85)",
    )
    add(
        "--crop",
        type=float,
        nargs=2,
        default=(0.6, 1.0),
        metavar=("LOW", "HIGH"),
        help="square cut from a photograph / its shorter side (default 0.6 1)",
    )
    add("--format", choices=("jpeg", "png"), default="jpeg", help="of the images (default jpeg)")
    add("--quality", type=int, default=95, help="of JPEG files (default 95)")
    add("--name", help="data.name in the benchmark's reports (default: the folder's name)")
    return parser


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
    """N[:ETA]; no ETA: all groups alike."""
    n, colon, eta = text.partition(":")
    try:
        size, fraction = int(n), float(eta) if colon else None
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not N or N:ETA, such as 3600:0.05") from None
    if not 1 <= size <= 10**7 or not 0 <= (fraction or 0) <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} needs 1 <= N <= 10000000 and 0 <= ETA <= 1")
    return size, fraction


def _compose(options: Any, steps: Steps) -> tuple[str, Groups, list[Row], list[Split]]:
    look = Look(
        options.size,
        tuple(options.crop),
        tuple(options.scale),
        options.quality,
        options.format == "png",
    )
    look.check("--")
    in_range("--seed", options.seed, 0, 2**63)
    options.out = options.out.expanduser().resolve()
    refuse_filled(options.out, "OUT")
    groups = _groups(options)
    splits = _splits(options, groups)
    backgrounds = sources_in(options.backgrounds, "--backgrounds ", each=True)
    cutouts = _cutouts(options)
    check_writable(options.out.parent, "OUT's folder")
    rows = compose_folder(
        options.out, cutouts, backgrounds, groups, splits, look, options.seed, steps
    )
    return options.name or options.out.name, groups, rows, splits


def _groups(options: Any) -> Groups:
    classes, attributes = (
        list(dict.fromkeys(name for name, _ in pairs))
        for pairs in ((*options.cutouts, *options.coco_classes), options.backgrounds)
    )
    both = {name for name, _ in options.cutouts} & {name for name, _ in options.coco_classes}
    if both:
        raise InputError(
            f"class {min(both)} is in --cutouts and in --coco-classes; take it from one of them"
        )
    for field, names, example in (
        ("--cutouts or --coco-classes", classes, "--cutouts landbird=FOLDER waterbird=FOLDER"),
        ("--backgrounds", attributes, "--backgrounds land=FOLDER water=FOLDER"),
    ):
        if len(names) < 2:
            raise InputError(
                f"{field} names {', '.join(names) or 'nothing'}; two or more are needed, as in "
                f"{example}"
            )
    pairs = itertools.product(range(len(classes)), range(len(attributes)))
    code = {f"{classes[y]}-on-{attributes[a]}": (y, a) for y, a in pairs}
    for name in options.minority:
        if name not in code:
            raise unknown_name("--minority", name, code)
    if not options.minority and len(classes) != len(attributes):
        raise InputError(
            f"{len(classes)} classes and {len(attributes)} attribute values leave open which "
            f"groups are the minority; name them: --minority {list(code)[1]} ..."
        )
    minority = frozenset(code[name] for name in options.minority)
    return Groups(tuple(classes), tuple(attributes), minority)


def _splits(options: Any, groups: Groups) -> list[Split]:
    shares = {TRAIN: 1.0, VAL: options.val_share if options.val else 0.0, TEST: options.test_share}
    for field, share in (("--val-share", options.val_share), ("--test-share", options.test_share)):
        if not 0 < share < 1:
            raise InputError(f"{field}={share} must lie between 0 and 1")
    shares[TRAIN] = 1 - shares[VAL] - shares[TEST]
    if shares[TRAIN] <= 0:
        raise InputError(
            f"--val-share={options.val_share} and --test-share={options.test_share} leave no "
            "identity for training; their sum must be below 1"
        )
    asked = options.counterfactual
    splits = []
    for code, share in shares.items():
        size, name = getattr(options, SPLITS[code]), SPLITS[code]
        if size is None:
            if asked and name in asked:
                raise InputError(f"--counterfactual {name} has no images; add --{name} N")
            continue
        counterfactual = asked is not None and (not asked or name in asked)
        n, eta = size
        splits.append(split_of(groups, code, n, eta, share, counterfactual))
    return splits


def _cutouts(options: Any) -> Cutouts:
    each = options.identity == "picture"
    from_folders = sources_in(options.cutouts, "--cutouts ", each)
    wanted: dict[str, list[str]] = {}
    for name, categories in options.coco_classes:
        wanted.setdefault(name, []).extend(categories)
    given = [options.coco is not None, options.coco_images is not None, bool(wanted)]
    if any(given) and not all(given):
        raise InputError(
            "--coco FILE, --coco-images FOLDER and --coco-classes CLASS=CATEGORY go together; "
            "give all three"
        )
    if not wanted:
        return from_folders
    if not options.coco_images.is_dir():
        raise InputError(
            f"--coco-images={options.coco_images} is not a directory; name the photographs' folder"
        )
    masked = coco.instances(
        options.coco, options.coco_images, wanted, options.min_area, options.objects == "all"
    )
    return {**from_folders, **masked}


def table(groups: Groups, splits: Sequence[Split], rows: Sequence[Row]) -> str:
    """Images per split and group, and the identities that each split uses."""
    header = ["split", "images", "minority", *groups.names]
    body = []
    for split in splits:
        minority = sum(np.array(split.counts)[groups.is_minority]) / sum(split.counts)
        counts = (sum(split.counts), f"{minority:.4g}", *split.counts)
        body.append([SPLITS[split.code], *(str(value) for value in counts)])
    kinds = [*(f"{y} cut-outs" for y in groups.class_names), *groups.attribute_names]
    used: dict[int, list[set[str]]] = {s.code: [set() for _ in kinds] for s in splits}
    for row in rows:
        used[row.split][row.y].add(row.cutout[0])
        used[row.split][len(groups.class_names) + row.a].add(row.background[0])
    names = [*kinds[: len(groups.class_names)], *(f"{a} photos" for a in groups.attribute_names)]
    lower = [[SPLITS[code], *(str(len(ids)) for ids in sets)] for code, sets in used.items()]
    return f"{_aligned([header, *body])}\n\n{_aligned([['identities', *names], *lower])}"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _next(name: str, out: Path, groups: Groups, rows: Sequence[Row]) -> str:
    """The command that runs the benchmark on the folder, with sizes that the folder can serve."""
    pool = [row for row in rows if row.split != TEST]
    codes = groups.codes([row.y for row in pool], [row.a for row in pool])
    asked = servable(groups, codes)
    if asked is None:
        return "The folder is too small for the benchmark, which needs about 20 training images."
    words = [
        "data=folder",
        f"data.name={_text(as_folder(name))}",
        f"data.root={_text(str(out))}",
        f"data.class_names=[{','.join(map(_text, groups.class_names))}]",
        f"data.attribute_names=[{','.join(map(_text, groups.attribute_names))}]",
    ]
    default = Groups(groups.class_names, groups.class_names).minority
    if groups.minority != default or len(groups.class_names) != len(groups.attribute_names):
        pairs = ",".join(f"[{y},{a}]" for y, a in sorted(groups.minority))
        words.append(f"data.minority=[{pairs}]")
    words += [f"{field}={value}" for field, value in asked.items()]
    command = " \\\n    ".join(["python -m w2s_groups", *map(shlex.quote, words)])
    why = ""
    if "eta_l" in asked:
        why = ", at its own minority fraction, as it has too few images for others"
    elif asked:
        why = ", with the most images that it can serve at every minority fraction of the grid"
    return f"Run the benchmark on it{why}:\n\n  {command}"


def servable(groups: Groups, codes: NDArray[np.int64]) -> dict[str, Any] | None:
    """Overrides of conf/config.yaml's sizes and fractions, where a pool of these codes needs any.

    The default grid at the largest sizes that fit, in its own proportion; where that is not even
    16 images, the pool's own minority fraction alone; None if that fails too.
    """
    defaults = OmegaConf.load(shipped("conf", "conf") / "config.yaml")
    n_l, n_u = defaults.n_l, defaults.n_u
    own = round(min(float(groups.is_minority[codes].mean()), 0.5), 4)
    for etas_l, etas_u in ((list(defaults.eta_l), list(defaults.eta_u)), ([own], [own])):

        def fits(total: int, etas: tuple[list[float], list[float]] = (etas_l, etas_u)) -> bool:
            first = round(total * n_l / (n_l + n_u))
            priors = class_priors(groups, codes, defaults.class_balance)
            try:
                for eta_l, eta_u in itertools.product(*etas):
                    request = Request(first, total - first, eta_l, eta_u)
                    check_feasible(groups, codes, priors, request)
            except InputError:
                return False
            return True

        total = n_l + n_u
        if not fits(total):
            low, high = 0, total
            while high - low > 1:  # feasibility is monotone in n up to rounding
                middle = (low + high) // 2
                low, high = (middle, high) if fits(middle) else (low, middle)
            total = low
        first = round(total * n_l / (n_l + n_u))
        if first < 4 or total < 16:
            continue
        sizes = {"n_l": first, "n_u": total - first} if total < n_l + n_u else {}
        grid = {"eta_l": f"[{own}]", "eta_u": f"[{own}]"} if etas_l == [own] else {}
        return {**grid, **sizes}
    return None


def _text(value: str) -> str:
    """`value` as Hydra reads back: in quotes unless it is plainly a word or a path."""
    word = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*|/[A-Za-z0-9_./-]+", value)
    if word and value.lower() not in ("true", "false", "null", "nan", "inf"):
        return value
    return "'" + value.replace("'", "\\'") + "'"
