"""Training within a random subspace of a network's weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_network import N, features_of, logits, make_side, problem, tuner

from w2s_groups.backbones import get_backbone
from w2s_groups.core.errors import InputError
from w2s_groups.finetuning import Full, HeadPlace, Lora, Subspace, Tuned
from w2s_groups.finetuning.laziness import agreement, alignment, movement
from w2s_groups.finetuning.network import Tunable
from w2s_groups.finetuning.side import Side
from w2s_groups.finetuning.solver import Scored
from w2s_groups.finetuning.trainings import Start
from w2s_groups.heads.problem import one_hot
from w2s_groups.heads.solve import solve

INSIDE = Subspace("subspace", 4, 8, 1.0, 1e6, d=20)
OUTSIDE = replace(INSIDE, head=HeadPlace.outside)


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory) -> Side:
    made = make_side(tmp_path_factory.mktemp("images"))
    made.pixels.room = N  # every image is read once
    return made


@pytest.fixture(scope="module")
def features(side: Side) -> dict[str, NDArray[np.float32]]:
    return features_of(side)


def test_no_dimension_is_the_head_on_frozen_features(
    side: Side, features: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    (found,) = tuner(side, tmp_path, replace(OUTSIDE, d=0))(features, [problem()])
    (head,) = solve(features, [problem()], tol=1e-8)
    np.testing.assert_array_equal(
        logits(found, features["student"]), logits(head, features["student"])
    )
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"finetune.d=0 .*finetune.head=outside"):
        replace(INSIDE, d=0)


@pytest.mark.parametrize(("settings", "D"), [(INSIDE, 191), (OUTSIDE, 185)])
def test_as_many_dimensions_as_weights_that_are_used_are_refused(
    side: Side, features: dict[str, NDArray[np.float32]], tmp_path: Path, settings: Subspace, D: int
) -> None:
    """185 weights act, 6 are of a layer that is not called; 6 are the head's."""
    with pytest.raises(InputError, match=f"finetune.d={D} is not below the {D} weights of the stu"):
        tuner(side, tmp_path, replace(settings, d=D))(features, [problem()])
    tuner(side, tmp_path, replace(settings, d=D - 1, epochs=1))(features, [problem()])


@pytest.mark.parametrize("settings", [INSIDE, OUTSIDE])
def test_without_a_step_it_is_the_start(
    side: Side, features: dict[str, NDArray[np.float32]], tmp_path: Path, settings: Subspace
) -> None:
    still = replace(settings, lr=0.0, search=False)
    (found,) = tuner(side, tmp_path, still)(features, [problem()])
    (head,) = solve(features, [problem()], tol=1e-8)
    expected = logits(head, features["student"]) * (settings.head is HeadPlace.outside)
    np.testing.assert_allclose(logits(found, features["student"]), expected, rtol=1e-4, atol=1e-4)


