"""Thousands of damaged metadata files: each is read right or refused in one sentence.

What "right" is comes from a plain reading of the same bytes, line by line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from layouts import celeba, civilcomments, config, derived, waterbirds, write_rows

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import ImageDataset, TextDataset

N = 600  # damaged files of each kind
TOKENS = (
    '"', '""', ",", ",,", "\t", "\n", "\r", "\r\n", "\n\n", "\0", " ", "\\", "/", "../", "./", "//",
    "nan", "-1", "2", "1.0", "1e0", "+1", "\ufeff", "é", "\u2028", "\x0b", "\x1c", "'", ";", "#",
    "train", "Male", "C:", "\u0661", "1_0", "0x1", "None", "999999999999999999999",
)  # fmt: skip


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes after one to three mutations."""
    for _ in range(rng.integers(1, 4)):
        lines = data.splitlines(keepends=True)
        i, j = rng.integers(0, max(len(lines), 1), 2)
        at, to = sorted(rng.integers(0, len(data) + 1, 2))
        kind = rng.integers(0, 14)
        if kind < 4:
            token = str(rng.choice(np.array(TOKENS, dtype=object)))
            data = data[:at] + token.encode() + data[at:]
        elif kind == 4:
            data = data[:at] + data[min(at + int(rng.integers(1, 9)), len(data)) :]
        elif kind == 5:
            data = data[:at] + bytes([rng.integers(0, 256)]) + data[at + 1 :]
        elif kind == 6:
            data = data[:at]
        elif kind == 7 and lines:
            del lines[i]
            data = b"".join(lines)
        elif kind == 8 and lines:
            lines.insert(i, lines[j])
            data = b"".join(lines)
        elif kind == 9 and lines:
            lines[i], lines[j] = lines[j], lines[i]
            data = b"".join(lines)
        elif kind == 10:
            data = data.replace(b"\n", b"\r\n") if rng.integers(2) else b"\xef\xbb\xbf" + data
        elif kind == 11:
            data = b"\n".join(
                b",".join(b'"' + v + b'"' for v in line.split(b",")) for line in data.split(b"\n")
            )
        elif kind == 12:
            old, new = (str(v).encode() for v in rng.choice(np.array(TOKENS, dtype=object), 2))
            data = data.replace(old, new, int(rng.integers(1, 4)))
        else:
            data = data[:at] + data[to:]
    return data


def plain_rows(data: bytes, texts: bool = False) -> list[dict[str, str]]:
    """Every row that is not blank, by the standard library alone; the header's names as keys.

    texts: the space around values is kept.
    """
    text = data.decode("utf-8-sig")
    first = next(line for line in text.splitlines() if line.strip())
    delimiter = "\t" if "\t" in first and "," not in first else ","
    if delimiter == "\t" and literal(text):
        rows = [line.split("\t") for line in text.split("\n") if line.strip()]
        header = [v.strip() for v in rows[0]]
        return [dict(zip(header, map(str.strip, row), strict=True)) for row in rows[1:]]
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=not texts
    )
    rows = [row for row in reader if any(v.strip() for v in row)]
    header = [v.strip() for v in rows[0]]
    kept = [row if texts else [v.strip() for v in row] for row in rows[1:]]
    return [dict(zip(header, row, strict=True)) for row in kept]


def literal(text: str) -> bool:
    """Whether the quotation marks of a table with tabs, if any, stand in no column that is read."""
    rows = [line.split("\t") for line in text.split("\n") if line.strip()]
    header = [v.strip() for v in rows[0]]
    quoted = [row[k] for row in rows for k in range(len(row)) if '"' in row[k]]
    unread = [header.index("id")] if "id" in header else []
    return (
        {len(row) for row in rows} == {len(header)}
        and all('"' not in v for row in rows for k, v in enumerate(row) if k not in unread)
        and bool(quoted)
    )


SPLIT = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "test": 2, "testing": 2}


def check_listed(
    dataset: ImageDataset, data: bytes, columns: tuple[str, ...], prefix: str = ""
) -> None:
    """Every row of the table is an image of the dataset, in order, with its own labels."""
    rows = plain_rows(data)
    assert len(rows) == len(dataset.files)
    names = (
        {name: code for code, name in enumerate(dataset.groups.class_names)},
        {name: code for code, name in enumerate(dataset.groups.attribute_names)},
        SPLIT,
    )
    for k, row in enumerate(rows):
        path = "/".join(part for part in row[columns[0]].split("/") if part not in ("", "."))
        assert dataset.files[k] == prefix + path
        for column, known, codes in zip(
            columns[1:], names, (dataset.y, dataset.a, dataset.split), strict=True
        ):
            text = row[column]
            assert codes[k] == (known[text] if text in known else int(text))


