"""A process that has imported the program and forks one that runs it, as often as it is asked.

Importing takes longer than a small sweep: fifty sweeps that are killed would mostly be imports.
Moments are counted in files and in seconds of CPU time, which other work on the machine does not
move.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from signal import SIGKILL
from typing import Any

# Imports that the program itself leaves to their first use.
EVERYTHING = """
from importlib import import_module
from w2s_groups.core import lazy
from w2s_groups.experiment import job, predict
from w2s_groups.interface import results, running
for module in lazy._MODULES.values():
    import_module(module)
"""
CELLS = "results/*/*-v*.json"  # of any experiment
SERVER = (
    EVERYTHING
    + """
import errno, json, os, pathlib, signal, sys
from w2s_groups import cli
from w2s_groups.cli import run, runner

replace, mkdir = pathlib.Path.replace, pathlib.Path.mkdir


def stopping(asked):
    left = [asked["at_file"]]

    def counted(path, begin):
        if not pathlib.Path(path).match(asked["of"]):
            return begin()
        left[0] -= 1
        here = left[0] == 0
        if here and asked["before"]:
            if asked["full"]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.kill(os.getpid(), asked["signal"])
        done = begin()
        if here:
            os.kill(os.getpid(), asked["signal"])
        return done

    pathlib.Path.replace = lambda own, to: counted(to, lambda: replace(own, to))
    pathlib.Path.mkdir = lambda own, *given, **further: counted(
        own, lambda: mkdir(own, *given, **further)
    )


def child_of(asked):
    child = os.fork()
    if child:
        return child
    os.chdir(asked["folder"])
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    if asked["said"]:
        written = os.open(asked["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(written, stream)
    if asked["at_file"]:
        stopping(asked)
    if asked["after"]:  # as kill -9: no handler, nothing is closed
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, asked["after"])
    status = 1
    try:
        status = cli.main(asked["arguments"])
    except SystemExit as end:
        status = end.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


for line in sys.stdin:
    asked = json.loads(line)
    children = [child_of(asked) for _ in range(asked["together"])]
    ends = [os.wait4(child, 0)[1:] for child in children]
    print(json.dumps([[os.waitstatus_to_exitcode(end), used.ru_utime + used.ru_stime]
                      for end, used in ends]), flush=True)
"""
)


class Forked:
    """run() gives the program's exit status, -9 where it was killed.

    seconds: of CPU time, which the last run took.
    """

    def __init__(self, env: dict[str, str]) -> None:
        self.seconds = 0.0
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=env,
        )  # fmt: skip

    def run(self, folder: Path, *arguments: str, **stop: Any) -> int:
        """One run in `folder`, to its end or as `together` has it."""
        (status,) = self.together(1, folder, *arguments, **stop)
        return status

    def together(
        self,
        n: int,
        folder: Path,
        *arguments: str,
        after: float | None = None,
        at_file: int = 0,
        of: str = CELLS,
        before: bool = False,
        full: bool = False,
        signal: int = SIGKILL,
        said: Path | None = None,
    ) -> list[int]:
        """Exit statuses of n runs at the same time.

        after: seconds of CPU time after which a run dies, of signal SIGPROF. at_file: the number of
        the file or folder of pattern `of` at which `signal` comes, once it is there, or `before`;
        full: the disk is full then, and no signal comes. said: a file for what a run prints.
        """
        assert self.server.stdin
        assert self.server.stdout
        asked = {
            "together": n, "folder": str(folder), "arguments": arguments, "after": after, "of": of,
            "at_file": at_file, "before": before or full, "full": full, "signal": int(signal),
            "said": said and str(said),
        }  # fmt: skip
        print(json.dumps(asked), file=self.server.stdin, flush=True)
        ends = json.loads(self.server.stdout.readline())
        self.seconds = max(used for _, used in ends)
        return [status for status, _ in ends]

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: Any) -> None:
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()
