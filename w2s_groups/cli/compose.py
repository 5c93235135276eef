"""`w2s-groups compose`: cut-outs on backgrounds as a Waterbirds-format folder, for any eta."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from w2s_groups.cli import compose_options, compose_summary
from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.files import check_writable
from w2s_groups.core.progress import Steps
from w2s_groups.data.base import TEST, TRAIN, VAL, in_range
from w2s_groups.data.compositing import coco
from w2s_groups.data.compositing.folder import SPLITS, compose_folder, split_of
from w2s_groups.data.compositing.layout import Split
from w2s_groups.data.compositing.render import Look
from w2s_groups.data.compositing.sources import Cutouts, sources_in
from w2s_groups.data.files.cache import refuse_filled
from w2s_groups.design.groups import Groups


def main(argv: Sequence[str]) -> int:
    """Write the folder that the options describe, and print its counts and the next command."""
    options = compose_options.parser().parse_args(argv)
    look = _look(options)
    in_range("--seed", options.seed, 0, 2**63)
    out = options.out.expanduser().resolve()
    refuse_filled(out, "OUT")
    groups = _groups(options)
    splits = _splits(options, groups)
    backgrounds = sources_in(options.backgrounds, "--backgrounds ", each=True)
    cutouts = _cutouts(options)
    check_writable(out.parent, "OUT's folder")
    with Steps() as steps:
        rows = compose_folder(out, cutouts, backgrounds, groups, splits, look, options.seed, steps)
    print(f"{out} is ready.\n\n{compose_summary.table(groups, splits, rows)}\n")
    print(compose_summary.next_command(options.name or out.name, out, groups, rows))
    return 0


def _look(options: Any) -> Look:
    crop, scale = tuple(options.crop), tuple(options.scale)
    look = Look(options.size, crop, scale, options.quality, options.format == "png")
    look.check("--")
    return look


def _groups(options: Any) -> Groups:
    """Classes and attribute values in the order in which they are named; the minority groups."""
    by_class = (*options.cutouts, *options.coco_classes)
    both = {name for name, _ in options.cutouts} & {name for name, _ in options.coco_classes}
    if both:
        raise InputError(
            f"class {min(both)} is in --cutouts and in --coco-classes; take it from one of them"
        )
    classes = _names(
        by_class, "--cutouts or --coco-classes", "--cutouts landbird=FOLDER waterbird=FOLDER"
    )
    attributes = _names(
        options.backgrounds, "--backgrounds", "--backgrounds land=FOLDER water=FOLDER"
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
    return Groups(classes, attributes, frozenset(code[name] for name in options.minority))


def _names(pairs: Iterable[tuple[str, Any]], field: str, example: str) -> tuple[str, ...]:
    """Each first element once; InputError for fewer than two."""
    names = tuple(dict.fromkeys(name for name, _ in pairs))
    if len(names) < 2:
        raise InputError(
            f"{field} names {', '.join(names) or 'nothing'}; two or more are needed, as in "
            f"{example}"
        )
    return names


def _splits(options: Any, groups: Groups) -> list[Split]:
    """The splits that have a size, each with its share of the identities."""
    asked = options.counterfactual
    splits = []
    for code, share in _shares(options).items():
        size, name = getattr(options, SPLITS[code]), SPLITS[code]
        if size is not None:
            counterfactual = asked is not None and (not asked or name in asked)
            n, eta = size
            splits.append(split_of(groups, code, n, eta, share, counterfactual))
        elif name in (asked or ()):
            raise InputError(f"--counterfactual {name} has no images; add --{name} N")
    return splits


def _shares(options: Any) -> dict[int, float]:
    """Split code -> fraction of the identities."""
    for field, share in (("--val-share", options.val_share), ("--test-share", options.test_share)):
        if not 0 < share < 1:
            raise InputError(f"{field}={share} must lie between 0 and 1")
    val = options.val_share if options.val else 0.0
    train = 1 - val - options.test_share
    if train <= 0:
        raise InputError(
            f"--val-share={options.val_share} and --test-share={options.test_share} leave no "
            "identity for training; their sum must be below 1"
        )
    return {TRAIN: train, VAL: val, TEST: options.test_share}


def _cutouts(options: Any) -> Cutouts:
    from_folders = sources_in(options.cutouts, "--cutouts ", each=options.identity == "picture")
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
            f"--coco-images={options.coco_images} is not a directory; "
            "name the folder of the photographs"
        )
    masked = coco.instances(
        options.coco, options.coco_images, wanted, options.min_area, options.objects == "all"
    )
    return {**from_folders, **masked}
