"""`w2s-groups report [--check]`: rebuild the committed reports, or check that they hold."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from w2s_groups.cli.errors import Parser


def main(argv: Sequence[str]) -> int:
    """0: done, or nothing differs; 1: something differs."""
    parser = Parser(
        prog="w2s-groups report",
        description="Rebuild the committed reports from their stored results, or check them.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="folder with reports/ and README.md (default: .)"
    )
    options = parser.parse_args(argv)
    from w2s_groups.reports import rebuild  # seconds, which a refusal need not wait for

    lines = rebuild.differences(options.root) if options.check else rebuild.rewrite(options.root)
    for line in lines:
        print(line if options.check else f"wrote {line}")
    if options.check and lines:
        print("rebuild with: w2s-groups report", file=sys.stderr)
        return 1
    return 0
