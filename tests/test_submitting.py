"""The page on submitting predictions: its files and commands, as they stand there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from w2s_groups.cli import main
from w2s_groups.core.seeds import stream
from w2s_groups.results import committed

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/submitting.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", PAGE, re.M | re.S))
COMMANDS = re.findall(r"^(?:w2s-groups|python) .*$", PAGE, re.M)


def own_data(folder: Path) -> None:
    """600 texts, features of two networks in files, and both with the names of the texts."""
    (folder / "mine").mkdir()
    rows = [(y, a, s) for y in (0, 1) for a in (0, 1) for s in (0, 0, 0, 2, 2) for _ in range(30)]
    table = pd.DataFrame(rows, columns=["y", "a", "split"])
    table["comment"] = [f"text {row}" for row in range(len(table))]
    table.to_csv(folder / "mine/metadata.csv", index=False)
    matrices = {}
    for name, shown in (("weak", 1.0), ("strong", 2.0)):
        noise = stream(0, f"test/{name}").normal(size=(len(table), 6))
        noise[:, 0] += shown * table["y"]
        matrices[name] = noise.astype(np.float32)
        np.save(folder / f"mine/{name}.npy", matrices[name])
    names = np.array([f"line {row + 2}" for row in range(len(table))])
    np.savez(folder / "features.npz", names=names, **matrices)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """Where all commands of the page were given, in order, and how each ended."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        own_data(folder)
        (folder / "method.yaml").write_text(FILES["method.yaml"])
        statuses = {}
        for command in COMMANDS:
            if command == "python train.py":
                exec(compile(FILES["train.py"], "train.py", "exec"), {})
                continue
            if "merge" in command:
                shutil.copytree("results", "theirs/results")
                next(Path("results/leaderboard").glob("*-v*.json")).unlink()
            statuses[command] = main(shlex.split(command)[1:])
    return folder, statuses


def test_every_command_of_the_page_ends_well(walked: tuple[Path, dict[str, int]]) -> None:
    assert len(walked[1]) >= 7
    assert set(walked[1].values()) == {0}, walked[1]


def test_the_method_of_the_page_stands_in_the_report(walked: tuple[Path, dict[str, int]]) -> None:
    report = walked[0] / "reports/leaderboard/comments"
    table = committed.read(report)
    own = table[table["method"] == "sklearn_w2s"]
    assert own["submitted"].all()
    assert not table.loc[table["method"] == "w2s", "submitted"].any()
    assert own["cell"].nunique() == table["cell"].nunique() == 6
    # The same fit by other code and another l2: near W2S of this package.
    test = table[(table["split"] == "test") & (table["metric"] == "accuracy")]
    mean = test.groupby("method")["value"].mean()
    assert abs(mean["sklearn_w2s"] - mean["w2s"]) < 0.05
    page = (report / "leaderboard.md").read_text(encoding="utf-8")
    assert "sklearn_w2s (submitted)" in page
    assert "Ada Lovelace, Charles Babbage" in page
    manifest = json.loads((walked[0] / "draws/leaderboard/comments/manifest.json").read_text())
    assert not any("mine" in text for text in manifest["overrides"] if text.startswith("data."))


def test_the_page_shows_every_field_of_a_card() -> None:
    from w2s_groups.results.card import FIELDS

    for field in FIELDS:
        assert re.search(rf"^ *{field.rpartition('.')[2]}: ", FILES["method.yaml"], re.M), field
