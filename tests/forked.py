"""A process that has imported the program and forks one that runs it, as often as it is asked.

Importing takes longer than a small sweep: fifty sweeps that are killed would mostly be imports.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SERVER = """
import json, os, signal, sys, time
from w2s_groups import app

for line in sys.stdin:
    seconds, folder, arguments = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(folder)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        sys.argv = ["w2s_groups", *arguments]
        status = 1
        try:
            app.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        finally:
            os._exit(status)
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG if end else 0)
        if done:
            break
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            break
        time.sleep(0.002)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class Forked:
    """run() gives the program's exit status, -9 where it was killed."""

    def __init__(self, env: dict[str, str]) -> None:
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=env,
        )  # fmt: skip

    def run(self, folder: Path, *arguments: str, kill_after: float | None = None) -> int:
        """One run in `folder`; after that many seconds kill -9."""
        assert self.server.stdin
        assert self.server.stdout
        print(json.dumps([kill_after, str(folder), arguments]), file=self.server.stdin, flush=True)
        return int(self.server.stdout.readline())

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: Any) -> None:
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()
