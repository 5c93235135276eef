"""Origin of a result: versions, machine, commit."""

from __future__ import annotations

import functools
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any


@functools.cache
def provenance() -> dict[str, Any]:
    """Versions of the packages that matter, and the checkout's commit (None if installed)."""
    packages = ("w2s_groups", "torch", "torchvision", "numpy", "scipy", "pillow")
    return {
        "versions": {package: version(package) for package in packages},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "commit": _commit(),
    }


def _commit() -> str | None:
    package = Path(__file__).resolve().parents[1]
    if not (package.parent / ".git").exists():
        return None
    try:
        return subprocess.run(
            ["git", "-C", package, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
