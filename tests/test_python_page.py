"""The code blocks of docs/python.md run as they stand, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

import w2s_groups as w2s
from w2s_groups.methods import METHODS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "python.md"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every name that the page defines."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(METHODS, "_registered", {})  # the page brings a method
        patch.chdir(tmp_path_factory.mktemp("page"))
        for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
            exec(compile(block, str(PAGE), "exec"), names)
        assert {path.name for path in Path().iterdir()} == {"out", ".cache"}
        assert names["page"].is_file()
    return names


def test_the_page_says_what_comes_out(said: dict[str, Any]) -> None:
    board = said["board"]
    assert list(board.index)[-1] == "teacher"
    assert board.loc["W2S", "gain_worst_group_low"] <= board.loc["W2S", "gain_worst_group"]
    assert said["again"].settings == said["results"].settings
    assert isinstance(said["figure"], Figure)
    assert isinstance(w2s.plot.gain_vs_size(said["forecast"]), Figure)
    with pytest.raises(w2s.InputError, match="measure=True"):
        w2s.plot.predicted_vs_measured(said["forecast"])
    with pytest.raises(w2s.InputError, match="no images to show"):
        w2s.plot.samples(said["data"])
    assert {"selective[q=0.5]", "selective[q=0.7]"} <= set(said["tuned"].table["method"])
    assert len(said["gains"]) == 4
    assert len(said["rows"].labelled) == 200


def test_a_notebook_shows_tables(said: dict[str, Any]) -> None:
    html = said["board"]._repr_html_()
    assert html == said["results"]._repr_html_()
    assert "nan" not in html
    assert ">–<" in html
    assert "<table" in said["data"]._repr_html_()


def test_every_public_name_is_on_the_page_and_is_there() -> None:
    text = PAGE.read_text()
    for name in w2s.__all__:
        assert getattr(w2s, name) is not None
        assert re.search(rf"\b{name}\b", text), name
    assert set(w2s.__all__) <= set(dir(w2s))
    with pytest.raises(AttributeError, match="leaderbord"):
        w2s.leaderbord  # noqa: B018
