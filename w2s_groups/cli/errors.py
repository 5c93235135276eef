"""How a command ends: one sentence and exit status 2 for a user's mistake or a stop.

It ends in silence where nobody reads its output any more.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TextIO

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.files import check_path

MISTAKE = 2  # exit status
CLOSED = 141  # exit status of a command whose pipe was closed, as by `| head`: 128 + SIGPIPE


def status_of(command: Callable[[], int], stopped: str = "") -> int:
    """The exit status of a command; 2 after `error: ...` on stderr for InputError and a stop.

    CLOSED, without a word, where stdout or stderr is a pipe that its reader has closed. stopped:
    what Ctrl-C or SIGTERM leaves and how to go on, for its sentence.
    """
    try:
        status = _ended(command, stopped)
        sys.stdout.flush()
    except BrokenPipeError:
        closed = _closed()
        if not closed:  # a pipe of the command's own, such as a launcher's
            raise
        for output in closed:  # Python flushes it again at exit, and would print this error
            os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
        return CLOSED
    return status


def _closed() -> list[TextIO]:
    """Those of stdout and stderr whose pipe has no reader."""
    closed = []
    for output in (sys.stdout, sys.stderr):
        state = select.poll()
        state.register(output.fileno(), 0)
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in state.poll(0)):
            closed.append(output)
    return closed


def _ended(command: Callable[[], int], stopped: str) -> int:
    try:
        with _terminated_as_interrupted():
            return command()
    except InputError as mistake:
        return _refused(str(mistake))
    except KeyboardInterrupt:
        return _refused(f"stopped; {stopped}")
    except SystemExit as end:  # of argparse's help, and of Hydra and its callbacks
        return end.code if isinstance(end.code, int) else int(end.code is not None)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM, which Slurm and Kubernetes send before they kill, ends the block as Ctrl-C does.

    Who called the command and handles the signal already, as submitit does, keeps it.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    owner = os.getpid()

    def stop(number: int, _: object) -> None:
        if os.getpid() != owner:  # a worker that was forked: its own end is nobody's report
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        signal.signal(number, signal.SIG_IGN)  # sent again, it must not stop the partial report
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def fail(sentence: str) -> NoReturn:
    """End the command from within a job of Hydra, which adds lines of its own to an exception."""
    sys.exit(_refused(sentence))


def _refused(sentence: str) -> int:
    sys.stdout.flush()  # what was printed before comes before, where both go to one file
    print(f"error: {sentence}", file=sys.stderr)
    return MISTAKE


class Parser(argparse.ArgumentParser):
    """argparse whose refusals are an InputError, with near matches for options and choices.

    What no path can be is refused too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Raise InputError in place of usage and exit."""
        raise InputError(f"{message}; `{self.prog} --help` lists every option")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's, but nothing unknown is left over."""
        words = sys.argv[1:] if args is None else list(args)
        if self._subparsers is None:  # else the parser of the command knows its options
            refuse_unknown(words, self._option_string_actions)
        for word in words:
            if word.startswith("--") and word.endswith("=--"):  # argparse would make it a list
                self.error(f"{word.partition('=')[0]} needs a value in place of --")
        parsed, rest = super().parse_known_args(words, namespace)
        for name, value in vars(parsed).items():
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, Path):
                    check_path(name, str(path))
        if rest:
            option = rest[0].startswith("-")
            self.error(f"{rest[0]!r} is {'not an option' if option else 'one word too many'}")
        return parsed, rest

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            name = action.option_strings[-1] if action.option_strings else action.dest
            raise unknown_name(name, str(value), map(str, action.choices))


def refuse_unknown(words: Sequence[str], known: Iterable[str]) -> None:
    """InputError for the first --option that is not known, with near matches."""
    options = list(known)
    for word in words:
        name = word.partition("=")[0]
        if name == "--":
            return
        if name.startswith("--") and name not in options:
            raise unknown_name("option", name, [o for o in options if o.startswith("--")])
