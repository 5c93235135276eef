"""Sets of texts: tables with what CSV has to quote, wilds' own class, Hugging Face, faults."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from layouts import SMALL, civilcomments, comment, config, rows, touch, write_rows
from numpy.testing import assert_array_equal

from w2s_groups.core.errors import InputError
from w2s_groups.data import civilcomments as module
from w2s_groups.data.base import ImageDataset, TextDataset, original_eta
from w2s_groups.data.wilds import import_wilds

WHOLE: dict[str, Any] = {"check_counts": False}


@pytest.mark.parametrize("attribute", module.IDENTITIES)
def test_civilcomments_is_what_wilds_makes_of_it(tmp_path: Path, attribute: str) -> None:
    folder = civilcomments(tmp_path)
    for root in (tmp_path, folder):
        ours = config("civilcomments", root=str(root), attribute=attribute, **WHOLE).load(tmp_path)
        assert isinstance(ours, TextDataset)
    theirs = import_wilds()("civilcomments", root_dir=str(tmp_path), download=False)
    assert_array_equal(ours.y, theirs.y_array)
    fields = theirs.metadata_fields
    assert_array_equal(ours.a, theirs.metadata_array[:, fields.index(attribute)])
    assert_array_equal(ours.split, theirs.split_array.astype(int))
    assert list(ours.texts) == [theirs.get_input(row) for row in range(len(theirs))]
    wilds = config("wilds", root=str(tmp_path), dataset="civilcomments", attribute=attribute).load(
        tmp_path
    )
    assert wilds.texts == ours.texts
    assert wilds.sort_keys == ours.sort_keys
    assert_array_equal(wilds.codes, ours.codes)
    assert_array_equal(wilds.split, ours.split)


def test_civilcomments_names_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = civilcomments(tmp_path)
    dataset = config("civilcomments", root=str(folder), **WHOLE).load(tmp_path)
    counts = [np.bincount(dataset.codes[dataset.split == s], minlength=4) for s in range(3)]
    assert_array_equal(counts, SMALL)
    assert dataset.texts == tuple(comment(i) for i, *_ in rows(SMALL))
    assert dataset.groups.names[3] == "toxic-on-black mention"
    assert dataset.groups.minority == {(0, 1), (1, 0)}
    assert original_eta(dataset) == (2 + 1) / 13
    own = config("civilcomments", root=str(folder))
    with pytest.raises(
        InputError,
        match="train has 6 texts of non-toxic-on-no black mention and the release has 231738",
    ):
        own.load(tmp_path)
    monkeypatch.setattr(module, "BLACK", dict(zip(module.SIZES, SMALL, strict=True)))
    own.load(tmp_path)
    other = config("civilcomments", root=str(folder), attribute="muslim")
    with pytest.raises(InputError, match="train has 13 texts and the release has 269038"):
        other.load(tmp_path)
    monkeypatch.setattr(module, "SIZES", {"train": 13, "val": 10, "test": 14})
    other.load(tmp_path)
    for name, table in module.BLACK.items():
        assert len(table) == 4, name
    with pytest.raises(InputError, match=r"data\.attribute='blck' is unknown: did you mean 'bla"):
        config("civilcomments", root=str(folder), attribute="blck", **WHOLE).load(tmp_path)


def test_the_releases_groups_add_up_to_its_splits() -> None:
    assert {name: sum(counts) for name, counts in module.BLACK.items()} == module.SIZES
    assert sum(module.SIZES.values()) == 448000


@pytest.mark.parametrize("value", ["1.1", "-0.1", "nan", "", "True", "1_0", "٠", "1e1"])
def test_shares_outside_0_to_1(tmp_path: Path, value: str) -> None:
    folder = civilcomments(tmp_path)
    table = folder / "all_data_with_identities.csv"
    frame = pd.read_csv(table, dtype=str, keep_default_na=False)
    frame.loc[2, "toxicity"] = value
    frame.to_csv(table, index=False)
    with pytest.raises(InputError) as caught:
        config("civilcomments", root=str(folder), **WHOLE).load(tmp_path)
    # The rows before it are on one, three and one line, after the header's.
    line = 2 + sum(comment(i).count("\n") + 1 for i, *_ in list(rows(SMALL))[:2])
    assert f"line {line}: toxicity={value!r} is outside the coding of shares" in str(caught.value)


MNLI = ("gold_label", "sentence1", "sentence2", "sentence2_has_negation", "split")


def mnli(root: Path, delimiter: str = ",") -> Path:
    """Pairs of sentences, three classes, as group DRO's table of MultiNLI has them."""
    labels = ("contradiction", "entailment", "neutral")
    table = [
        (labels[i % 3], f'One "{i}", and', f" two\nof {i} ", i % 2, i % 4 % 3) for i in range(24)
    ]
    write_rows(root / "metadata.csv", [MNLI, *table], delimiter)
    return root


