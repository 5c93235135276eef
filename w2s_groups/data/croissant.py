"""A dataset's card and settings as a Croissant file: what is in the set, and from which files.

Croissant is MLCommons' format for descriptions of data sets: JSON-LD, which search engines and
loaders read. Facts that no setting holds stand in YAML at the head of the card, between two lines
of ---:

license, url, cite_as: a text each, or a list of texts.
files: name -> {url, format} of a file, {in, path, format} of one within another, {in, includes,
format} of many; each with a description or sha256 if there is one.
table: the file whose columns `fields` names.
fields: name -> column; or {file, column} of another file; or {file, path} with a regular expression
for the paths of many files. Further: match, a regular expression for the column's texts; joins:
{file, column} of another table with the same values; type; description.
inputs: {columns, drop} of a table whose columns are the inputs, as the settings of rows: each is a
field of its own name.

A table without a header has its names in the head: files: name -> {columns, separator}, and a
column is what a regular expression finds in a line. The reader of the package mlcroissant divides
lines at commas before that, so it reads only those that are divided in another way.

${...} in the head is a setting of conf/data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from w2s_groups.core.errors import InputError
from w2s_groups.data.columns import chosen
from w2s_groups.design.groups import Groups

_HEAD = "---\n"
_SCHEMA = "https://schema.org/"
MEANINGS = {
    "image": "the image, or its path",
    "text": "the text",
    "second": "the other text of a pair",
    "y": "the class, which is predicted",
    "a": "the attribute, which is spuriously tied to the class",
    "split": "the split that the set came with",
    "identity": "who or what the sample shows or comes from",
    "place": "where it shows it",
}
INPUT = "an input"
_NUMBERS = ("code", "y", "a")


def divided(text: str) -> tuple[str, str]:
    """The YAML head of a card, "" without one, and its pages."""
    if not text.startswith(_HEAD):
        return "", text
    head, _, body = text.removeprefix(_HEAD).partition(f"\n{_HEAD}")
    return head, body


def description(body: str) -> str:
    """The first paragraph under a card's title."""
    paragraphs = [part for part in body.split("\n\n") if part.strip()]
    return " ".join(paragraphs[1].split())


def croissant(name: str, settings: Mapping[str, Any], groups: Groups | None, card: str) -> str:
    """The Croissant file of a card with a head, as text. settings: as conf/data has them.

    Raises InputError where the package mlcroissant is not installed.
    """
    try:
        import mlcroissant as mlc
    except ImportError as error:
        raise InputError(
            "w2s-groups cards needs the package mlcroissant; run pip install mlcroissant"
        ) from error
    head, body = divided(card)
    facts: Any = OmegaConf.to_container(
        OmegaConf.merge(settings, {"card": OmegaConf.create(head)}), resolve=True
    )
    facts = facts["card"]
    # Hosts may change their files, and few publish checksums.
    made = _Made(mlc, mlc.Context(is_live_dataset=True))
    metadata = mlc.Metadata(
        ctx=made.ctx,
        name=name,
        description=description(body),
        license=facts["license"],
        url=facts["url"],
        cite_as=facts["cite_as"]
        if isinstance(facts["cite_as"], str)
        else "; ".join(facts["cite_as"]),
        distribution=[made.file(key, fact) for key, fact in facts["files"].items()],
        record_sets=[*made.samples(facts), *made.groups(groups)],
    )
    return json.dumps(metadata.to_json(), indent=2, ensure_ascii=False) + "\n"


def _inputs(facts: Mapping[str, Any]) -> dict[str, Mapping[str, str]]:
    """The fields of a table's inputs, those that the settings of rows choose."""
    if "inputs" not in facts:
        return {}
    there = facts["files"][facts["table"]].get("columns", facts["inputs"]["columns"])
    y = facts["fields"]["y"]
    names = chosen(there, (y if isinstance(y, str) else y["column"],), **facts["inputs"])
    return {name: {"column": name, "description": INPUT} for name in names}


