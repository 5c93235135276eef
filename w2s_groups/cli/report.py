"""`python -m w2s_groups.reports [--check]`: rebuild committed reports, or check that they hold."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from w2s_groups.core.errors import InputError
from w2s_groups.reports import rebuild


def main(arguments: list[str] | None = None) -> int:
    """0: done, or nothing differs; 1: something differs; 2: a report cannot be rebuilt."""
    parser = argparse.ArgumentParser(prog="python -m w2s_groups.reports", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("--root", type=Path, default=Path(), help="folder with reports/, README.md")
    options = parser.parse_args(arguments)
    try:
        find = rebuild.differences if options.check else rebuild.rewrite
        lines = find(options.root)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in lines:
        print(line if options.check else f"wrote {line}")
    if options.check and lines:
        print("rebuild with: python -m w2s_groups.reports", file=sys.stderr)
        return 1
    return 0
