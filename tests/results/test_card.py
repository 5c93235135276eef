"""Cards of submitted methods: every field, its type, and what does not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from w2s_groups.core.errors import InputError
from w2s_groups.results import card

WHOLE: dict[str, Any] = {
    "name": "my_method", "authors": ["Ada Lovelace"], "url": "https://example.org/x",
    "summary": "one line", "group_labels_used": "val", "uses_true_labels": False,
    "reference": False,
    "tuning": {"what": "epochs", "data": "validation", "trials": 12},
    "compute": {"hardware": "1 H200", "hours": 3.5},
    "networks": {"teacher": "resnet18", "student": "vit"},
}  # fmt: skip


def changed(name: str, value: Any) -> dict[str, Any]:
    """The whole card with one dotted field changed; taken out for ...."""
    content = {k: dict(v) if isinstance(v, dict) else v for k, v in WHOLE.items()}
    top, _, field = name.partition(".")
    of, key = (content[top], field) if field else (content, top)
    of[key] = value
    if value is ...:
        del of[key]
    return content


def read(folder: Path, content: Any) -> dict[str, Any]:
    path = folder / "card.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return card.read(path)


def test_a_whole_card_is_read_as_it_is(tmp_path: Path) -> None:
    assert read(tmp_path, WHOLE) == WHOLE
    assert read(tmp_path, {**WHOLE, "uses_true_labels": True, "reference": True})["reference"]


@pytest.mark.parametrize("name", list(card.FIELDS))
def test_every_field_is_needed_and_typed(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=rf"lacks {name}"):
        read(tmp_path, changed(name, ...))
    for wrong in (None, [[1]], {"a": 1}):
        with pytest.raises(InputError, match=rf"{name}=.* must be "):
            read(tmp_path, changed(name, wrong))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("name", "w2s", "is the method w2s of this package"),
        ("name", "Selective", "is the method selective of this package"),
        ("name", "a b", "1 to 60 letters"),
        ("name", "../x", "1 to 60 letters"),
        ("authors", [], "a list of names"),
        ("authors", "Ada", "a list of names"),
        ("url", "javascript:alert(1)", "begins with https://"),
        ("summary", "two\nlines", "a line of text"),
        ("group_labels_used", "all", "one of none, val, train"),
        ("uses_true_labels", "no", "true or false"),
        ("uses_true_labels", True, "set reference=true"),
        ("tuning.trials", 1.5, "a whole number"),
        ("tuning.trials", True, "a whole number"),
        ("tuning.trials", 0, "do not go together"),
        ("tuning.data", "test", "one of nothing, labelled, validation"),
        ("tuning.data", "nothing", "do not go together"),
        ("compute.hours", -1, "0 or more"),
        ("compute.hours", float("nan"), "0 or more"),
        ("tuning", "none", "tuning must hold fields"),
        ("author", ["x"], "did you mean 'authors'"),
        ("tuning.trial", 3, "did you mean 'tuning.trials'"),
    ],
)
def test_what_a_card_cannot_say(tmp_path: Path, name: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        read(tmp_path, changed(name, value))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "lacks name"), ("- a\n", "must hold fields"), ("a: [", "is not a YAML file"),
     ("a: 1\na: 2\n", "is not a YAML file"), ("name: ${x}\n", "lacks authors")],
)  # fmt: skip
def test_files_that_are_no_card(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


def test_a_card_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names a file that is missing"):
        card.read(tmp_path / "none.yaml")
