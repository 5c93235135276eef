"""`w2s-groups features`: the cache is filled by parts, in any order, as one run fills it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from squares import SMALL, make_folder
from tiny_nets import MEANS_AND_QUARTERS

from w2s_groups import cli
from w2s_groups.cli import features
from w2s_groups.core.errors import InputError
from w2s_groups.experiment import inputs
from w2s_groups.features import extraction, shards
from w2s_groups.schema.config import Config

Load = Callable[..., Config]
ROOT = Path(__file__).resolve().parents[2]
OWN = (*SMALL[:4], "image_size=32", "workers=1", "threads=1")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Overrides of a small data set of 7 shards and two networks."""
    monkeypatch.setattr(shards, "ROWS", 15)
    make_folder(tmp_path / "data")
    (tmp_path / "net.py").write_text(MEANS_AND_QUARTERS)
    means, quarters = (f"module/{tmp_path}/net.py:{name}" for name in ("means", "quarters"))
    return (
        *OWN, f"data.root={tmp_path / 'data'}", f"cache_dir={tmp_path / 'cache'}",
        f"backbone=[{means},{quarters}]",
    )  # fmt: skip


def run(load: Load, *overrides: str) -> None:
    features.run(load(*overrides, of="features"))  # type: ignore[arg-type]


def matrices(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.npy")}


def test_a_run_finds_what_was_extracted(
    load: Load, tmp_path: Path, asked: tuple[str, ...], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run(load, *asked)
    said = capsys.readouterr().out.replace("\n  ", " ")
    assert "squares: 96 images, 2 networks, engine=local" in said
    assert "7 of 7 shards are missing, 7 to make here (96 images)" in said
    assert re.search(r"96 images in \d+ s, [\d,.]+ images/s; features of all 96 images", said)
    assert len(matrices(tmp_path)) == 2  # and no shard is left

    def never(*_: Any) -> None:
        raise AssertionError("features are computed again")

    monkeypatch.setattr(shards, "take", never)
    cfg = load(*(part for part in asked if not part.startswith("backbone")), *SMALL[7:],
               *(f"{side}={name}" for side, name in zip(("teacher", "student"), nets(asked),
                                                        strict=True)))  # fmt: skip
    loaded = inputs.load_features(inputs.load_dataset(cfg), cfg)
    assert {matrix.shape for matrix in loaded.matrices.values()} == {(96, 3), (96, 12)}
    monkeypatch.undo()
    run(load, *asked)
    assert capsys.readouterr().out.count("were in the cache") == 2


def nets(asked: tuple[str, ...]) -> list[str]:
    return asked[-1].removeprefix("backbone=[").removesuffix("]").split(",")


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_parts_in_any_order_are_the_whole(
    load: Load, tmp_path: Path, asked: tuple[str, ...], order: tuple[int, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    left = []
    for k in order:
        assert not [name for name in matrices(tmp_path) if "shards" not in name and left == [0]]
        run(load, *asked, f"part={k}/3")
        said = capsys.readouterr().out.replace("\n  ", " ")
        left += [int(n) for n in re.findall(r"(\d+) of 7 shards are left", said)]
    # Shards 0, 3, 6 are of the first part, 1, 4 and 2, 5 of the others.
    own = {1: 3, 2: 2, 3: 2}
    after = [7 - own[order[0]], 7 - own[order[0]] - own[order[1]]]
    assert left == [n for n in after for _ in range(2)]
    assert said.count("features of all 96 images are in the cache") == 2
    run(load, *asked, f"cache_dir={tmp_path / 'whole'}")
    assert matrices(tmp_path / "whole") == matrices(tmp_path / "cache")


def test_the_next_run_joins_shards_that_jobs_left(
    load: Load, tmp_path: Path, asked: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:  # both end while the other is at work, as it were
        patched.setattr(extraction, "extracted", lambda *_: pytest.fail("joined too early"))
        run(load, *asked, "part=1/2")
    run(load, *asked)
    assert len(matrices(tmp_path)) == 2


@pytest.mark.slow
def test_the_array_of_the_page_side_by_side(
    load: Load, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    """The line of the sbatch script in a shell, with the variables that Slurm sets; one shard."""
    page = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^srun w2s-groups (features .*\$SLURM_ARRAY_TASK_ID.*)$", page, re.M)
    words = line.replace("data=birds_mammals", " ".join(asked)).replace("workers=4", "")
    words = words.replace("[", "\\[").replace("]", "\\]")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
           "SLURM_ARRAY_TASK_COUNT": "3"}  # fmt: skip
    jobs = [
        subprocess.Popen(
            ["bash", "-c", f"{sys.executable} -m w2s_groups {words}"], cwd=tmp_path,
            env={**env, "SLURM_ARRAY_TASK_ID": str(k)}, stdout=subprocess.PIPE,
        )
        for k in (1, 2, 3)
    ]  # fmt: skip
    said = [job.communicate(timeout=300)[0].decode() for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0, 0]
    assert any("96 images are in the cache" in text.replace("\n  ", " ") for text in said)
    run(load, *asked, f"cache_dir={tmp_path / 'whole'}")
    assert matrices(tmp_path / "whole") == matrices(tmp_path / "cache")


def test_more_parts_than_shards_leave_some_without_work(
    load: Load, asked: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    run(load, *asked, "part=9/9")
    said = capsys.readouterr().out
    assert "0 to make here" in said
    assert "7 of 7 shards are left" in said.replace("\n  ", " ")


def test_what_needs_no_extraction_is_said(
    load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: tuple[str, ...]
) -> None:
    run(load, "data=gaussian", f"cache_dir={tmp_path}")
    assert "data=gaussian is made of features already" in capsys.readouterr().out
    run(load, *asked[:-1], "backbone=[file/x.npy,file/y.npy]")  # which are not there
    assert capsys.readouterr().out.count("holds features already and needs no extraction") == 2
    rows = [f"{k},{k % 2},{k // 2 % 2},{0 if k < 30 else 2}" for k in range(40)]
    (tmp_path / "table.csv").write_text("\n".join(["x,y,a,split", *rows]) + "\n")
    run(load, "data=table", f"data.root={tmp_path}", f"cache_dir={tmp_path}")
    assert "holds rows of a table, which need no extraction" in capsys.readouterr().out


def test_bad_images_stop_or_are_skipped_where_shards_are_joined(
    load: Load, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    (tmp_path / "data/images/07.png").write_bytes(b"no image")
    run(load, *asked, "part=1/2")
    with pytest.raises(InputError, match=r"1 of 96 images .*07\.png \(not an image\)"):
        run(load, *asked, "part=2/2")
    run(load, *asked, "on_bad_image=skip")
    assert len(matrices(tmp_path)) == 2


def test_test_images_in_the_pool_are_refused_before_any_feature(
    load: Load, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    (tmp_path / "data/images/64.png").write_bytes((tmp_path / "data/images/00.png").read_bytes())
    with pytest.raises(InputError, match=r"data\.shared=stop: 1 of 32 test images"):
        run(load, *asked, "data.shared=stop")
    assert not matrices(tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["part=0/3"], "part=0/3 must be K/N, the K-th of N parts, with 1 <= K <= N"),
        (["part=4/3"], "part=4/3 must be K/N"),
        (["part=x"], "part=x must be K/N"),
        (["part=[1/3,2/3]"], "must be K/N"),
        (["part=1/3,2/3"], "names several values: add --multirun for a job each"),
        (["engine=spark"], "engine='spark' is unknown: known: local, ray"),
        (["engine=rayy"], "engine='rayy' is unknown: did you mean 'ray'?"),
        (["backbone=[]"], "backbone=[] must be the name of a network or a list of names"),
        (["backbone=3"], "backbone=3 must be the name of a network"),
        (["ray.concurrency=0"], "ray.concurrency=0 must be a whole number"),
        (["ray.init=3"], "ray.init=3 must be a mapping"),
        (["+ray.actors=3"], "field='ray.actors' is unknown"),
        (["engine=ray", "device=cuda:1"], "Ray gives each actor a GPU of its own"),
    ],
)
def test_a_mistake_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], said: str
) -> None:
    assert cli.main(["features", f"cache_dir={tmp_path}/cache", *words]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert not list(tmp_path.iterdir())


def test_the_extra_is_named_where_it_is_missing(
    load: Load, asked: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=re.escape("pip install 'w2s_groups[ray]'")):
        run(load, *asked, "engine=ray")
