"""The checks of w2s_groups.testing hold for what is right and name what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from w2s_groups import testing
from w2s_groups.backbones.base import Backbone
from w2s_groups.backbones.module_file import IMAGENET
from w2s_groups.data.base import DatasetConfig, FeatureDataset
from w2s_groups.data.gaussian import Gaussian
from w2s_groups.methods import METHODS
from w2s_groups.methods.base import Draws
from w2s_groups.methods.plugins import method

CALLS: list[int] = []


def test_a_method_of_the_package_keeps_the_contract() -> None:
    testing.check_method(METHODS["jtt"], settings={"l2_first": 1.0, "upweight": 5.0})


@method(needs="teacher", sources="this test")
def plain(draws: Draws, solved: Any) -> Any:
    """W2S."""
    return solved["teacher"].proba(draws.unlabelled)


@method(sources="this test")
def curious(draws: Draws, solved: Any) -> Any:
    """Reads the truth."""
    return draws.y_unlabelled + 0


@method(needs="teacher", sources="this test")
def counting(draws: Draws, solved: Any) -> Any:
    """Changes from call to call."""
    CALLS.append(0)
    shares = np.full((len(draws.unlabelled), draws.y_labelled.shape[1]), 0.0)
    shares[:, int(len(CALLS) % 3 == 0)] = 1.0
    return shares


@method(sources="this test")
def two_classes(draws: Draws, solved: Any) -> Any:
    """Knows two classes."""
    return np.full((len(draws.unlabelled), 2), 0.5)


def test_a_method_that_keeps_the_contract() -> None:
    testing.check_method(plain)
    testing.check_method(two_classes, classes=(2,))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (curious, "curious fails with 2 classes: TypeError.* that it does not declare"),
        (counting, "counting answers otherwise when asked again with 2 classes"),
        (two_classes, "two_classes fails with 3 classes: targets have shape"),
    ],
)
def test_what_breaks_the_contract_of_methods(given: Any, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        testing.check_method(given)


def test_summary_sources_and_needs_are_asked_for() -> None:
    for facts, sentence in (
        ({}, "has no summary"), ({"summary": "x"}, "has no sources"),
        ({"summary": "x", "sources": "y", "needs": "nobody"}, "needs nobody, which is not"),
    ):  # fmt: skip
        made = method(**facts)(silent)
        with pytest.raises(AssertionError, match=sentence):
            testing.check_method(made)


def silent(draws: Any, solved: Any) -> Any:
    return None


@dataclass
class Own(DatasetConfig):
    """A dataset of a plug-in. fault: field -> what stands in its place."""

    fault: Any = None

    NETWORKS = ("own/weak", "own/strong")

    def load(self, cache: Path, progress: Any = None) -> FeatureDataset:
        good = Gaussian(
            name="gaussian", n_pool=60, n_test=60, d_z=2, p_w=5, p_s=3, p_sw=1.5, mu_w=2.0,
            mu_s=0.5, sigma_xi=0.7, sigma_y=0.5, seed=0,
        ).load(cache)  # fmt: skip
        return replace(good, **(self.fault or {}))


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"a": np.zeros(7, dtype=np.int64)}, r"own: a has shape \(7,\).* must be \(120,\)"),
        ({"y": np.full(120, 2)}, r"y reaches from 2 to 2; it must lie in 0\.\.1"),
        ({"split": np.full(120, 2)}, "split has no training or validation rows"),
        ({"split": np.zeros(120, dtype=np.int64)}, "has no test samples of"),
        ({"target": np.full(120, np.nan)}, "target has shape"),
        ({"features": {"teacher": np.ones((120, 2))}}, "features of the student have shape"),
        ({"features": {s: np.full((120, 2), np.inf) for s in ("teacher", "student")}}, "hold nan"),
        ({"key": ""}, "key is empty"),
    ],
)
def test_what_breaks_the_contract_of_datasets(fault: dict[str, Any], sentence: str) -> None:
    testing.check_dataset(Own(name="own"))
    with pytest.raises(AssertionError, match=sentence):
        testing.check_dataset(Own(name="own", fault=fault))


class Means(nn.Module):
    """(B, 3, H, W) -> (B, 3). mode: what is wrong with it."""

    def __init__(self, mode: str = "") -> None:
        super().__init__()
        self.mode = mode

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        means = images.mean(dim=(2, 3))
        if self.mode == "batch":
            return means - means.mean(dim=0)
        return means / 0 if self.mode == "inf" else means


def test_what_breaks_the_contract_of_networks() -> None:
    def network(mode: str = "", identity: str = "00") -> Backbone:
        return Backbone("own/means", identity, lambda: Means(mode), IMAGENET)

    testing.check_backbone(network())
    for wrong, sentence in (
        (network(identity=""), "no weights_hash"), (network("inf"), "gives nan or inf"),
        (network("batch"), "other features in another batch"),
    ):  # fmt: skip
        with pytest.raises(AssertionError, match=sentence):
            testing.check_backbone(wrong)
