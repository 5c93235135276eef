"""A process that has imported the program and forks one that runs it, as often as it is asked.

Importing takes longer than a small sweep: fifty sweeps that are killed would mostly be imports.
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
SERVER = (
    EVERYTHING
    + """
import glob, json, os, signal, sys, time
from w2s_groups import cli
from w2s_groups.cli import run, runner

for line in sys.stdin:
    seconds, n_files, pattern, folder, number, said, arguments = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(folder)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        if said:
            written = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for stream in (1, 2):
                os.dup2(written, stream)
        status = 1
        try:
            status = cli.main(arguments)
        except SystemExit as end:
            status = end.code or 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    end = None
    while True:
        done, status = os.waitpid(child, 0 if seconds is None else os.WNOHANG)
        if done:
            break
        if end is None and len(glob.glob(os.path.join(folder, pattern))) >= n_files:
            end = time.monotonic() + seconds
        if end is not None and time.monotonic() > end:
            os.kill(child, number)
            _, status = os.waitpid(child, 0)
            break
        time.sleep(0.001)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""
)


class Forked:
    """run() gives the program's exit status, -9 where it was killed."""

    def __init__(self, env: dict[str, str]) -> None:
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=env,
        )  # fmt: skip

    def run(
        self,
        folder: Path,
        *arguments: str,
        kill_after: float | None = None,
        n_files: int = 0,
        pattern: str = "",
        signal: int = SIGKILL,
        said: Path | None = None,
    ) -> int:
        """One run in `folder`; `signal` is sent `kill_after` seconds after `n_files` are there.

        said: a file for what it prints.
        """
        assert self.server.stdin
        assert self.server.stdout
        to = said and str(said)
        asked = json.dumps([kill_after, n_files, pattern, str(folder), signal, to, arguments])
        print(asked, file=self.server.stdin, flush=True)
        return int(self.server.stdout.readline())

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: Any) -> None:
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()
