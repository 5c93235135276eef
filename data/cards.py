"""Write the generated tables of the dataset cards; with --check, only say which are out of date."""

from __future__ import annotations

import sys
from pathlib import Path

from omegaconf import OmegaConf

from w2s_groups.data import DATASETS
from w2s_groups.data.base import DatasetConfig
from w2s_groups.data.card import filled

ROOT = Path(__file__).resolve().parents[1]


def stale() -> dict[Path, str]:
    """Cards whose tables are not what conf/data and the code give, with the text they should be."""
    found = {}
    for name in (name for name, kind in DATASETS.items() if kind.card is not DatasetConfig.card):
        numbers = OmegaConf.load(ROOT / "conf" / "data" / f"{name}.yaml")
        del numbers["defaults"]
        config = OmegaConf.to_object(OmegaConf.merge(DATASETS[name], numbers))
        path = ROOT / "data" / name / "README.md"
        text = path.read_text(encoding="utf-8")
        if (wanted := filled(text, config.card())) != text:
            found[path] = wanted
    return found


if __name__ == "__main__":
    cards = stale()
    for path, text in cards.items():
        print(path.relative_to(ROOT))
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
    sys.exit(bool(cards) and "--check" in sys.argv)
