"""A composed folder of the user's own: checked before it is made, and whole or absent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import content_hash
from w2s_groups.data.compositing.layout import Row, Split, assigned, layout, shares
from w2s_groups.data.compositing.masks import Instance
from w2s_groups.data.compositing.paste import open_cutout, reading
from w2s_groups.data.compositing.render import BUILDER, Look, render
from w2s_groups.data.compositing.sources import (
    Cutouts,
    Sources,
    file_of,
    n_pictures,
    refuse_shared,
    same_content,
    walk,
)
from w2s_groups.data.files.cache import Progress, created
from w2s_groups.data.files.parallel import run_all
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import group_counts

SPLITS = ("train", "val", "test")  # at their codes


def split_of(
    groups: Groups, code: int, n: int, eta: float | None, share: float, counterfactual: bool
) -> Split:
    """A split of n images with equal classes and minority fraction eta; None: groups equal too.

    Counterfactual sets fill all groups of a class alike. Raises InputError where that, or the
    groups, rule out eta or n.
    """
    field, n_attributes = f"--{SPLITS[code]}", len(groups.attribute_names)
    if not counterfactual:
        if eta is None:
            classes = shares(n, len(groups.class_names))
            equal = [count for size in classes for count in shares(size, n_attributes)]
            return Split(code, tuple(equal), share)
        priors = np.full(len(groups.class_names), 1 / len(groups.class_names))
        try:
            counts = group_counts(groups, priors, n, eta)
        except InputError as error:
            raise InputError(f"{field}: {error}") from error
        return Split(code, tuple(counts.tolist()), share)
    if n % n_attributes:
        raise InputError(
            f"{field} {n}: counterfactual sets have {n_attributes} images, one on each "
            f"background; ask for {n + n_attributes - n % n_attributes}"
        )
    counts = np.repeat(shares(n // n_attributes, len(groups.class_names)), n_attributes)
    n_minority = int(counts[groups.is_minority].sum())
    if eta is not None and abs(eta * n - n_minority) >= 1:
        raise InputError(
            f"{field} {n}:{eta:g} cannot be of counterfactual sets, which put each cut-out in "
            f"every group of its class and so have eta={n_minority / n:g}; write {field} {n}, or "
            "name the splits that are to be sets, as in --counterfactual test"
        )
    return Split(code, tuple(counts.tolist()), share, counterfactual=True)


def compose_folder(
    out: Path,
    cutouts: Cutouts,
    backgrounds: Sources,
    groups: Groups,
    splits: Sequence[Split],
    look: Look,
    seed: int,
    progress: Progress,
) -> list[Row]:
    """Make `out`, which must be absent or empty; returns what each image shows, in order.

    Nothing is written before all pictures that will be used were found usable, and no part of the
    folder is left by an error or a stop. The same arguments and pictures give the same bytes.
    """
    try:
        rows = layout(n_pictures(cutouts), n_pictures(backgrounds), splits, seed)
    except InputError as error:
        raise InputError(
            f"{error}: add pictures, or count each picture in a sub-folder of cut-outs as one "
            "with --identity picture"
        ) from error
    for sources in (cutouts, backgrounds):
        paths = [file_of(picture) for *_, picture in walk(sources)]
        refuse_shared(sources, same_content(paths))
    used = _used(rows, cutouts, backgrounds, groups)
    _check(used, look, progress)
    recipe = _recipe(used, cutouts, backgrounds, groups, splits, look, seed)
    created(
        out,
        recipe,
        lambda folder, step: render(
            rows, cutouts, backgrounds, look, folder, step, progress, named=True
        ),
        "composing",
    )
    return rows


def _used(
    rows: Iterable[Row], cutouts: Cutouts, backgrounds: Sources, groups: Groups
) -> tuple[list[Path | Instance], list[Path]]:
    """Cut-outs and backgrounds that the rows show, each once."""
    figures = dict.fromkeys((row.y, row.cutout) for row in rows)
    places = dict.fromkeys((row.a, row.background) for row in rows)
    return (
        [cutouts[groups.class_names[y]][identity][k] for y, (identity, k) in figures],
        [backgrounds[groups.attribute_names[a]][identity][k] for a, (identity, k) in places],
    )


def _check(used: tuple[list[Path | Instance], list[Path]], look: Look, progress: Progress) -> None:
    """Open what will be used: cut-outs whole, as transparency shows nowhere else."""
    figures, places = used

    def cutout(source: Path | Instance) -> int:
        open_cutout(source, look.longest)
        return 1

    def background(path: Path) -> int:
        with reading(path), Image.open(path):
            return 1

    run_all(background, places, len(places), "checking backgrounds", progress)
    run_all(cutout, figures, len(figures), "checking cut-outs", progress)


def _recipe(
    used: tuple[list[Path | Instance], list[Path]],
    cutouts: Cutouts,
    backgrounds: Sources,
    groups: Groups,
    splits: Sequence[Split],
    look: Look,
    seed: int,
) -> dict[str, Any]:
    """All that the bytes follow from, and nothing of the machine."""
    parts = assigned(n_pictures(cutouts), n_pictures(backgrounds), splits, seed)
    files = [file_of(picture) for source in used for picture in source]
    content = hashlib.sha256("".join(map(content_hash, files)).encode()).hexdigest()
    return {
        "builder": BUILDER,
        "pillow": PIL.__version__,
        "classes": groups.class_names,
        "attributes": groups.attribute_names,
        "minority": sorted(groups.minority),
        "splits": [vars(split) for split in splits],
        "look": vars(look),
        "seed": seed,
        "content": content,
        "identities": {
            kind: {
                name: {SPLITS[s.code]: ids for s, ids in zip(splits, sides, strict=True)}
                for name, sides in part.items()
            }
            for kind, part in zip(("cutouts", "backgrounds"), parts, strict=True)
        },
    }
