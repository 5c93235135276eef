"""`w2s-groups results show|export|verify|compact|merge`: inspect and keep what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from w2s_groups.cli.errors import Parser

_COMMANDS = {
    "show": "list the cells of each experiment: how many, of which grid, by which code",
    "export": "write the long table of an experiment, one row a record, as one file",
    "verify": "check checksums, names, columns and duplicates",
    "compact": "join the cell files of an experiment into one Parquet file",
    "merge": "add the results of other folders; nothing that is there is overwritten",
}


def main(argv: Sequence[str]) -> int:
    """0: done; 1: `verify` found a fault, or `compact` or `merge` left a damaged file."""
    options = _parser().parse_args(argv)
    stored = import_module("w2s_groups.cli.stored")  # seconds, which a refusal need not wait for
    return int(getattr(stored, options.command)(options))


def _parser() -> Parser:
    parser = Parser(
        prog="w2s-groups results",
        description="Inspect, export, verify, compact and merge stored results.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="|".join(_COMMANDS))
    for name, text in _COMMANDS.items():
        description = f"{text[0].upper()}{text[1:]}."
        command = commands.add_parser(name, help=text, description=description)
        if name == "merge":
            command.add_argument("folders", nargs="+", type=Path, help="folders of results to add")
        else:
            command.add_argument("experiment", nargs="*", help="experiments (default: all)")
        command.add_argument(
            "--results-dir", type=Path, default=Path("results"), help="default: results"
        )
        if name == "export":
            command.add_argument(
                "--to", type=Path, required=True, help="a file: .csv, .csv.gz or .parquet"
            )
    return parser
