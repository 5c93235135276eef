"""Progress bars of the command lines. In a log, where nobody watches, they are silent."""

from __future__ import annotations

from typing import Any, Self

from tqdm import tqdm


def bar(
    desc: str, total: float | None = None, unit: str = "it", quiet: bool = False, **more: Any
) -> tqdm[Any]:
    """A bar on stderr; none where that is no terminal, or if `quiet`. more: of tqdm."""
    return tqdm(desc=desc, total=total, unit=unit, disable=True if quiet else None, **more)


class Steps:
    """A progress bar for each step that reports itself as (step, done, total)."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None
        self.step = ""

    def __call__(self, step: str, done: int, total: int) -> None:
        if self.bar is None or self.step != step:
            self.close()
            self.bar, self.step = bar(step, total), step
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Blocks(Steps):
    """One bar over all cells, which moves within a block of cells too: its steps and their heads.

    Call order: `block`, then `step_of` and `heads` as they come, then `ended`. quiet: show nothing.
    """

    def __init__(self, total: int, quiet: bool = False) -> None:
        super().__init__()
        shape = "{desc}: {percentage:3.0f}% |{bar}|{postfix} [{elapsed}<{remaining}]"
        self.bar = bar("heads", total, quiet=quiet, bar_format=shape, miniters=0)
        self.total, self.cells, self.size, self.k, self.of = total, 0, 0, 1, 1

    def block(self, size: int) -> None:
        """A block of `size` cells begins."""
        self.size, self.k, self.of = size, 1, 1

    def step_of(self, k: int, of: int) -> None:
        """Step k of `of` of the block begins."""
        self.k, self.of = k, of
        self._show(0.0, "")

    def heads(self, ended: int, asked: int) -> None:
        """Of the heads that the step asked for, so many are solved."""
        self._show(ended / max(asked, 1), f", {ended} of {asked} heads")

    def ended(self) -> None:
        """The block has ended: its cells count whole."""
        self.cells, self.size = self.cells + self.size, 0
        self._show(0.0, "")

    def _show(self, part: float, more: str) -> None:
        assert self.bar is not None
        step = f", step {self.k} of {self.of}{more}" if self.size else ""
        self.bar.set_postfix_str(f"{self.cells} of {self.total} cells{step}", refresh=False)
        at = self.cells + self.size * (self.k - 1 + part) / self.of
        # A step may ask for heads more than once: the bar then waits, it never goes back.
        self.bar.update(max(at - self.bar.n, 0.0))
