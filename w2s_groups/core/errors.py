"""The exception that a user's mistake raises, and the wording of its commonest forms."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something the user asked for cannot be done.

    The message is one sentence a user can act on: field, value, rule, remedy. The command line
    prints only it, without a traceback, and exits with status 2. It holds values of the user, so it
    is made one line, and characters that control a terminal are written as escapes.
    """

    def __init__(self, sentence: str) -> None:
        line = " ".join(part.strip() for part in str(sentence).splitlines())
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))


_ALIKE = str.maketrans("1I0O", "lloo")  # characters that are easily read as another


class MemoryLimitError(InputError):
    """A limit on working memory is too small for one step. limit, need: bytes.

    what: the step, such as "one student head on 300 rows needs".
    """

    def __init__(self, limit: int, what: str, need: int) -> None:
        super().__init__(
            f"memory_limit={limit} bytes is too small: {what} {need}; raise it to at least that"
        )
        self.what, self.need = what, need


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Error for a name that is not registered: near matches first, then the whole list."""
    options = sorted(known)
    near = difflib.get_close_matches(name, options, n=3, cutoff=0.5)
    near.sort(key=lambda match: match.translate(_ALIKE) != name.translate(_ALIKE))
    hint = f"did you mean {' or '.join(repr(match) for match in near)}? " if near else ""
    return InputError(f"{kind}={name!r} is unknown: {hint}known: {', '.join(options)}")