def _in_line(layout: Mapping[str, Any], column: str) -> str:
    """A regular expression whose group is one column of a line, without the space before it."""
    separator = layout["separator"]
    skipped = f"(?:[^{separator}]*{separator}){{{layout['columns'].index(column)}}}"
    return rf"{skipped}\s*([^{separator}]+)"


class _Made:
    """Nodes of mlcroissant, of one context."""

    def __init__(self, mlc: Any, ctx: Any) -> None:
        self.mlc, self.ctx = mlc, ctx

    def file(self, name: str, fact: Mapping[str, Any]) -> Any:
        """A file, or a set of files within one."""
        common = {
            "ctx": self.ctx,
            "id": name,
            "name": name,
            "description": fact.get("description"),
            "encoding_formats": [fact["format"]],
            "contained_in": [fact["in"]] if "in" in fact else None,
        }
        if "includes" in fact:
            return self.mlc.FileSet(**common, includes=[fact["includes"]])
        where = fact.get("url") or fact["path"]
        return self.mlc.FileObject(**common, content_url=where, sha256=fact.get("sha256"))

    def samples(self, facts: Mapping[str, Any]) -> list[Any]:
        """The record set of the samples: one field for each fact that a file holds."""
        many = {name for name, fact in facts["files"].items() if "includes" in fact}
        fields = []
        for name, fact in {**facts["fields"], **_inputs(facts)}.items():
            if isinstance(fact, str):
                fact = {"column": fact}
            fact = {"file": facts.get("table"), **fact}
            layout = facts["files"][fact["file"]]
            if "separator" in layout and "column" in fact:
                fact = {**fact, "line": _in_line(layout, fact["column"])}
            joins = fact.get("joins")
            fields.append(
                self.mlc.Field(
                    ctx=self.ctx,
                    id=f"samples/{name}",
                    name=name,
                    description=fact.get("description") or MEANINGS[name],
                    data_types=[_SCHEMA + fact.get("type", "Text")],
                    source=self.source(fact, many),
                    **({"references": self.source(joins, many)} if joins else {}),
                )
            )
        return [self.mlc.RecordSet(ctx=self.ctx, id="samples", name="samples", fields=fields)]

    def source(self, fact: Mapping[str, Any], many: set[str]) -> Any:
        """Where a field's values are: a column, or the paths or lines of files and their match."""
        extract: dict[str, Any] = {"column": fact.get("column")}
        if "path" in fact:
            extract = {"file_property": "fullpath"}
        elif "line" in fact:
            extract = {"file_property": "lines"}
        match = fact.get("path") or fact.get("line") or fact.get("match")
        transforms = [self.mlc.Transform(ctx=self.ctx, regex=match)] if match else []
        return self.mlc.Source(
            ctx=self.ctx,
            **{"file_set" if fact["file"] in many else "file_object": fact["file"]},
            extract=self.mlc.Extract(ctx=self.ctx, **extract),
            transforms=transforms,
        )

    def groups(self, groups: Groups | None) -> list[Any]:
        """The record set of the groups (y, a), with their names and which are minority."""
        if groups is None:
            return []
        n = len(groups.attribute_names)
        rows = [
            {"code": code, "y": code // n, "a": code % n, "name": name,
             "class": groups.class_names[code // n], "attribute": groups.attribute_names[code % n],
             "minority": bool(groups.is_minority[code])}
            for code, name in enumerate(groups.names)
        ]  # fmt: skip
        types = {**dict.fromkeys(_NUMBERS, "Integer"), "minority": "Boolean"}
        fields = [
            self.mlc.Field(ctx=self.ctx, id=f"groups/{key}", name=key,
                           data_types=[_SCHEMA + types.get(key, "Text")])
            for key in rows[0]
        ]  # fmt: skip
        data = [{f"groups/{key}": value for key, value in row.items()} for row in rows]
        record_set = self.mlc.RecordSet(
            ctx=self.ctx, id="groups", name="groups", key=["groups/code"], fields=fields, data=data,
            description="every group: a class y with an attribute a",
        )  # fmt: skip
        return [record_set]
