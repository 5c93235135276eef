"""Words of the commands that read no configuration: an answer, or one sentence. No traceback.

Each line runs as the command itself does, in this process: theory, results, score, compose, report,
cards, and what stands before the overrides of the others.
"""

from __future__ import annotations

import contextlib
import io
import random
import re
from pathlib import Path

import pytest
from stored_cells import cell, record

from w2s_groups.cli import main
from w2s_groups.results import store

VALUES = (
    "", "0", "1", "-1", "3", "0.5", "-0.5", "nan", "inf", "-inf", "1e308", "-1e308", "1e-320",
    "2147483648", "9" * 40, "1,2", "0.6,0", ",", "nan,1", "x", "é", "a b", "''", "null", "[1]",
    "=1", "--", "-", "/", "..", ".", "~", "~nobody", "/dev/null", "/dev/zero", "a/b", "y" * 300,
    "\x1b[31m", "\u202e", "a\nb", "\udcff", "location", "mixture", "t.csv", "t.parquet", "none",
    "train", "100:0.5", "0:0", "5:nan", "a=b", "cat=pictures", "dog=pictures", "=", "a=", "mine",
    "mine/cell", "folder", "file", "card.yaml", "p.csv", "p.parquet", "data.root=x", "true",
)  # fmt: skip
THEORY = {
    "p_w": "5", "p_s": "3", "p_sw": "1.36", "mu_w": "1.1", "mu_s": "1.2", "gamma_z": "0.05",
    "nu_z": "0.02", "eta_l": "0.05",
}  # fmt: skip
MORE = (
    "cos", "alignment", "sigma_xi", "sigma_y", "beta_norm", "law", "alpha_w", "alpha_s", "eta_u",
    "eta_t", "seed", "p", "mu",
)  # fmt: skip
OPTIONS = {
    "results": ("--results-dir", "--to", "--outputs", "--help", "--x"),
    "score": ("--card", "--draws", "--results-dir", "--set", "--config-dir", "--check", "--cards"),
    "compose": (
        "--cutouts", "--backgrounds", "--coco", "--coco-images", "--coco-classes", "--min-area",
        "--train", "--val", "--test", "--minority", "--counterfactual", "--val-share", "--seed",
        "--test-share", "--size", "--scale", "--crop", "--format", "--quality", "--name",
        "--identity", "--objects",
    ),
    "report": ("--check", "--root"),
    "cards": ("--check", "--root"),
}  # fmt: skip
FIRST = {
    "results": ("show", "export", "verify", "compact", "merge", "shows", ""),
    "score": ("p.csv", "p.parquet", "none", "/dev/null", "folder"),
    "compose": ("out", "folder", "file", ""),
    "report": ("--check", "--check", "x"),
    "cards": ("--check", "--check", "x"),
}


def theory(rng: random.Random) -> list[str]:
    asked = dict(THEORY)
    for _ in range(rng.randint(1, 3)):
        asked[rng.choice([*THEORY, *MORE])] = rng.choice(VALUES)
    if rng.random() < 0.3:
        del asked[rng.choice(list(asked))]
    mark = rng.choice(["", "", "--"])
    return ["theory", *(f"{mark}{name}={value}" for name, value in asked.items())]


def words(rng: random.Random, command: str) -> list[str]:
    line = [command, rng.choice(FIRST[command])]
    if command == "compose" and rng.random() < 0.7:
        line += ["--cutouts", "cat=pictures/cat", "dog=pictures/dog"]
        line += [
            "--backgrounds",
            "in=pictures/in",
            "out=pictures/out",
            "--train",
            "8",
            "--test",
            "4",
        ]
    if command == "score" and rng.random() < 0.7:
        line += ["--card", "card.yaml", "--draws", "folder"]
    for _ in range(rng.randint(0, 3)):
        line.append(rng.choice(OPTIONS[command] if rng.random() < 0.7 else VALUES))
        line += [rng.choice(VALUES) for _ in range(rng.choice([0, 1, 1, 2]))]
    return line


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with something of each kind that the words name."""
    monkeypatch.chdir(tmp_path)
    store.save(tmp_path / "results/mine", cell(record(0.5)))
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "card.yaml").write_text("name: mine\nauthors: [a]\n")
    (tmp_path / "p.csv").write_text("cell,id,label\nk,i,0\n")
    (tmp_path / "p.parquet").write_bytes(b"PAR1 and no more")
    for name in ("cat", "dog", "in", "out"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        (tmp_path / "pictures" / name / "a.png").write_bytes(b"no picture")
    return tmp_path


def holds(line: list[str]) -> int:
    """The exit status of a line; it ends with an answer, or with one sentence."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(line)
        except BaseException as error:
            raise AssertionError(f"{line}: {type(error).__name__}: {error}") from error
    said = err.getvalue()
    assert status in (0, 1, 2), line
    assert "Traceback" not in said + out.getvalue(), (line, said)
    if status == 2:
        last = said.splitlines()
        assert len([text for text in last if text.startswith("error: ")]) == 1, (line, said)
        assert last[-1].startswith("error: "), (line, said)
        assert last[-1].isprintable(), (line, said)
        assert len(last[-1]) < 2500, (line, said)
        assert not re.search(r"object at 0x|Errno", last[-1]), (line, said)
    return status


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [60, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", ["theory", *OPTIONS])
def test_words_are_answered_or_refused_in_one_sentence(place: Path, command: str, n: int) -> None:
    rng = random.Random(f"{command} {n}")
    ends = [holds(theory(rng) if command == "theory" else words(rng, command)) for _ in range(n)]
    assert 2 in ends
