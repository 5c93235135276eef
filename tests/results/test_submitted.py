"""Files of submitted methods: whole or named as damaged, and joined to the cells of their draws."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stored_cells import cell, record
from submissions import CARD, submission

from w2s_groups.core.errors import InputError
from w2s_groups.results import columns, compaction, store, submitted
from w2s_groups.results.store import Damaged


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    one = submission()
    path = submitted.save(tmp_path, one)
    again = submitted.read(path)
    assert (again.card, again.cells, again.groups) == (one.card, one.cells, one.groups)
    assert submitted.encoded(again) == path.read_bytes()
    assert submitted.check(again, [(path, one)])


@pytest.mark.parametrize("position", range(5, 900, 101))
def test_a_changed_byte_is_damage(
    tmp_path: Path, position: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = submitted.save(tmp_path, submission())
    data = bytearray(path.read_bytes())
    position %= len(data)
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(Damaged):
        submitted.read(path)
    assert list(submitted.whole(tmp_path)) == []
    assert str(path) in caplog.text
    assert len(submitted.faults(tmp_path)) == 1


def test_a_renamed_file_is_damage(tmp_path: Path) -> None:
    path = submitted.save(tmp_path, submission())
    path.rename(path.with_name("other-0123456789abcdef.json"))
    assert "its name is not" in submitted.faults(tmp_path)[0]


def test_other_draws_of_one_method_stand_side_by_side(tmp_path: Path) -> None:
    first, second = submission(("draw-0",)), submission(("draw-1", "draw-2"))
    assert first.file != second.file
    path = submitted.save(tmp_path, first)
    assert not submitted.check(second, [(path, first)])
    with pytest.raises(InputError, match="has other predictions for 1 cell"):
        submitted.check(submission(("draw-1", "draw-0"), right=2), [(path, first)])
    with pytest.raises(InputError, match="choose another name"):
        submitted.check(submission(name="MINE", authors=["B"]), [(path, first)])


def test_the_same_predictions_with_another_compute_are_refused(tmp_path: Path) -> None:
    first = submission()
    second = submission(compute={"hardware": "a core", "hours": 9.0})
    with pytest.raises(InputError, match="with other compute; delete that file"):
        submitted.check(second, [(tmp_path, first)])


DRAWS = {cell(seed=k).key: f"draw-{k}" for k in range(3)}


def attached(folder: Path, *more: Any) -> submitted.Attached:
    for one in more:
        submitted.save(folder, one)
    cells = [cell(record(0.5), record(0.25, "h"), seed=k) for k in range(3)]
    return submitted.attached(folder, store.table_of(cells), DRAWS)


def test_a_method_joins_the_cells_of_its_draws(tmp_path: Path) -> None:
    joined = attached(tmp_path, submission(tuple(DRAWS.values())))
    table = columns.canonical(joined.table)
    own = table[table["method"] == "mine"]
    assert own["submitted"].all()
    assert set(own["cell"]) == set(DRAWS)
    assert (own.loc[own["group"] == "g", "value"] == 0.75).all()
    absent = own[own["group"] == "h"]
    assert absent["value"].isna().all()
    assert (absent["n"] == 0).all()
    assert not table.loc[table["method"] == "teacher", "submitted"].any()
    assert columns.from_csv(columns.to_csv(table)).equals(table)
    facts = joined.settings["submitted"]["mine"]
    assert facts["tuning"] == CARD["tuning"]
    assert facts["networks"] == {"d": CARD["networks"]}


def test_two_files_of_a_method_make_one_whole(tmp_path: Path) -> None:
    parts = submission(("draw-0",)), submission(("draw-2", "draw-1"))
    parts[1].cells[0]["fields"]["seed"] = 2
    joined = attached(tmp_path, *parts)
    assert set(joined.table.loc[joined.table["submitted"], "cell"]) == set(DRAWS)


def test_cells_without_submissions_are_as_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = attached(tmp_path)
    assert plain.settings == {}
    assert "submitted" not in columns.to_csv(plain.table).partition("\n")[0]
    with caplog.at_level(logging.WARNING):
        part = attached(tmp_path, submission(("draw-0", "draw-1")))
    assert part.settings == {}
    assert part.table.equals(plain.table)
    assert "has 2 of 3 cells of d, t -> s, and is left out there" in caplog.text
    with caplog.at_level(logging.INFO):
        other = attached(tmp_path, submission(("draw-8", "draw-9"), name="late"))
    assert other.settings == {}
    assert "late was trained on other draws" in caplog.text


def test_compaction_leaves_the_new_column_out_of_cells(tmp_path: Path) -> None:
    one = cell(seed=4)
    several = replace(one, fields={**one.fields, "fold": 2, "audit": "again"})
    store.save(tmp_path, several)
    before = store.encoded(several)
    compaction.compact(tmp_path)
    assert compaction.verify(tmp_path).faults == []
    (path,) = tmp_path.glob("*.parquet")
    (again,) = compaction.from_table(compaction.parquet.read(path), path)
    assert store.encoded(again) == before
    assert np.isfinite(store.load(tmp_path, [several.key])["value"]).all()
    assert json.loads(before)["cell"]["fold"] == 2
