"""Kinds of heads end to end: what a cell is called, what is refused, what the report says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from squares import SMALL, make_folder, places

from w2s_groups.cli import run
from w2s_groups.core.errors import InputError
from w2s_groups.experiment import job
from w2s_groups.results import committed
from w2s_groups.schema.config import Config

Load = Callable[..., Config]
# A network of colour means in each quarter, with weights to tune.
NET = """
import torch
from torch import nn

def quarters():
    conv = nn.Conv2d(3, 6, 1)
    return nn.Sequential(conv, nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten())

def means():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""
ALWAYS = {
    *("numerics", "data", "teacher", "student", "features", "rows", "class_balance", "tol"),
    *("methods", "cell"),
}


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    root = tmp_path_factory.mktemp("solvers")
    folder = make_folder(root / "data")
    (root / "net.py").write_text(NET)
    return (
        *(*SMALL, *places(folder, root / "cache", root)),
        f"teacher=module/{root}/net.py:means",
        f"student=module/{root}/net.py:quarters",
        *("image_size=32", "methods=[teacher,w2s,selective,ceiling]", "eta_u=0.25", "seeds=0"),
        "mlp={width: 8, epochs: 60, batch_size: 8, lr: 0.05}",
    )


def out(overrides: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    return (*overrides, f"results_dir={folder}/results", f"reports_dir={folder}/reports")


def cells(folder: Path) -> list[dict[str, Any]]:
    paths = sorted((folder / "results/leaderboard").glob("????????????????-v?.json"))
    return [json.loads(path.read_bytes()) for path in paths]


def test_a_head_of_two_layers_is_a_cell_of_its_own_and_the_linear_one_stays_what_it_was(
    load: Load, setting: tuple[str, ...], tmp_path: Path
) -> None:
    first = job.run(load(*out(setting, tmp_path))).keys
    assert not run.run(load(*out(setting, tmp_path), "head=mlp")).failed
    linear, two = sorted(cells(tmp_path), key=lambda cell: len(cell["identity"]))
    assert set(linear["identity"]) == ALWAYS
    assert set(two["identity"]) == ALWAYS | {"mlp"}
    assert two["identity"]["mlp"] == {"width": 8, "epochs": 60, "batch_size": 8, "lr": 0.05}
    assert {k: v for k, v in two["identity"].items() if k != "mlp"} == linear["identity"]
    report = tmp_path / "reports/leaderboard/squares"
    table = committed.read(report)
    test = table[(table.split == "test") & (table.metric == "accuracy")]
    assert test[test.method == "ceiling"].value.mean() == 1  # brightness is easy to see
    assert "head = mlp" in (report / "leaderboard.md").read_text()
    assert json.loads((report / "settings.json").read_text())["mlp"]["width"] == 8
    (path,) = (p for p in (tmp_path / "results").rglob("*-v?.json") if p.stem not in first)
    before = path.read_bytes()
    path.unlink()
    job.run(load(*out(setting, tmp_path), "head=mlp"))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["head=mlp", "methods=[teacher,ceiling,dfr,group_dro]"],
            ["dfr and group_dro", "head=mlp", "methods=[teacher,ceiling]"],
        ),
        (["head=mlp", "l2_path=[0.1]"], ["l2_path=[0.1]", "head=ridge"]),
        (["mlp.width=0"], ["mlp.width=0", "[1, 65536]"]),
        (["mlp.lr=nan"], ["mlp.lr=nan"]),
        (["+mlp.widht=3"], ["mlp.widht", "did you mean 'mlp.width'"]),
    ],
)
def test_what_does_not_go_together_is_one_sentence(
    load: Load, overrides: list[str], words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        load(*overrides)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tuned_pair_runs_end_to_end_and_is_a_cell_of_its_own(
    load: Load, setting: tuple[str, ...], tmp_path: Path
) -> None:
    """The teacher has no weight of its own to tune: its head alone is trained on."""
    tuned = (*setting, "finetune=full", "finetune.epochs=3", "finetune.lr=0.01")
    assert not run.run(load(*out(tuned, tmp_path))).failed
    (cell,) = cells(tmp_path)
    assert set(cell["identity"]) == ALWAYS | {"finetune"}
    assert cell["identity"]["finetune"] == {
        "name": "full", "epochs": 3, "batch_size": 32, "lr": 0.01,
    }  # fmt: skip
    report = tmp_path / "reports/leaderboard/squares"
    table = committed.read(report)
    test = table[(table.split == "test") & (table.metric == "accuracy")]
    assert test[test.method == "ceiling"].value.mean() == 1
    assert "finetune = full" in (report / "leaderboard.md").read_text()
    (path,) = (tmp_path / "results/leaderboard").glob("*-v?.json")
    before = path.read_bytes()
    path.unlink()
    job.run(load(*out(tuned, tmp_path)))
    assert path.read_bytes() == before


def test_a_subspace_is_measured_and_the_report_says_how_lazy_it_was(
    load: Load, setting: tuple[str, ...], tmp_path: Path
) -> None:
    *_, student = (key.partition("=")[2] for key in setting if key.startswith("student="))
    asked = ("finetune=subspace", "finetune.d=8", "finetune.epochs=4", "finetune.diagnostics=2")
    tuned = (*setting, f"teacher={student}", *asked)
    assert not run.run(load(*out(tuned, tmp_path))).failed
    (cell,) = cells(tmp_path)
    assert cell["identity"]["finetune"] == {
        "name": "subspace", "epochs": 4, "batch_size": 32, "lr": 1.0, "d": 8, "head": "inside",
        "search": True, "diagnostics": 2,
    }  # fmt: skip
    report = tmp_path / "reports/leaderboard/squares"
    table = committed.read(report)
    measured = table[(table.split == "fit") & (table.method == "w2s")]
    assert set(measured.metric) == {"movement", "agreement", "alignment"}
    assert measured.group.nunique() == 2
    assert measured.value.between(0, 2).all()
    text = (report / "leaderboard.md").read_text()
    assert "finetune = subspace, d = 8, head inside" in text
    assert "## Is training lazy?" in text
    assert "a head of zeros" in text


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["head=ridge", "methods=[teacher]"], ["finetune=full", "head=ridge", "head=logistic"]),
        (["precision=float16"], ["float16", "bfloat16"]),
        (["student=file/x.npy"], ["student=file/x.npy", "finetune=none"]),
        (["methods=[teacher,jtt,afr]"], ["jtt and afr", "methods=[teacher]"]),
        (["finetune.lr=2"], ["full.lr=2", "[0, 1]"]),
        (["finetune.scale=0"], ["full.scale=0", "[0.001, 10000]"]),
        (["finetune.diagnostics=-1"], ["full.diagnostics=-1"]),
        (["finetune=subspace", "finetune.d=0"], ["finetune.d=0", "finetune.head=outside"]),
        (["finetune=anchored", "finetune.anchor=-1"], ["anchored.anchor=-1"]),
        (["+finetune.rank=2"], ["finetune.rank"]),
    ],
)
def test_what_cannot_be_tuned_is_one_sentence(
    load: Load, overrides: list[str], words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        load("finetune=full", *overrides)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_data_without_images_are_refused_before_any_work(
    load: Load, setting: tuple[str, ...], tmp_path: Path
) -> None:
    cfg = load(*out(("data=gaussian", "finetune=lora", f"cache_dir={tmp_path}"), tmp_path))
    with pytest.raises(InputError, match=r"finetune=lora needs images, and data=gaussian"):
        job.run(cfg)
