"""What tells the cells of a pair of networks apart, and what of it stands in the long table."""

from __future__ import annotations

from w2s_groups.design.sampling import Request
from w2s_groups.experiment.identity import fields_of, own
from w2s_groups.results.columns import COLUMNS
from w2s_groups.schema.cells import WHOLE, Cell, Part

REQUEST = Request(40, 90, 0.05, 0.5, 20)
CELLS = (
    Cell(REQUEST, 0), Cell(REQUEST, 1), Cell(Request(40, 90, 0.05, 0.4, 20), 0),
    Cell(REQUEST, 0, Part(fold=1)), Cell(REQUEST, 0, Part(fold=2)),
    Cell(REQUEST, 0, Part(audit="again")),
)  # fmt: skip


def test_the_part_is_named_only_where_there_are_several() -> None:
    """Cells that were stored before data were split several times keep their keys."""
    assert Part() == WHOLE
    assert set(own(CELLS[0])) == {"request", "seed"}
    assert own(CELLS[3])["part"]["fold"] == 1
    assert own(CELLS[5])["part"]["audit"] == "again"


def test_no_two_cells_are_taken_for_one() -> None:
    entries = [own(cell) for cell in CELLS]
    assert all(one not in entries[:k] for k, one in enumerate(entries))
    shown = [fields_of(cell) for cell in CELLS]
    assert all(one not in shown[:k] for k, one in enumerate(shown))
    assert all(set(one) <= set(COLUMNS) for one in shown)
    assert "fold" not in shown[0]
    assert shown[4]["fold"] == 2
