"""Bars move within a block, never back, end whole, and are silent where nobody watches."""

from __future__ import annotations

import io
import re
import sys

import pytest

from w2s_groups.core.progress import Blocks, Steps, bar


class Screen(io.StringIO):
    """A stream that says whether it is a terminal."""

    def __init__(self, watched: bool) -> None:
        super().__init__()
        self.watched = watched

    def isatty(self) -> bool:
        return self.watched


@pytest.mark.parametrize("watched", [True, False])
def test_bars_show_on_a_terminal_and_are_silent_in_a_log(
    watched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(watched)
    monkeypatch.setattr(sys, "stderr", screen)
    with bar("x", 2) as one:
        one.update(2)
    with Steps() as steps:
        steps("reading", 1, 2)
        steps("reading", 2, 2)
        steps("writing", 1, 1)
    with Blocks(4) as blocks:
        blocks.block(4)
        blocks.step_of(1, 2)
        blocks.ended()
    with Blocks(1, quiet=True) as blocks:
        blocks.block(1)
    shown = screen.getvalue()
    assert bool(shown) == watched
    if watched:
        assert re.findall(r"\r(x|reading|writing|heads): 100%", shown)[-1] == "heads"


def test_the_bar_moves_within_a_block_and_never_back(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Screen(True)
    monkeypatch.setattr(sys, "stderr", stream)
    seen = []
    with Blocks(20) as blocks:
        assert blocks.bar is not None
        blocks.bar.mininterval = 0.0
        for _ in range(2):
            blocks.block(10)
            for k in (1, 2):
                blocks.step_of(k, 2)
                for _ in range(2):  # a step may ask for heads twice
                    for ended in (0, 5, 10):
                        blocks.heads(ended, 10)
                        seen.append(float(blocks.bar.n))
            blocks.ended()
        assert blocks.bar.n == 20
    assert seen == sorted(seen)
    assert {2.5, 5.0, 7.5, 10.0, 12.5} <= set(seen)
    assert "10 of 20 cells, step 2 of 2, 5 of 10 heads" in stream.getvalue()
    assert "20 of 20 cells" in stream.getvalue()
