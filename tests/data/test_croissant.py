"""Croissant files next to the cards: valid, of the settings, and readable where data are made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from layouts import MAKE, config

from w2s_groups.data import DATASETS
from w2s_groups.data.croissant import MEANINGS, croissant, description, divided

mlc = pytest.importorskip("mlcroissant")
# rdflib's own: mlcroissant reads JSON-LD by it.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
ROOT = Path(__file__).resolve().parents[2]
# Data of one's own, and a model: there is no set to describe.
OWN = {"composite", "folder", "gaussian", "huggingface", "metadata_csv", "table", "wilds"}
# Tables are not described: a record of theirs would be a row of inputs, not a text or an image.
NONE = OWN | {"adult", "census_income", "compas", "german"}
DESCRIBED = sorted(set(DATASETS) - NONE)
UNSPLIT = {"election_tweets"}  # sets that came without a split


def card(name: str) -> str:
    return (ROOT / "data" / name / "README.md").read_text(encoding="utf-8")


def test_every_published_set_is_described() -> None:
    found = {path.parent.name for path in (ROOT / "data").glob("*/croissant.json")}
    assert found == set(DESCRIBED)
    assert all(not divided(card(name))[0] for name in NONE - {"gaussian"})


@pytest.mark.parametrize("name", DESCRIBED)
def test_files_are_valid(name: str) -> None:
    """Without an error; only a date and a version are recommended and not known."""
    metadata = mlc.Dataset(ROOT / "data" / name / "croissant.json").metadata
    issues = metadata.ctx.issues
    assert not issues.errors
    assert all("datePublished" in said or "version" in said for said in issues.warnings)
    assert metadata.name == name
    assert metadata.description == description(divided(card(name))[1])
    assert metadata.license
    assert metadata.cite_as
    samples, groups = metadata.record_sets
    fields = {field.name for field in samples.fields}
    assert {"y"} <= fields <= set(MEANINGS)
    assert ("split" in fields) == (name not in UNSPLIT)
    assert fields & {"image", "text"}
    own = config(name, **({} if name.startswith("hub_") or not hasattr(DATASETS[name], "root")
                          else {"root": "."}))  # fmt: skip
    names = own.named_groups().names
    assert [row["groups/name"] for row in groups.data] == list(names)


def records(folder: Path, name: str, of: str) -> list[dict[str, Any]]:
    """What a loader of Croissant files reads in a folder that the package made."""
    shutil.copy(ROOT / "data" / name / "croissant.json", folder)
    dataset = mlc.Dataset(folder / "croissant.json")
    return [
        {key.partition("/")[2]: value.decode() if isinstance(value, bytes) else value
         for key, value in row.items()}
        for row in dataset.records(of)
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "made"), [("colored_digits", "colored_digits"),
                                            ("birds_mammals", "composite")])  # fmt: skip
def test_a_set_that_is_made_here_can_be_read(name: str, made: str, tmp_path: Path) -> None:
    """The compositor writes one format, whatever the pictures."""
    dataset = config(made, **MAKE[made](tmp_path / "data")).load(tmp_path / "cache")
    rows = records(dataset.root, name, "samples")
    assert [row["image"] for row in rows] == list(dataset.files)
    for field, values in (("y", dataset.y), ("a", dataset.a), ("split", dataset.split)):
        assert [int(row[field]) for row in rows] == values.tolist()
    if dataset.identity is not None:
        assert [row["identity"] for row in rows] == list(dataset.identity)
        assert [row["place"].lstrip("/") for row in rows] == list(dataset.place)
    groups = records(dataset.root, name, "groups")
    assert [row["code"] for row in groups] == list(range(4))
    assert [bool(row["minority"]) for row in groups] == [False, True, True, False]


def test_a_setting_in_the_head_is_that_of_the_configuration() -> None:
    head = "---\nlicense: l\nurl: u\ncite_as: [b, c]\nfiles:\n  t: {url: x.csv, format: text/csv}\n"
    text = head + "table: t\nfields: {y: '${target}'}\n---\n\n# t\n\nOne\nset.\n\nMore.\n"
    made = json.loads(croissant("t", {"target": "Blond_Hair"}, None, text))
    assert (made["description"], made["citeAs"]) == ("One set.", "b; c")
    (field,) = made["recordSet"]["field"] if isinstance(made["recordSet"], dict) else (
        made["recordSet"][0]["field"]
    )  # fmt: skip
    assert field["source"]["extract"] == {"column": "Blond_Hair"}
    assert divided("# t\n\n---\n") == ("", "# t\n\n---\n")
