"""Keys of cells: what changes them, field by field, and what must not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from squares import make_folder, places

from w2s_groups.core.roles import HIDDEN, IN_KEY, Role, names
from w2s_groups.experiment import settings
from w2s_groups.experiment.division import by_part
from w2s_groups.experiment.identity import planned
from w2s_groups.experiment.inputs import Memory
from w2s_groups.experiment.prepare import prepare
from w2s_groups.results.select import Rule
from w2s_groups.schema.choices import ClassBalance, HeadKind, OnBadImage, Precision, Task, Verify
from w2s_groups.schema.config import Config
from w2s_groups.schema.splits import Random

Load = Callable[..., Config]
NET = """
from torch import nn

def pooled(size):
    return nn.Sequential(nn.AdaptiveAvgPool2d(size), nn.Flatten())

def means():
    return pooled(1)

def quarters():
    return pooled(2)

def ninths():
    return pooled(3)

def sums():
    return nn.Sequential(*means(), nn.Linear(3, 4))
"""
SMALL = (
    *("data=folder", "data.name=squares", "data.class_names=[low,high]", "image_size=32"),
    *("data.attribute_names=[green,blue]", "eta_l=0.25", "eta_u=0.25", "n_l=8", "n_u=16"),
    *("seeds=[0]", "methods=[teacher,w2s]"),
)
MEMORY = Memory(64)


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    root = tmp_path_factory.mktemp("identity")
    (root / "net.py").write_text(NET)
    own = places(make_folder(root / "data"), root / "cache", root)
    return (
        *(*SMALL, *own, f"teacher=module/{root}/net.py:means"),
        f"student=module/{root}/net.py:quarters",
    )


@pytest.fixture(scope="module")
def base(load: Load, setting: tuple[str, ...]) -> Config:
    return load(*setting)


def keys(cfg: Config) -> list[str]:
    prepared = prepare(cfg, MEMORY)
    return [
        stored.key
        for pair in cfg.pairs
        for part, own in by_part(prepared.cells)
        for stored in planned(prepared, prepared.pair(*pair, part), own).values()
    ]


def shown(cfg: Config) -> Any:
    prepared = prepare(cfg, MEMORY)
    return settings.asked(cfg, prepared.cells, prepared.original)


def other_network(cfg: Config) -> list[str]:
    return [cfg.teacher[0].replace("means", "ninths")]


# Field -> values of other fields under which it plays a part, and another value of its own.
CHANGED: dict[str, tuple[dict[str, Any], Any]] = {
    "data": ({}, lambda cfg: replace(cfg.data, test_fraction=0.5, pool=type(cfg.data.pool).all)),
    "teacher": ({}, other_network),
    "student": ({}, other_network),
    "methods": ({}, lambda cfg: {"teacher": cfg.methods["teacher"]}),
    "vary": ({}, {"w2s": {"l2": [0.1]}}),
    "trials": (
        {"trials": {"w2s": {"l2_per_feature": [0.001]}}, "select": Rule.labelled},
        {"w2s": {"l2_per_feature": [0.01]}},
    ),
    "eta_l": ({}, 0.5),
    "eta_u": ({}, 0.5),
    "n_l": ({}, 12),
    "n_u": ({}, 20),
    "n_val": ({}, 4),
    "eta_val": ({"n_val": 4}, 0.25),
    "seeds": ({}, [1]),
    "eta_o": ({"eta_l": "original"}, 0.25),
    "permute_labels": ({}, True),
    "class_balance": ({}, ClassBalance.dataset),
    "head": ({}, HeadKind.ridge),
    "l2_path": ({"head": HeadKind.ridge}, [0.1, 1.0]),
    "mlp": ({"head": HeadKind.mlp}, lambda cfg: replace(cfg.mlp, width=7)),
    "splits": ({}, lambda cfg: Random("random", 0, True, 2, 0.5)),
    "tol": ({}, 1e-5),
    "image_size": ({}, 64),
    "precision": ({}, Precision.bfloat16),
}
COMPOSED = {"l2": "l2=0.1", "finetune": "finetune=full"}  # fields that other groups follow
NUMERIC = {"task"}  # fields that need data with a numeric target
GRADIENTS = {"ntk"}  # and those that need a network with parameters
KEPT: dict[str, Any] = {
    "experiment_name": "other",
    "experiment": object(),
    "select": Rule.no_groups,
    "n_seeds": 1,
    "batch_size": 3,
    "workers": 1,
    "threads": 1,
    "device": "auto",
    "on_bad_image": OnBadImage.skip,
    "verify": Verify.full,
    "memory_limit_gb": 8.0,
    "fail_fast": True,
    "store_outputs": True,
    "dimensions": False,
    "cache_dir": "cache",
    "results_dir": "elsewhere",
    "reports_dir": "elsewhere",
}


def test_every_field_is_held_to_its_role_here() -> None:
    assert {*CHANGED, *COMPOSED, *NUMERIC, *GRADIENTS} == set(names(Config, *IN_KEY))
    assert {*CHANGED, *COMPOSED, *NUMERIC, *GRADIENTS, *KEPT} == {f.name for f in fields(Config)}


@pytest.mark.parametrize("name", CHANGED)
def test_a_field_of_the_identity_changes_the_key(base: Config, name: str) -> None:
    others, value = CHANGED[name]
    before = replace(base, **others)
    after = replace(before, **{name: value(before) if callable(value) else value})
    assert set(keys(before)).isdisjoint(keys(after))


@pytest.mark.parametrize("name", COMPOSED)
def test_a_field_that_others_follow_changes_the_key(
    load: Load, setting: tuple[str, ...], base: Config, name: str
) -> None:
    assert set(keys(base)).isdisjoint(keys(load(*setting, COMPOSED[name])))


def test_the_task_changes_the_key_and_is_shown_only_where_it_is_regression(load: Load) -> None:
    small = ("data=gaussian", "data.n_pool=400", "data.n_test=40", "n_l=20", "n_u=20", "head=ridge")
    classes = load(*small, "methods=[teacher,w2s]", "seeds=[0]")
    target = replace(classes, task=Task.regression)
    assert set(keys(classes)).isdisjoint(keys(target))
    assert {**shown(classes), "task": "regression"} == shown(target)


def test_settings_of_gradients_change_the_key_where_some_are_taken(
    load: Load, setting: tuple[str, ...], base: Config
) -> None:
    own = [f"teacher=ntk/{base.teacher[0].replace('means', 'sums')}", *setting[-1:]]
    two = [load(*setting[:-2], *own, f"ntk.k={k}") for k in (5, 6)]
    assert set(keys(two[0])).isdisjoint(keys(two[1]))
    assert shown(two[0])["ntk"] == {**shown(two[1])["ntk"], "k": 5}
    without = load(*setting, "ntk.k=5")
    assert keys(without) == keys(base)
    assert shown(without) == shown(base)


@pytest.mark.parametrize("name", KEPT)
def test_no_other_field_changes_it(base: Config, tmp_path: Path, name: str) -> None:
    """Nor do the settings of a report show a field that is hidden."""
    before = replace(base, n_val=4, vary={"w2s": {"l2": [0.1]}}) if name == "select" else base
    value = KEPT[name]
    after = replace(before, **{name: str(tmp_path / value) if name == "cache_dir" else value})
    assert keys(after) == keys(before)
    assert (shown(after) == shown(before)) == (name in names(Config, *HIDDEN))


def test_the_place_of_data_and_the_pace_of_fine_tuning_change_nothing(
    load: Load, setting: tuple[str, ...], base: Config, tmp_path: Path
) -> None:
    shutil.copytree(base.data.root, tmp_path / "copy")
    moved = replace(base, data=replace(base.data, root=str(tmp_path / "copy")))
    stopping = replace(base, data=replace(base.data, shared=type(base.data.shared).stop))
    assert keys(moved) == keys(stopping) == keys(base)
    assert shown(moved) == shown(stopping) == shown(base)
    tuned = load(*setting, "finetune=full")
    often = replace(tuned, finetune=replace(tuned.finetune, checkpoint_minutes=0.5))
    assert keys(often) == keys(tuned)
    assert shown(often) == shown(tuned)
    for name, value in (("scale", 2.0), ("diagnostics", 3)):  # later fields, where they are set
        assert name not in shown(tuned)["finetune"]
        changed = replace(tuned, finetune=replace(tuned.finetune, **{name: value}))
        assert set(keys(changed)).isdisjoint(keys(tuned))
        assert shown(changed)["finetune"][name] == value


def test_a_column_of_identities_matters_where_it_is_set(base: Config) -> None:
    """Reports say it; keys change only where it changes the split."""
    assert not {"identity_column", "place_column"} & set(shown(base)["data"])
    named = replace(base, data=replace(base.data, identity_column="img_id"))
    assert shown(named)["data"] == {**shown(base)["data"], "identity_column": "img_id"}
    assert keys(named) == keys(base)
    anew = [
        replace(cfg, data=replace(cfg.data, pool=type(cfg.data.pool).all)) for cfg in (base, named)
    ]
    assert set(keys(anew[0])).isdisjoint(keys(anew[1]))


def test_jobs_that_share_data_share_what_was_read(base: Config) -> None:
    memory = Memory(8)
    first, again = prepare(base, memory), prepare(replace(base, n_u=20), memory)
    assert again.loaded is first.loaded
    assert again.pair(*base.pairs[0]).pool is first.pair(*base.pairs[0]).pool
    other = prepare(replace(base, **{names(base, Role.features)[1]: 64}), memory)
    assert other.loaded is not first.loaded
    third = replace(base, student=[*base.student, *other_network(base)])
    several = prepare(third, memory)
    assert len(third.pairs) == 2
    one, two = (several.pair(*pair).pool.features["student"].shape for pair in third.pairs)
    assert one != two
