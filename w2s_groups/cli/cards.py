"""`w2s-groups cards [--check]`: tables of the dataset cards in data/, and their Croissant files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from w2s_groups.cli.errors import Parser
from w2s_groups.core.errors import InputError

FILE = "croissant.json"  # next to a card


def main(argv: Sequence[str]) -> int:
    """0: done, or nothing is out of date; 1: --check found a card that is."""
    parser = Parser(
        prog="w2s-groups cards",
        description="Rebuild the generated tables of the dataset cards, and the Croissant file "
        "next to each card with a YAML head, or check them.",
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
    """Cards and Croissant files below root that conf/data and the code change -> their new text."""
    from omegaconf import OmegaConf

    from w2s_groups.data import DATASETS
    from w2s_groups.data.base import DatasetConfig
    from w2s_groups.data.card import filled
    from w2s_groups.data.croissant import croissant, divided
    from w2s_groups.data.ondisk import OnDisk
    from w2s_groups.interface.hydra_config import conf_dir

    found = {}
    own = DATASETS.built_in
    generated = [name for name, kind in own.items() if kind.card is not DatasetConfig.card]
    for name, kind in own.items():
        path = root / "data" / name / "README.md"
        if not path.is_file():
            if name not in generated:
                continue
            raise InputError(
                f"--root={root} holds no data/{name}/README.md; name a checkout of the repository"
            )
        text = path.read_text(encoding="utf-8")
        if name not in generated and not divided(text)[0]:
            continue  # data of one's own: there is nothing to describe
        numbers: Any = OmegaConf.load(conf_dir() / "data" / f"{name}.yaml")
        del numbers["defaults"]
        # A card speaks of the published set, wherever someone has it.
        fetched = numbers.get("hub") or numbers.get("download")
        somewhere = {"root": "."} if issubclass(kind, OnDisk) and not fetched else {}
        config: Any = OmegaConf.to_object(OmegaConf.merge(kind, numbers, somewhere))
        wanted = {path: filled(text, config.card()) if name in generated else text}
        if divided(text)[0]:
            wanted[path.with_name(FILE)] = croissant(name, numbers, config.named_groups(), text)
        for file, content in wanted.items():
            if not file.is_file() or file.read_text(encoding="utf-8") != content:
                found[file] = content
    return found