Kind = TypeVar("Kind", ImageDataset, TextDataset)


def fuzz(
    table: Path, load: Callable[[], Kind], check: Callable[[Kind, bytes], None], n: int = N
) -> tuple[int, int]:
    """(read, refused) of n damaged copies of a table; the whole one is put back."""
    whole, rng = table.read_bytes(), np.random.default_rng(n - N)
    check(load(), whole)
    read, sentences = 0, []
    for number in range(n):
        data = damaged(whole, rng)
        table.write_bytes(data)
        try:
            dataset = load()
        except InputError as error:
            sentences.append(str(error))
            continue
        except Exception as error:
            raise AssertionError(
                f"copy {number}: {type(error).__name__} {error}: {data!r}"
            ) from error
        read += 1
        try:
            check(dataset, data)
        except Exception as error:
            raise AssertionError(f"copy {number} is read wrong ({error!r}): {data!r}") from error
    table.write_bytes(whole)
    assert not [text for text in sentences if "\n" in text or len(text) > 2000]
    return read, len(sentences)


def test_waterbirds(tmp_path: Path) -> None:
    folder = waterbirds(tmp_path)
    own = config("waterbirds", root=str(folder), check_counts=False)
    columns = ("img_filename", "y", "place", "split")
    read, refused = fuzz(
        folder / "metadata.csv",
        lambda: own.load(tmp_path),
        lambda dataset, data: check_listed(dataset, data, columns),
    )
    assert min(read, refused) > N / 10


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_derived_table(tmp_path: Path, delimiter: str) -> None:
    derived(tmp_path, delimiter=delimiter)
    own = config("metadata_csv", root=str(tmp_path))
    columns = ("filename", "y", "a", "split")

    def check(dataset: ImageDataset, data: bytes) -> None:
        rows = plain_rows(data)
        for column, names, codes in (
            ("y", dataset.groups.class_names, dataset.y),
            ("a", dataset.groups.attribute_names, dataset.a),
        ):
            shown = [names[code] for code in codes]
            texts = [row[column] for row in rows]
            assert shown in (texts, [f"{column}{text}" for text in texts])
        assert len(rows) == len(dataset.files)
        for k, row in enumerate(rows):
            assert dataset.files[k].split("/")[-1] == row[columns[0]].rstrip("/").split("/")[-1]
            split = row["split"]
            assert dataset.split[k] == (SPLIT[split] if split in SPLIT else int(split))

    read, refused = fuzz(tmp_path / "metadata.csv", lambda: own.load(tmp_path), check)
    assert min(read, refused) > N / 10


@pytest.mark.parametrize(
    ("layout", "table"),
    [
        ("wilds", "list_attr_celeba.csv"),
        ("wilds", "list_eval_partition.csv"),
        ("original", "Anno/list_attr_celeba.txt"),
        ("original", "Eval/list_eval_partition.txt"),
    ],
)
def test_celeba(tmp_path: Path, layout: str, table: str) -> None:
    folder = celeba(tmp_path, layout)
    own = config("celeba", root=str(folder), check_counts=False)
    whole = own.load(tmp_path)
    number = {file: k for k, file in enumerate(whole.files)}

    def rows_of(data: bytes) -> list[dict[str, Any]]:
        if layout == "wilds":
            return plain_rows(data)
        lines = [line.split() for line in io.StringIO(data.decode("utf-8-sig")) if line.strip()]
        if table.startswith("Eval"):
            return [dict(zip(("image_id", "partition"), line, strict=True)) for line in lines]
        names = ["image_id", *lines[1]]
        return [dict(zip(names, line, strict=True)) for line in lines[2:]]

    def check(dataset: ImageDataset, data: bytes) -> None:
        rows = {row["image_id"]: row for row in rows_of(data)}
        assert len(rows) == len(dataset.files) == len(rows_of(data))
        for k, file in enumerate(dataset.files):
            row = rows[file.rpartition("/")[2]]
            if "partition" in row:
                text = row["partition"]
                assert dataset.split[k] == (SPLIT[text] if text in SPLIT else int(text))
                assert dataset.codes[k] == whole.codes[number[file]]
            else:
                assert dataset.y[k] == (int(row["Blond_Hair"]) + 1) // 2
                assert dataset.a[k] == (int(row["Male"]) + 1) // 2
                assert dataset.split[k] == whole.split[number[file]]

    read, refused = fuzz(folder / table, lambda: own.load(tmp_path), check)
    assert min(read, refused) > N / 20


