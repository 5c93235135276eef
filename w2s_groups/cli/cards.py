"""`w2s-groups cards [--check]`: the generated tables of the dataset cards in data/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from w2s_groups.cli.errors import Parser
from w2s_groups.core.errors import InputError


def main(argv: Sequence[str]) -> int:
    """0: done, or nothing is out of date; 1: --check found a card that is."""
    parser = Parser(
        prog="w2s-groups cards",
        description="Rebuild the generated tables of the dataset cards, or check them.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="folder with data/NAME/README.md (default: .)"
    )
    options = parser.parse_args(argv)
    cards = stale(options.root)
    for path, text in cards.items():
        print(f"{path} is out of date" if options.check else f"wrote {path}")
        if not options.check:
            path.write_text(text, encoding="utf-8")
    return int(options.check and bool(cards))


def stale(root: Path) -> dict[Path, str]:
    """Cards below root whose tables are not what conf/data and the code give -> their new text."""
    from omegaconf import OmegaConf

    from w2s_groups.cli.hydra_config import conf_dir
    from w2s_groups.data import DATASETS
    from w2s_groups.data.base import DatasetConfig
    from w2s_groups.data.card import filled

    found = {}
    generated = [name for name, kind in DATASETS.items() if kind.card is not DatasetConfig.card]
    for name in generated:
        path = root / "data" / name / "README.md"
        if not path.is_file():
            raise InputError(
                f"--root={root} holds no data/{name}/README.md; name a checkout of the repository"
            )
        numbers: Any = OmegaConf.load(conf_dir() / "data" / f"{name}.yaml")
        del numbers["defaults"]
        config: Any = OmegaConf.to_object(OmegaConf.merge(DATASETS[name], numbers))
        text = path.read_text(encoding="utf-8")
        if (wanted := filled(text, config.card())) != text:
            found[path] = wanted
    return found