OWN: dict[str, Any] = {
    "text_columns": ["sentence1", "sentence2"],
    "y_column": "gold_label",
    "a_column": "sentence2_has_negation",
    "class_names": ["contradiction", "entailment", "neutral"],
    "attribute_names": ["no negation", "negation"],
    "minority": [[0, 0], [1, 1], [2, 1]],
}


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_pairs_of_a_table(tmp_path: Path, delimiter: str) -> None:
    own = {"root": str(mnli(tmp_path, delimiter)), **OWN}
    dataset = config("metadata_csv", **own).load(tmp_path)
    assert dataset.texts == tuple(f'One "{i}", and' for i in range(24))
    assert dataset.second == tuple(f" two\nof {i} " for i in range(24))
    assert dataset.files[1] == "line 4"
    assert_array_equal(dataset.y, np.arange(24) % 3)
    assert_array_equal(dataset.split, np.arange(24) % 4 % 3)
    single = config("metadata_csv", **{**own, "text_columns": ["sentence2"]}).load(tmp_path)
    assert single.second is None
    assert single.texts == dataset.second


@pytest.mark.parametrize("quoted", [5, 1, 0])
def test_texts_are_kept_as_they_are_with_crlf_a_mark_and_blank_lines(
    tmp_path: Path, quoted: int
) -> None:
    texts = [" two  spaces ", "é\u2028\x0b", "'", " NA", "-"]
    shown = [f'"{text}"' if n < quoted else text for n, text in enumerate(texts)]
    lines = ["label,place,split,text", "", *(f"{i % 2},{i % 3 % 2},{i % 3},{text}"
             for i, text in enumerate(shown)), " ,,, ", ""]  # fmt: skip
    (tmp_path / "metadata.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    own = {"text_columns": ["text"], "y_column": "label", "a_column": "place"}
    dataset = config("metadata_csv", root=str(tmp_path), **own).load(tmp_path)
    assert list(dataset.texts) == texts
    assert dataset.files == tuple(f"line {n}" for n in range(3, 8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text_columns": ["sentence1"] * 2}, "must name one column of texts, or the two"),
        ({"text_columns": ["a", "b", "c"]}, "must name one column of texts, or the two"),
        ({"text_columns": ["sentence3"]}, "lacks the column sentence3; its columns are gold_label"),
        ({"text_columns": ["gold_label"]}, r"data\.text_columns, y_column, .* name a column once"),
        (
            {"class_names": ["no", "yes", "may"]},
            r"line 2: gold_label='contradiction' is outside the cod",
        ),
        ({"text_columns": []}, "lacks the column filename"),
    ],
)
def test_faults(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config("metadata_csv", root=str(mnli(tmp_path)), **{**OWN, **changes}).load(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a,b,c,d\n1,0,0,"no end\n1,1,1,x\n', "is not as a table separated by commas has it"),
        ('a,b,c,d\n1,0,0,x\n1,1,1,"two\nlines" more\n', "after the row of line 2 is not as"),
        ('a,b,c,d\n1,0,0,"two\nlines"\n1,0,0\n', "line 4: 4 values are expected"),
        ('a,b,c,d\n1,0,0,"two\nlines"\n7,0,0,x\n', "line 4: a='7' is outside the coding 0..1"),
        ("a,b,c,d\n", "lists no text; restore its rows"),
    ],
)
def test_lines_of_texts_that_are_no_table(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "metadata.csv").write_text(text)
    own = {"text_columns": ["d"], "y_column": "a", "a_column": "b", "split_column": "c"}
    names = {"class_names": ["p", "q"], "attribute_names": ["r", "s"]}
    with pytest.raises(InputError, match=message):
        config("metadata_csv", root=str(tmp_path), **own, **names).load(tmp_path)


def test_the_split_of_all_texts_follows_the_texts_and_not_their_order(tmp_path: Path) -> None:
    own = {"root": str(mnli(tmp_path)), **OWN, "pool": "all", "test_fraction": 0.5}
    before = config("metadata_csv", **own).load(tmp_path)
    frame = pd.read_csv(tmp_path / "metadata.csv", dtype=str, keep_default_na=False)
    frame.iloc[::-1].to_csv(tmp_path / "metadata.csv", index=False)
    after = config("metadata_csv", **own).load(tmp_path)
    assert after.texts == before.texts[::-1]
    assert_array_equal(after.split, before.split[::-1])
    assert set(before.split) == {0, 2}


def test_texts_and_pairs_of_hugging_face(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    table = {
        "premise": [f"p{k}" for k in range(8)],
        "hypothesis": [f" h{k}\n" for k in range(7)] + [None],
        "label": [k % 2 for k in range(8)],
        "split": [k // 2 % 2 for k in range(8)],
    }
    (tmp_path / "set/data").mkdir(parents=True)
    for name, part in (("train", slice(0, 5)), ("test", slice(5, 8))):
        some = {column: values[part] for column, values in table.items()}
        file = tmp_path / f"set/data/{name}-00000-of-00001.parquet"
        datasets.Dataset.from_dict(some).to_parquet(str(file))
    own = {"root": str(tmp_path / "set"), "y_column": "label", "a_column": "split"}
    pairs = config("huggingface", text_columns=["premise", "hypothesis"], **own).load(
        tmp_path / "c"
    )
    assert pairs.texts == tuple(table["premise"])
    assert pairs.second == tuple(text or "" for text in table["hypothesis"])
    assert_array_equal(pairs.y, table["label"])
    assert_array_equal(pairs.a, table["split"])
    assert_array_equal(pairs.split, [0] * 5 + [2] * 3)
    assert pairs.files[5] == "row 5"
    one = config("huggingface", text_columns=["hypothesis"], **own).load(tmp_path / "c")
    assert one.texts == pairs.second
    assert one.second is None
    for columns, message in (
        (["label"], "the column label of split train holds int64 and no texts"),
        (["premis"], "lacks the column premis"),
    ):
        with pytest.raises(InputError, match=message):
            config("huggingface", text_columns=columns, **own).load(tmp_path / "c")


def test_graphs_and_arrays_of_wilds_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    civilcomments(tmp_path)
    import_wilds()
    from wilds.datasets.civilcomments_dataset import CivilCommentsDataset

    monkeypatch.setattr(CivilCommentsDataset, "get_input", lambda self, row: np.zeros(3))
    own = config("wilds", root=str(tmp_path), dataset="civilcomments", attribute="male")
    with pytest.raises(InputError, match="holds neither image files nor texts"):
        own.load(tmp_path)


def test_what_pandas_reads_as_missing_is_an_empty_text_by_wilds_and_its_own_by_us(
    tmp_path: Path,
) -> None:
    folder = civilcomments(tmp_path)
    table = folder / "all_data_with_identities.csv"
    table.write_text(table.read_text().replace(f"{comment(0)},", "NA,", 1))
    theirs = config("wilds", root=str(tmp_path), dataset="civilcomments", attribute="black")
    ours = config("civilcomments", root=str(tmp_path), **WHOLE)
    assert theirs.load(tmp_path).texts[0] == ""
    assert ours.load(tmp_path).texts[0] == "NA"


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_million_characters_in_one_field(tmp_path: Path, quote: str) -> None:
    limit = csv.field_size_limit()
    text = f"a,b,c,d\n0,0,0,{quote}{'word ' * 200_000}{quote}\n1,1,2,x\n0,1,2,y\n1,0,0,z\n"
    (tmp_path / "metadata.csv").write_text(text)
    own = {"text_columns": ["d"], "y_column": "a", "a_column": "b", "split_column": "c"}
    found = config("metadata_csv", root=str(tmp_path), **own).load(tmp_path)
    assert len(found.texts[0]) == 1_000_000
    assert csv.field_size_limit() == limit


def test_images_are_still_images(tmp_path: Path) -> None:
    for k in range(4):
        touch(tmp_path / f"{k}.png")
    table = [("filename", "y", "a", "split"), *((f"{k}.png", k % 2, k // 2, 2) for k in range(4))]
    write_rows(tmp_path / "metadata.csv", table)
    dataset = config("metadata_csv", root=str(tmp_path), pool="all").load(tmp_path)
    assert isinstance(dataset, ImageDataset)
    assert dataset.sort_keys == dataset.files


def unquoted(root: Path, rows: list[list[str]]) -> dict[str, Any]:
    """A table with tabs as language-inference sets are published: quotation marks are text."""
    header = ("label", "one", "two", "cue", "split")
    text = "".join("\t".join(row) + "\n" for row in [header, *rows])
    (root / "metadata.csv").write_text(text, encoding="utf-8")
    return {
        "root": str(root), "text_columns": ["one", "two"], "y_column": "label", "a_column": "cue",
    }  # fmt: skip


def pairs_of_texts() -> list[list[str]]:
    return [
        [("no", "yes")[i % 2], f"first {i} .", f"second {i} .", str(i // 2 % 2), str(i % 3)]
        for i in range(24)
    ]


@pytest.mark.parametrize(
    "marks",
    [
        {(4, 1): '"Hello there .', (9, 1): 'he said , and left "'},  # pairs over five rows
        {(4, 1): '"Hello there .', (5, 1): 'he left "'},
        {(4, 2): '"Hello there .', (9, 1): 'he left "'},
        {(4, 1): '"Hello there .'},  # is never closed
        {(7, 2): 'he said "yes" .', (8, 1): '"Yes" , he said .'},
        {(0, 1): '"', (23, 2): '"'},
        {(3, 1): 'six " wide'},
    ],
)
def test_quotation_marks_are_text_where_they_are_written_so(
    tmp_path: Path, marks: dict[tuple[int, int], str]
) -> None:
    rows = pairs_of_texts()
    for (row, column), text in marks.items():
        rows[row][column] = text
    own = unquoted(tmp_path, rows)
    dataset = config("metadata_csv", **own).load(tmp_path)
    assert list(dataset.texts) == [row[1] for row in rows]
    assert list(dataset.second or ()) == [row[2] for row in rows]
    assert dataset.files[23] == "line 25"


def test_a_table_that_reads_in_two_ways_is_not_guessed(tmp_path: Path) -> None:
    rows = pairs_of_texts()
    rows[5][1] = '"Hello ."'  # a text with its marks, or a quoted field
    own = unquoted(tmp_path, rows)
    with pytest.raises(InputError, match=r"as 24 rows with quoted .* line 7; set data\.quoting=tr"):
        config("metadata_csv", **own).load(tmp_path)
    for quoting, text in ((True, "Hello ."), (False, '"Hello ."')):
        assert config("metadata_csv", **own, quoting=quoting).load(tmp_path).texts[5] == text


def test_rows_that_a_quoted_field_swallows(tmp_path: Path) -> None:
    rows = pairs_of_texts()
    rows[4][1], rows[9][1] = '"Hello there .', 'he left "'
    own = unquoted(tmp_path, rows)
    for mark in ("\t", ","):
        path = tmp_path / "metadata.csv"
        path.write_text(path.read_text().replace("\t", mark))
        with pytest.raises(InputError, match=r"line 6: a quoted field goes on over 6 lines, 6 o"):
            config("metadata_csv", **own, quoting=True).load(tmp_path)
        assert len(config("metadata_csv", **own, quoting=False).load(tmp_path).texts) == 24
    with pytest.raises(InputError, match=r"close its quotation mark; or set data\.quoting=false"):
        config("metadata_csv", **own).load(tmp_path)  # commas: quoted unless it is said


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 2, 3), (3, 2, 1, 0), (0, 2, 3, 1)])
def test_texts_over_lines_that_look_like_rows_are_read(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    """A text may end, or begin, on a line that holds the labels of its own row."""
    header = ("text", "label", "cue", "split")
    table = [(f"one {i}\nand two", "ny"[i % 2], i // 2 % 2, i % 3) for i in range(12)]
    write_rows(tmp_path / "metadata.csv", [[row[k] for k in order] for row in (header, *table)])
    own = {"text_columns": ["text"], "y_column": "label", "a_column": "cue"}
    dataset = config("metadata_csv", root=str(tmp_path), **own).load(tmp_path)
    assert dataset.texts == tuple(row[0] for row in table)