def test_the_learning_rate_of_the_lowest_loss_on_held_out_rows_is_taken(
    side: Side, features: dict[str, NDArray[np.float32]], tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    with caplog.at_level("INFO"):
        (found,) = tuner(side, tmp_path, INSIDE)(features, [problem()])
    (line,) = [r.getMessage() for r in caplog.records if "is taken" in r.getMessage()]
    losses = [float(v) for v in line.split("losses ")[1].split(";")[0].split(", ")]
    rate = [1 / 3, 1.0, 3.0][int(np.argmin(losses))]
    assert "on 4 held-out images lr = 0.333, 1, 3" in line
    assert f"lr = {rate:.3g} is taken" in line
    fixed = replace(INSIDE, lr=rate, search=False)
    (again,) = tuner(side, tmp_path, fixed)(features, [problem()])
    np.testing.assert_array_equal(
        logits(found, features["student"]), logits(again, features["student"])
    )


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("during", ["learning rate 2 of 3: steps", "1 of 1: steps"])
def test_a_killed_search_goes_on_to_the_same_bytes(
    side: Side, features: dict[str, NDArray[np.float32]], tmp_path: Path, during: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    settings = replace(INSIDE, diagnostics=3)
    (whole,) = tuner(side, tmp_path / "whole", settings)(features, [problem()])
    often = replace(settings, checkpoint_minutes=0.0)

    def kill(what: str, done: int, total: int) -> None:
        if what.endswith(during) and done == 6:
            raise _Killed

    with pytest.raises(_Killed):
        tuner(side, tmp_path / "killed", often, progress=kill)(features, [problem()])
    with caplog.at_level("INFO"):
        (found,) = tuner(side, tmp_path / "killed", often)(features, [problem()])
    assert "goes on at step 5" in caplog.text
    (one,), (other,) = (tmp_path / "whole").iterdir(), (tmp_path / "killed").iterdir()
    assert one.name == other.name
    assert one.read_bytes() == other.read_bytes()
    assert isinstance(found, Scored)
    assert isinstance(whole, Scored)
    np.testing.assert_array_equal(found.measured, whole.measured)


@pytest.mark.parametrize(
    "settings",
    [INSIDE, OUTSIDE, Full("full", 4, 8, 1e-2, 1e6),
     Lora("lora", 4, 8, 1e-2, 1e6, rank=2, alpha=4.0)],
)  # fmt: skip
def test_a_fit_is_measured_on_its_way(
    side: Side, features: dict[str, NDArray[np.float32]], tmp_path: Path, settings: Tuned
) -> None:
    """Measures leave the fit as it is, and at a large scale they are those of lazy training."""
    settings = replace(settings, **({"search": False} if isinstance(settings, Subspace) else {}))
    (plain,) = tuner(side, tmp_path, settings)(features, [problem()])
    asked = replace(settings, diagnostics=2)
    (found,) = tuner(side, tmp_path, asked)(features, [problem()])
    lazy_asked = replace(asked, scale=1000.0)
    (lazy,) = tuner(side, tmp_path, lazy_asked)(features, [problem()])
    assert isinstance(found, Scored)
    assert isinstance(lazy, Scored)
    np.testing.assert_array_equal(found.values, plain.logits(features["student"], np.arange(N)))
    assert found.measured[:, 0].tolist() == [6, 12]
    _, moved, alike, aligned = found.measured[-1]
    assert moved > 1e-3
    assert 0.2 < lazy.measured[-1, 1] * 1000 / moved < 5
    assert lazy.measured[-1, 2] >= 0.97 >= alike - 0.03
    assert 0 <= aligned < 0.999
    assert lazy.measured[-1, 3] > 0.999
    (kept,) = tuner(side, tmp_path, asked)(features, [problem()])
    assert isinstance(kept, Scored)
    np.testing.assert_array_equal(kept.measured, found.measured)


def test_three_classes_within_a_subspace(
    side: Side, features: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    targets = one_hot(np.arange(24) % 3, 3)
    asked = replace(INSIDE, diagnostics=1)
    (found,) = tuner(side, tmp_path, asked)(features, [problem(targets=targets)])
    assert logits(found, features["student"]).shape == (N, 3)


def test_measures_of_arrays() -> None:
    rng = np.random.default_rng(0)
    before = [torch.ones(3, 4), torch.zeros(2)]
    after = [torch.ones(3, 4) * 2, torch.full((2,), 2.0)]
    assert movement(before, after) == pytest.approx((20 / 12) ** 0.5)
    assert movement(before, after, [torch.full((4,), 2.0)]) == pytest.approx((20 / 28) ** 0.5)
    assert np.isnan(movement([], []))
    logit = rng.normal(size=(10, 1))
    flipped = np.where(np.arange(10)[:, None] < 3, -logit, logit)
    assert agreement(logit, flipped) == 0.7
    many = rng.normal(size=(10, 3))
    assert agreement(many, 2 * many + 1) == 1
    features: Any = rng.normal(size=(20, 50))
    rotation = np.linalg.qr(rng.normal(size=(50, 50)))[0]
    assert alignment(features, 3 * features @ rotation) == pytest.approx(1)
    assert alignment(features, rng.normal(size=(20, 50))) < 0.9
    assert np.isnan(alignment(features, np.ones((20, 50))))


@pytest.mark.parametrize(
    ("name", "D"), [("squeezenet1_1", 722_496), ("efficientnet_lite0", 3_371_008)]
)
def test_weights_of_packaged_networks_that_act(name: str, D: int) -> None:
    """EfficientNet-lite0 keeps the 1,281,000 weights of a class layer that features do not use."""
    backbone = get_backbone(f"packaged/{name}", 32)
    zeros = np.zeros((backbone.width, 1), np.float32), np.zeros(1, np.float32)
    standard = np.zeros(backbone.width), np.ones(backbone.width)
    module = Tunable(
        backbone.load(), backbone.preprocessing, *standard, (zeros,), INSIDE, seed=0
    )  # fmt: skip
    start = Start(module, backbone.blank())
    assert sum(p.numel() for p in start.body) == D
    assert len(start.live) == len(start.body) + 2
