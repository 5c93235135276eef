"""Networks tuned with their heads, against frozen features, plain torch and themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from small_network import (
    PREPROCESSING,
    ROWS,
    N,
    Net,
    features_of,
    logits,
    make_side,
    problem,
    tuner,
)
from torch import nn

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.finetuning import Full, Lora, Tuned
from w2s_groups.finetuning.network import Tunable, adapted, layers
from w2s_groups.finetuning.side import Side
from w2s_groups.finetuning.solver import Scored
from w2s_groups.heads import mlp
from w2s_groups.heads.problem import Predictor, one_hot
from w2s_groups.heads.solve import solve
from w2s_groups.heads.training import Schedule, Training

FULL = Full("full", 2, 8, 1e-2, 1e6)
LORA = Lora("lora", 2, 8, 1e-2, 1e6, rank=2, alpha=4.0)


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory) -> Side:
    return make_side(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def features(side: Side) -> dict[str, NDArray[np.float32]]:
    return features_of(side)


@pytest.mark.parametrize("settings", [FULL, LORA])
@pytest.mark.parametrize("hidden", [None, [6]])
def test_without_a_step_it_is_the_head_on_frozen_features(
    side: Side,
    features: dict[str, NDArray[np.float32]],
    tmp_path: Path,
    settings: Tuned,
    hidden: list[int] | None,
) -> None:
    """Up to float32: the frozen network is folded, which moves sums of some 30 products."""
    frozen: Any = partial(solve, tol=1e-8)
    if hidden:
        frozen = partial(mlp.solve, hidden=hidden, schedule=Schedule(20, 8, 0.05))
    still = replace(settings, lr=0.0)
    (found,) = tuner(side, tmp_path, still, frozen=frozen)(features, [problem()])
    (start,) = frozen(features, [problem()])
    expected = start.logits(features["student"], np.arange(N))
    np.testing.assert_allclose(logits(found, features["student"]), expected, rtol=1e-4, atol=1e-4)
    (moved,) = tuner(side, tmp_path, settings, frozen=frozen)(features, [problem()])
    assert np.abs(logits(moved, features["student"]) - expected).max() > 1e-2


def test_full_tuning_is_what_a_plain_torch_loop_gives(
    side: Side, features: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    """torch's own loss and the printed Adam on the same network from the same head."""
    asked = problem()
    (found,) = tuner(side, tmp_path, FULL)(features, [asked])
    (start,) = solve(features, [asked], tol=1e-8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Net().eval()
        net.norm.running_mean += 0.1
    head = nn.Linear(5, 1)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(start.coef.T))
        head.bias.copy_(torch.from_numpy(start.intercept))

    def forward(rows: NDArray[np.int64]) -> torch.Tensor:
        x = (side.pixels(rows).float() - 120) / 60
        z = (net(x.permute(0, 3, 1, 2)) - torch.tensor(side.mean)) * torch.tensor(side.scale)
        out: torch.Tensor = head(z.float()).squeeze(1)
        return out

    trained = [*net.parameters(), *head.parameters()]
    first, second = ([torch.zeros_like(p) for p in trained] for _ in range(2))
    schedule = Schedule(2, 8, 1e-2)
    assert asked.weights is not None
    weights, step = asked.weights / asked.weights.mean(), 0
    for epoch in range(2):
        order = stream(asked.seed, f"training/order/{epoch}").permutation(24)
        for batch in np.split(order, 3):
            loss = nn.functional.binary_cross_entropy_with_logits(
                forward(ROWS[batch]),
                torch.tensor(asked.targets[batch, 1], dtype=torch.float32),
                weight=torch.tensor(weights[batch], dtype=torch.float32),
            )
            loss = loss + asked.l2 / 2 * head.weight.square().sum()
            step += 1
            gradients = torch.autograd.grad(loss, trained, allow_unused=True)
            with torch.no_grad():
                for p, g, m, v in zip(trained, gradients, first, second, strict=True):
                    if g is not None:  # Kingma and Ba, algorithm 1
                        m.copy_(0.9 * m + 0.1 * g)
                        v.copy_(0.999 * v + 0.001 * g**2)
                        root = (v / (1 - 0.999**step)).sqrt() + 1e-8
                        p.sub_(schedule.rate(step - 1, 24) * m / (1 - 0.9**step) / root)
    with torch.no_grad():
        expected = forward(np.arange(N)).numpy()
    # Six steps of at most 1e-2 in float32; Adam divides small gradients by their own size.
    np.testing.assert_allclose(logits(found, features["student"])[:, 0], expected, atol=2e-3)


