"""Stored outputs: read back as written, by cell; damage is noticed and never read."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from stored_cells import FIELDS

from w2s_groups.results import outputs
from w2s_groups.results.outputs import Samples
from w2s_groups.results.scores.table import PREDICTIONS, PROBABILITIES, Coding

GROUPS = ("c-on-l", "c-on-r", "d-on-l", "d-on-r")
CODES = np.array([0, 1, 2, 3, 3, 0])
Y, A = np.divmod(np.arange(4), 2)
CODING = Coding(GROUPS, Y, A, Y != A, np.array([0.25, 0.75]))


def samples(**more: np.ndarray) -> Samples:
    rows = {
        "id": [f"{i}.png" for i in range(6)], "row": np.arange(6) * 2, "y": Y[CODES],
        "a": A[CODES], "group": [GROUPS[c] for c in CODES], "minority": (Y != A)[CODES],
    }  # fmt: skip
    return Samples(pd.DataFrame({**rows, **more}), CODING)


def block(keys: str = "ab", methods: tuple[str, ...] = ("teacher", "w2s"), k: int = 1) -> dict:
    rng = np.random.default_rng(len(methods))
    return {
        key: (
            {**FIELDS, "seed": i},
            {method: rng.random((6, k)).astype(np.float16) for method in methods},
        )
        for i, key in enumerate(keys)
    }


def test_what_was_written_is_read_with_ids_and_groups(tmp_path: Path) -> None:
    cells = block()
    outputs.write(tmp_path, samples(), PROBABILITIES, cells)
    found = outputs.load(tmp_path)
    assert set(found) == {"a", "b"}
    for key, (fields, values) in cells.items():
        cell = found[key]
        assert {name: cell.fields[name] for name in fields} == fields
        assert cell.fields["fold"] == -1
        for method, stored in values.items():
            assert np.array_equal(cell.values[method], stored)
            proba = cell.proba(method)
            assert proba[:, 1] == pytest.approx(stored[:, 0].astype(float))
            assert proba.sum(axis=1) == pytest.approx(1.0)
        assert np.array_equal(cell.samples.codes, CODES)
        assert np.array_equal(cell.samples.truth, Y[CODES])
        assert cell.samples.coding.names == GROUPS
        assert cell.samples.coding.prior.tolist() == [0.25, 0.75]
    frame = found["a"].frame("w2s")
    assert list(frame) == [*samples().rows, "output_0", "output_1"]
    assert set(outputs.load(tmp_path, ["b", "none"])) == {"b"}
    assert outputs.faults(tmp_path) == []


def test_pandas_reads_a_file_without_this_package(tmp_path: Path) -> None:
    path = outputs.write(tmp_path, samples(), PROBABILITIES, block(k=3))
    table = pd.read_parquet(path)
    rows = pd.read_parquet(path.parent / table["samples"][0])
    first = table[(table["cell"] == "a") & (table["method"] == "w2s")].iloc[0]
    assert first["output"].dtype == np.float16
    own = outputs.load(tmp_path)["a"].values["w2s"]
    assert np.array_equal(first["output"].reshape(len(rows), -1), own)
    assert rows["id"].tolist() == samples().rows["id"].tolist()


def test_numbers_are_not_made_probabilities(tmp_path: Path) -> None:
    target = np.linspace(-2, 2, 6)
    outputs.write(tmp_path, samples(target=target), PREDICTIONS, block(k=1))
    cell = outputs.load(tmp_path)["a"]
    assert cell.proba("w2s").shape == (6, 1)
    assert np.array_equal(cell.samples.truth, target)


def test_the_same_cells_give_the_same_files_and_replace_them(tmp_path: Path) -> None:
    first = outputs.write(tmp_path, samples(), PROBABILITIES, block())
    files = {path.name: path.read_bytes() for path in outputs.files(tmp_path)}
    assert outputs.write(tmp_path, samples(), PROBABILITIES, block()) == first
    assert {path.name: path.read_bytes() for path in outputs.files(tmp_path)} == files
    more = outputs.write(tmp_path, samples(), PROBABILITIES, block(methods=("teacher", "x", "y")))
    assert not first.exists()
    assert outputs.held(tmp_path)["a"].path == more


def test_of_two_files_the_one_with_more_methods_counts(tmp_path: Path) -> None:
    outputs.write(tmp_path, samples(), PROBABILITIES, block("a"))
    more = block("ab", ("teacher", "w2s", "hard"))
    outputs.write(tmp_path, samples(), PROBABILITIES, more)
    outputs.write(tmp_path, samples(), PROBABILITIES, block("ac"))
    found = outputs.load(tmp_path)
    assert {key: len(cell.values) for key, cell in found.items()} == {"a": 3, "b": 3, "c": 2}
    assert np.array_equal(found["a"].values["hard"], more["a"][1]["hard"])


@pytest.mark.parametrize("which", ["block", "samples"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "gone"])
def test_damage_is_noticed_and_never_read(
    tmp_path: Path, which: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = outputs.write(tmp_path, samples(), PROBABILITIES, block("z"))
    other = samples(extra=np.arange(6))
    outputs.write(tmp_path, other, PROBABILITIES, block("ab"))
    before = {path.name: path.read_bytes() for path in outputs.files(tmp_path)}
    lost = pd.read_parquet(outputs.held(tmp_path)["a"].path)
    path = whole.parent / str(lost["samples"][0])
    if which == "block":
        path = outputs.held(tmp_path)["a"].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    {
        "cut": lambda: path.write_bytes(bytes(data[: len(data) // 2])),
        "flipped": lambda: path.write_bytes(bytes(data)),
        "empty": lambda: path.write_bytes(b""),
        "gone": path.unlink,
    }[damage]()
    with caplog.at_level(logging.WARNING):
        assert set(outputs.load(tmp_path)) == {"z"}
    silent = which == "block" and damage == "gone"  # then no file speaks of these cells
    assert bool(caplog.records) != silent
    assert bool(outputs.faults(tmp_path)) != silent
    outputs.write(tmp_path, other, PROBABILITIES, block("ab"))
    assert {path.name: path.read_bytes() for path in outputs.files(tmp_path)} == before
    assert outputs.faults(tmp_path) == []


def test_what_float16_cannot_hold_is_its_largest_number() -> None:
    assert outputs.as_half(np.array([[1e9], [-1e9]])).tolist() == [[65504.0], [-65504.0]]
    assert outputs.as_half(np.array([[0.25, 0.75]])).tolist() == [[0.75]]
    assert outputs.as_half(np.full((2, 3), 1 / 3)).shape == (2, 3)
