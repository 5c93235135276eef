"""Text as a terminal shows it."""

from __future__ import annotations

import re
import textwrap

WIDTH = 80  # columns of a terminal

_TOGETHER = re.compile(r" = | (?:\+-|±) |(?<=,) (?=[^\[\]]*\])")  # n = 88, [-0.1, +0.2]


def wrapped(text: str, indent: str = "  ", width: int = WIDTH) -> str:
    """A sentence in lines of at most `width` columns, those after the first indented.

    Paths, numbers with their symbols and intervals stay on one line.
    """
    kept = _TOGETHER.sub(lambda match: match[0].replace(" ", "\N{NO-BREAK SPACE}"), text)
    lines = textwrap.wrap(
        kept, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")


def short(network: str) -> str:
    """The last part of a network's name, in titles and folders; `ntk-` before it where it is so."""
    return f"{'ntk-' * network.startswith('ntk/')}{network.rpartition('/')[2]}"


def count(n: int, noun: str) -> str:
    """`1 seed`, `6 seeds`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
