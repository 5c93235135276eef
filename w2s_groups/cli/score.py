"""`w2s-groups score`: check predictions that were made elsewhere, and add them to the results."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from w2s_groups.cli.errors import Parser
from w2s_groups.core.text import count, wrapped

if TYPE_CHECKING:
    from w2s_groups.results.submitted import Submission
    from w2s_groups.schema.draws import DrawsConfig


def main(argv: Sequence[str]) -> int:
    """0: added, there already, or with --check whole. InputError for all that does not fit."""
    options = _parser().parse_args(argv)
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    # Seconds, which a refusal need not wait for.
    from w2s_groups.experiment import exported, score
    from w2s_groups.experiment.draws import draws_of
    from w2s_groups.results import card, submitted

    folder = options.draws or options.predictions.parent
    declared, manifest = card.read(options.card), exported.read(folder)
    config_dir = [f"--config-dir={options.config_dir}"] if options.config_dir else []
    cfg = _composed([*config_dir, *manifest["overrides"], *options.overrides])
    drawing = draws_of(cfg)
    exported.check(folder, manifest, drawing)
    one = score.score(options.predictions, declared, drawing, cfg.data.name)
    results: Path = options.results_dir / cfg.experiment_name
    there = submitted.check(one, submitted.everywhere(options.results_dir))
    for doubt in score.doubts(one, results):
        print(wrapped(f"warning: {doubt}"), file=sys.stderr)
    print(_said(one))
    if there:
        print(f"{one.name} is in {results / submitted.FOLDER}/ already")
    elif options.check:
        print(f"{one.name} can be added: nothing is wrong, and nothing was written")
    else:
        print(f"added to {submitted.save(results, one)}")
        print("run the same experiment to see it among the other methods")
    return 0


def _said(one: Submission) -> str:
    """One line on what was read; the report has the numbers with their intervals."""
    right, total = (sum(sum(cell[name]) for cell in one.cells) for name in ("right", "n"))
    cells = count(len(one.cells), "cell")
    return f"{one.name} on {one.data}: {cells}, {right} of {total} predictions are right"


def _composed(words: Sequence[str]) -> DrawsConfig:
    """The configuration of exported draws; InputError as for the command that exported them."""
    from w2s_groups.cli import overrides
    from w2s_groups.interface import compose, hydra_config
    from w2s_groups.schema.draws import DrawsConfig

    hydra_config.register()
    options = overrides.check(words, "draws")
    loader = overrides.loader_of(None, options.config_dir)
    cfg = hydra_config.from_hydra(compose.composed(loader, "draws", options.overrides))
    assert isinstance(cfg, DrawsConfig)
    return cfg


def _parser() -> Parser:
    parser = Parser(
        prog="w2s-groups score",
        description="Check predictions that were made elsewhere, and add their method to the "
        "results.",
    )
    parser.add_argument("predictions", type=Path, help="a file: .parquet, .csv or .csv.gz")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", dest="overrides",
        help="where data are on this machine, such as data.root=DIR",
    )  # fmt: skip
    parser.add_argument(
        "--card", type=Path, required=True, help="YAML: name, authors, tuning, ... of the method"
    )
    parser.add_argument(
        "--draws", type=Path, help="folder of the exported draws (default: of the predictions)"
    )
    parser.add_argument(
        "--results-dir", type=Path, default=Path("results"), help="default: results"
    )
    parser.add_argument(
        "--config-dir", type=Path, help="folder of YAML files that the draws were exported with"
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    return parser
