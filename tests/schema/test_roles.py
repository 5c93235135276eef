"""Roles of fields: every field has one, and what a key, a report or a sweep takes follows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pytest

from w2s_groups.core.roles import CROSSED, HIDDEN, IN_KEY, Role, names, plain, role
from w2s_groups.data import DATASETS
from w2s_groups.finetuning import TUNINGS
from w2s_groups.schema.config import Config
from w2s_groups.schema.draws import DrawsConfig
from w2s_groups.schema.features import FeaturesConfig
from w2s_groups.schema.prediction import PlanConfig, PredictConfig


@pytest.mark.parametrize("schema", [Config, PredictConfig, PlanConfig, DrawsConfig, FeaturesConfig])
def test_every_field_has_a_role(schema: type[Config]) -> None:
    lacking = [f.name for f in fields(schema) if not isinstance(f.metadata.get("role"), Role)]
    assert lacking == []


def test_no_role_is_both_in_the_key_and_hidden() -> None:
    assert not IN_KEY & HIDDEN
    assert CROSSED < IN_KEY


def test_lists_that_are_crossed_are_in_the_order_of_a_cell() -> None:
    crossed = ["teacher", "student", "eta_l", "eta_u", "n_l", "n_u", "seeds"]
    assert names(Config, *CROSSED) == crossed


@pytest.mark.parametrize("schema", [*DATASETS.values(), *TUNINGS.values()])
def test_a_path_or_a_pace_of_a_nested_configuration_is_hidden(schema: type[Any]) -> None:
    """Whatever its name says to be a place; a dataset's own recipe is shown."""
    places = {"root", "archive", "cutouts", "backgrounds"}
    own = {f.name for f in fields(schema)}
    assert set(names(schema, Role.place)) == own & places
    assert set(names(schema, *HIDDEN)) == own & (places | {"shared", "checkpoint_minutes"})


def test_plain_leaves_out_roles_at_every_depth() -> None:
    @dataclass
    class Inner:
        kept: int = 1
        path: str = role(Role.place, "here")

    @dataclass
    class Outer:
        inner: Any
        workers: int = role(Role.machine, 2)

    assert plain(Outer([Inner()]), HIDDEN) == {"inner": [{"kept": 1}]}
    assert plain(Outer({"a": Inner()})) == {
        "inner": {"a": {"kept": 1, "path": "here"}},
        "workers": 2,
    }
