"""The progress bar of the command lines."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm


class Steps:
    """A progress bar for each step that reports itself as (step, done, total)."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None

    def __call__(self, step: str, done: int, total: int) -> None:
        if self.bar is None or self.bar.desc != step:
            self.close()
            self.bar = tqdm(total=total, desc=step)
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