def test_lora_adds_its_product_to_the_weights_and_trains_nothing_else(side: Side) -> None:
    body = side.network()
    before = {name: value.clone() for name, value in body.state_dict().items()}
    assert layers(body) == ["conv", "linear", "unused"]
    head = ((np.zeros((5, 1), np.float32), np.zeros(1, np.float32)),)
    module = Tunable(body, PREPROCESSING, side.mean, side.scale, head, LORA, seed=1)
    # r (in + out) of each layer: 27 + 4, 4 + 5, 2 + 2; and the head.
    assert sum(p.numel() for p in module.trained) == 2 * (31 + 9 + 4) + 6
    with torch.no_grad():
        for k, parameter in enumerate(module.trained):
            parameter.add_(0.1 * (k + 1))
    tuned = module.network.body
    plain = Net().eval()
    plain.load_state_dict(before)
    with torch.no_grad():
        for name in ("conv", "linear"):
            layer = getattr(tuned, name)
            a, b = (getattr(layer, k)["tuned"].weight for k in ("lora_A", "lora_B"))
            target = getattr(plain, name).weight
            target.add_(4.0 / 2 * (b.flatten(1) @ a.flatten(1)).view(target.shape))
        x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(tuned(x), plain(x))
    for name, value in body.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_network_that_lora_cannot_add_to_is_refused() -> None:
    with pytest.raises(InputError, match="finds no linear layer"):
        adapted(nn.Sequential(nn.ReLU()), LORA, 0)


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("settings", [FULL, LORA])
def test_a_killed_fit_goes_on_from_its_checkpoint_to_the_same_bytes(
    side: Side,
    features: dict[str, NDArray[np.float32]],
    tmp_path: Path,
    settings: Tuned,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (whole,) = tuner(side, tmp_path / "whole", settings)(features, [problem()])
    often = replace(settings, checkpoint_minutes=0.0)

    def kill(what: str, done: int, total: int) -> None:
        if what.endswith("steps") and done == 4:
            raise _Killed

    with pytest.raises(_Killed):
        tuner(side, tmp_path / "killed", often, progress=kill)(features, [problem()])
    (left,) = (tmp_path / "killed").iterdir()
    assert left.suffix == ".pt"
    with caplog.at_level("INFO"):
        (found,) = tuner(side, tmp_path / "killed", often)(features, [problem()])
    assert "goes on at step 3 of 6" in caplog.text
    np.testing.assert_array_equal(
        logits(found, features["student"]), logits(whole, features["student"])
    )
    (one,) = (tmp_path / "whole").iterdir()
    (other,) = (tmp_path / "killed").iterdir()  # the checkpoint is gone
    assert one.name == other.name
    with np.load(one) as a, np.load(other) as b:
        assert all(a[name].tobytes() == b[name].tobytes() for name in ("rows", "logits"))

    def refuse(*_: object) -> Iterator[float]:
        raise AssertionError("trained again")

    monkeypatch.setattr(Training, "run", refuse)
    (kept,) = tuner(side, tmp_path / "killed", often)(features, [problem()])
    np.testing.assert_array_equal(
        logits(kept, features["student"]), logits(found, features["student"])
    )
    (fewer,) = tuner(side, tmp_path / "killed", often)(features, [problem(asked=ROWS)])
    assert fewer.logits(features["student"], ROWS[:3]).shape == (3, 1)
    for changed in (problem(seed=4), problem(l2=0.06), problem(rows=ROWS[::-1].copy())):
        with pytest.raises(AssertionError, match="trained again"):
            tuner(side, tmp_path / "killed", often)(features, [changed])


@pytest.mark.parametrize("suffix", [".pt", ".npz"])
def test_a_damaged_file_is_made_again(
    side: Side, features: dict[str, NDArray[np.float32]], tmp_path: Path, suffix: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    (first,) = tuner(side, tmp_path, FULL)(features, [problem()])
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    path.unlink()
    path.with_suffix(suffix).write_bytes(data[:40])
    (again,) = tuner(side, tmp_path, FULL)(features, [problem()])
    assert "is damaged" in caplog.text
    np.testing.assert_array_equal(
        logits(again, features["student"]), logits(first, features["student"])
    )


def test_a_fit_from_another_starts_from_its_head_on_frozen_features(
    side: Side, features: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    (first,) = tuner(side, tmp_path, FULL)(features, [problem()])
    assert isinstance(first, Scored)
    seen: list[Predictor | None] = []

    def spying(X: Any, problems: Any) -> Any:
        seen.extend(p.init for p in problems)
        return solve(X, problems)

    tuner(side, tmp_path, FULL, frozen=spying)(features, [problem(init=first)])
    assert seen == [first.start]


def test_three_classes_of_which_one_is_absent(
    side: Side, features: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    targets = one_hot(ROWS % 2 * 2, 3)
    (found,) = tuner(side, tmp_path, FULL)(features, [problem(targets=targets)])
    assert set(logits(found, features["student"]).argmax(axis=1)) == {0, 2}


def test_pixels_are_the_images_whatever_is_kept(side: Side) -> None:
    rows = np.array([5, 40, 5, 0])
    expected = [np.asarray(Image.open(side.pixels.root / f"{row}.png")) for row in rows]
    for _ in range(2):
        np.testing.assert_array_equal(side.pixels(rows).numpy(), np.stack(expected))
    assert len(side.pixels.kept) <= 10
