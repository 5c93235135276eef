"""A package as pip leaves it, with the metadata that entry points are read from."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[2] / "docs" / "template"


def install_template(site: Path) -> None:
    """The package of docs/template in the folder `site`."""
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(TEMPLATE / "w2s_example", site / "w2s_example", ignore=ignore)
    shutil.copytree(TEMPLATE / "tests", site / "tests", ignore=ignore)
    write_metadata(site, project["name"], project["version"], project["entry-points"])


def write_metadata(
    site: Path, name: str, version: str, points: Mapping[str, Mapping[str, str]]
) -> None:
    """The .dist-info of a package. points: group -> name -> module:object."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [
        line
        for group, own in points.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in own.items()), "")
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