MANY = [N, pytest.param(10 * N, marks=pytest.mark.slow)]


@pytest.mark.parametrize("n", MANY)
def test_civilcomments(tmp_path: Path, n: int) -> None:
    folder = civilcomments(tmp_path)
    own = config("civilcomments", root=str(folder), check_counts=False)

    def check(dataset: TextDataset, data: bytes) -> None:
        rows = plain_rows(data, texts=True)
        assert [row["comment_text"] for row in rows] == list(dataset.texts)
        for column, codes in (("toxicity", dataset.y), ("black", dataset.a)):
            high = [float(row[column].strip()) >= 0.5 for row in rows]
            assert high == codes.astype(bool).tolist()
        splits = [row["split"].strip() for row in rows]
        assert [SPLIT[s] if s in SPLIT else int(s) for s in splits] == dataset.split.tolist()

    table = folder / "all_data_with_identities.csv"
    read, refused = fuzz(table, lambda: own.load(tmp_path), check, n)
    assert min(read, refused) > n / 10


@pytest.mark.parametrize("n", MANY)
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_pairs_of_texts(tmp_path: Path, delimiter: str, n: int) -> None:
    write_rows(
        tmp_path / "metadata.csv",
        [("split", "label", "one", "cue", "two"), *(
            (i % 3, ["no", "yes"][i % 2], f"first, {i}", i // 2 % 2, f" two\nlines {i}")
            for i in range(18)
        )],
        delimiter,
    )  # fmt: skip
    own = config(
        "metadata_csv", root=str(tmp_path), text_columns=["one", "two"], y_column="label",
        a_column="cue", class_names=["no", "yes"], attribute_names=["off", "on"],
    )  # fmt: skip

    def check(dataset: TextDataset, data: bytes) -> None:
        rows = plain_rows(data, texts=True)
        assert [row["one"] for row in rows] == list(dataset.texts)
        assert [row["two"] for row in rows] == list(dataset.second or ())
        for column, codes, names in (
            ("label", dataset.y, {"no": 0, "yes": 1}),
            ("cue", dataset.a, {"off": 0, "on": 1}),
            ("split", dataset.split, SPLIT),
        ):
            texts = [row[column].strip() for row in rows]
            assert [names[t] if t in names else int(t) for t in texts] == codes.tolist()

    read, refused = fuzz(tmp_path / "metadata.csv", lambda: own.load(tmp_path), check, n)
    assert min(read, refused) > n / 10


@pytest.mark.parametrize("n", MANY)
def test_texts_whose_quotation_marks_are_text(tmp_path: Path, n: int) -> None:
    """Tabs, and marks that open or close nothing: a row is a line, and a value what it holds."""
    marks = ('"Hello .', 'he said "no" .', 'he left "', "plain .", '"" .')
    lines = ["split\tlabel\tone\tcue\ttwo"] + [
        f"{i % 3}\t{('no', 'yes')[i % 2]}\t{marks[i % 5]} {i}\t{i // 2 % 2}\t {marks[i % 4]}"
        for i in range(18)
    ]
    (tmp_path / "metadata.csv").write_text("\n".join(lines) + "\n")
    own = config(
        "metadata_csv", root=str(tmp_path), text_columns=["one", "two"], y_column="label",
        a_column="cue", class_names=["no", "yes"], attribute_names=["off", "on"],
    )  # fmt: skip

    def check(dataset: TextDataset, data: bytes) -> None:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
        rows = [line.split("\t") for line in text.split("\n") if line.strip(" \t\r")]
        header = [name.strip() for name in rows[0]]
        found = [dict(zip(header, row, strict=True)) for row in rows[1:]]
        assert [row["one"] for row in found] == list(dataset.texts)
        assert [row["two"] for row in found] == list(dataset.second or ())
        names = {"no": 0, "yes": 1}
        labels = [row["label"].strip() for row in found]
        assert [names[s] if s in names else int(s) for s in labels] == dataset.y.tolist()

    read, refused = fuzz(tmp_path / "metadata.csv", lambda: own.load(tmp_path), check, n)
    assert min(read, refused) > n / 10
