"""Features from a file: joined by name or taken in order, and checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from w2s_groups.backbones import get_backbone
from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.features import precomputed

FILES = [f"a/{i}.jpg" for i in range(6)]
MATRIX = stream(0, "test/precomputed").normal(size=(6, 4)).astype(np.float32)
SHUFFLED = [4, 0, 5, 2, 1, 3]
MORE = [*(FILES[i] for i in SHUFFLED), "b/not in the dataset.jpg"]
ROWS = np.vstack([MATRIX[SHUFFLED], np.full((1, 4), np.nan, dtype=np.float32)])


def save(kind: str, path: Path) -> Path:
    if kind == "npy":
        np.save(path, MATRIX)
    elif kind == "npz in order":
        np.savez(path, features=MATRIX)
    elif kind == "npz":
        np.savez(path, features=ROWS.astype(np.float64), files=MORE)
    elif kind == "npz bytes":
        np.savez(path, features=ROWS, files=np.array(MORE, dtype=bytes))
    else:
        pytest.importorskip("pyarrow")
        if kind == "parquet lists":
            table = pd.DataFrame({"file": MORE, "features": list(ROWS)})
        else:
            table = pd.DataFrame(ROWS, columns=[f"f{i}" for i in range(4)])
            table.insert(2, "file", MORE)
        if kind == "parquet in order":
            table = pd.DataFrame(MATRIX, columns=list("bcde"))
        table.to_parquet(path)
    return path


KINDS = {
    "npy": "npy",
    "npz in order": "npz",
    "npz": "npz",
    "npz bytes": "npz",
    "parquet": "parquet",
    "parquet lists": "parquet",
    "parquet in order": "parquet",
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_rows_are_the_datasets_whatever_the_files_order(kind: str, tmp_path: Path) -> None:
    path = save(kind, tmp_path / f"x.{KINDS[kind]}")
    found = precomputed.read(f"file/{path}", FILES)
    assert np.array_equal(found.matrix, MATRIX)
    assert found.matrix.dtype == np.float32
    assert found.bad == ()
    with pytest.raises(ValueError, match="read-only"):
        found.matrix[0, 0] = 1
    np.save(tmp_path / "same.npy", MATRIX)
    assert found.key == precomputed.read(f"file/{tmp_path}/same.npy", FILES).key
    np.save(tmp_path / "other.npy", MATRIX + 1)
    assert found.key != precomputed.read(f"file/{tmp_path}/other.npy", FILES).key


def test_a_row_that_is_not_finite_is_a_bad_image(tmp_path: Path) -> None:
    matrix = MATRIX.astype(np.float64)
    matrix[2, 1], matrix[4, 0] = np.nan, 1e300
    np.save(tmp_path / "x.npy", matrix)
    with pytest.raises(InputError, match=r"2 of 6 images.*a/2\.jpg.*a/4\.jpg.*on_bad_image=skip"):
        precomputed.read(f"file/{tmp_path}/x.npy", FILES)
    found = precomputed.read(f"file/{tmp_path}/x.npy", FILES, "skip")
    assert [(row, file) for row, file, _ in found.bad] == [(2, "a/2.jpg"), (4, "a/4.jpg")]
    assert np.isnan(found.matrix[[2, 4]]).all()
    assert np.array_equal(found.matrix[[0, 1, 3, 5]], MATRIX[[0, 1, 3, 5]])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (MATRIX[:5], "5 rows and the dataset 6 images"),
        (MATRIX[:, :, None], r"has shape \(6, 4, 1\)"),
        (MATRIX[:, 0], r"has shape \(6,\)"),
        (MATRIX[:, :0], r"has shape \(6, 0\)"),
        (MATRIX > 0, "holds bool values"),
        (MATRIX.astype(complex), "holds complex64 values|holds complex128 values"),
        (MATRIX.astype(str), "holds <U32 values"),
        ({"x": MATRIX}, "no array named features but x"),
        ({"features": MATRIX, "files": FILES[:5]}, "6 rows of features and 5 names in files"),
        (
            {"features": MATRIX[:5], "files": FILES[:5]},
            r"lacks 1 of 6 images in files, such as a/5\.jpg",
        ),
        ({"features": MATRIX, "files": [*FILES[:5], FILES[0]]}, r"has a/0\.jpg twice"),
    ],
)
def test_what_does_not_fit_is_said(arrays: object, message: str, tmp_path: Path) -> None:
    if isinstance(arrays, dict):
        path = tmp_path / "x.npz"
        np.savez(path, **arrays)
    else:
        path = tmp_path / "x.npy"
        np.save(path, arrays)
    with pytest.raises(InputError, match=message):
        precomputed.read(f"file/{path}", FILES)


def test_files_that_are_none_are_said(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    (tmp_path / "page.npz").write_bytes(b"<html>404</html>")
    for name, message in {
        "gone.npy": "names a file that is missing",
        "x.csv": r"must end in \.npy, \.npz, \.pt, \.parquet",
        "objects.npy": "can't be read .*allow_pickle",
        "page.npz": "can't be read",
    }.items():
        with pytest.raises(InputError, match=message):
            precomputed.read(f"file/{tmp_path}/{name}", FILES)
    with pytest.raises(InputError, match="names a file of features"):
        get_backbone("file/x.npy")


def test_a_parquet_column_of_text_is_said(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pd.DataFrame({"file": FILES, "x": list("abcdef")}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError, match="column x is not numeric"):
        precomputed.read(f"file/{tmp_path}/x.parquet", FILES)
    lists = pd.DataFrame({"file": FILES, "features": [[1.0] * (i + 1) for i in range(6)]})
    lists.to_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError, match="must be of one length"):
        precomputed.read(f"file/{tmp_path}/x.parquet", FILES)


def frame(**columns: object) -> pd.DataFrame:
    """The shuffled rows as columns f0..f3, with others first."""
    table = pd.DataFrame(ROWS[:6], columns=[f"f{i}" for i in range(4)])
    return pd.DataFrame(columns).join(table) if columns else table


NAMES = MORE[:6]


@pytest.mark.parametrize(
    "table",
    [
        frame().set_index(pd.Index(NAMES, name="file")),
        frame().set_index(pd.Index(NAMES)),
        frame().set_index(pd.MultiIndex.from_arrays([list("aabbab"), NAMES])),
        frame(path=NAMES),
        frame(Image=pd.Categorical(NAMES)),
        frame(x=[name.encode() for name in NAMES]),
        frame(filename=NAMES, image=NAMES),
        frame(name=NAMES, split=list("ababab"), label=["cat", "dog"] * 3),
        frame(name=NAMES).set_index(pd.Index(SHUFFLED)),
    ],
    ids=lambda table: f"{table.index.names} {list(table.columns)}",
)
def test_names_are_found_wherever_a_table_has_them(table: pd.DataFrame, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    table.to_parquet(tmp_path / "x.parquet")
    assert np.array_equal(precomputed.read(f"file/{tmp_path}/x.parquet", FILES).matrix, MATRIX)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (frame().set_index(pd.Index([f"{i}.png" for i in range(6)])), "lacks 6 of 6 images in the "
         r"index, such as a/0\.jpg \(it has 0\.png\)"),
        (frame().set_index(pd.Index(SHUFFLED)), r"apart by numbers \(the index\), which are not"),
        (frame().set_index(pd.Index(range(1, 7))), r"apart by numbers \(the index\), which are n"),
        (frame(picture=list("abcdef")), "lacks 6 of 6 images in picture"),
        (frame(img_id=SHUFFLED), "column img_id would be taken for a feature and reads as numbers"),
        (frame(id=np.arange(6.0)), "column id would be taken for a feature and reads as numbers"),
        (frame(stamp=SHUFFLED), "column stamp would be taken for a feature and reads as numbers"),
        (frame(file=NAMES, idx=SHUFFLED), "column idx would be taken for a feature and reads as"),
        (frame(y=[0, 1] * 3), "column y would be taken for a feature and reads as labels"),
        (frame(file=NAMES, place=[0.0, 1] * 3), "column place would be taken for a feature and re"),
        (frame(file=NAMES, kind=list("abcdef")), "column kind is not numeric"),
        (frame(file=NAMES, source=FILES), "(file and source|source and file) both hold the names"),
        (frame(file=[*NAMES[:5], None]), "lacks 1 of 6 images in file"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(list(value.columns)),
)  # fmt: skip
def test_names_and_numbers_that_are_not_understood_are_said(
    table: pd.DataFrame, message: str, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    table.to_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError, match=message):
        precomputed.read(f"file/{tmp_path}/x.parquet", FILES)


ARRAYS: dict[str, dict[str, object]] = {
    "image_names": {"features": ROWS[:6], "image_names": NAMES, "y": [0, 1] * 3},
    "keys": dict(zip(MORE, ROWS, strict=True)),
    "a model's name with them": {"features": ROWS[:6], "paths": NAMES, "model": ["resnet"]},
}


@pytest.mark.parametrize("arrays", ARRAYS.values(), ids=list(ARRAYS))
def test_names_are_found_wherever_arrays_have_them(
    arrays: dict[str, object], tmp_path: Path
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    kept = {
        name: torch.tensor(value) if np.asarray(value).dtype.kind in "fiu" else value
        for name, value in arrays.items()
    }
    torch.save(kept, tmp_path / "x.pt")
    for name in ("x.npz", "x.pt"):
        assert np.array_equal(precomputed.read(f"file/{tmp_path}/{name}", FILES).matrix, MATRIX)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"features": MATRIX, "names": list("abcdef")}, "lacks 6 of 6 images in names"),
        ({"features": MATRIX, "ids": SHUFFLED}, r"apart by numbers \(array ids\), which are not"),
        ({"features": MATRIX, "order": SHUFFLED}, r"apart by numbers \(array order\)"),
        ({"0.jpg": MATRIX[0], "1.jpg": MATRIX[1]}, "no array named features but 0.jpg, 1.jpg"),
        (dict(zip(FILES[:5], MATRIX, strict=False)), "lacks 1 of 6 images in the arrays' names"),
        ({FILES[0]: MATRIX[0], FILES[1]: MATRIX[1, :2]}, "must be of one shape"),
    ],
)
def test_arrays_that_are_not_understood_are_said(
    arrays: dict[str, object], message: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=message):
        precomputed.read(f"file/{tmp_path}/x.npz", FILES)


def test_without_names_the_rows_are_in_the_order_of_the_list(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    np.savez(tmp_path / "x.npz", features=MATRIX, labels=[0, 1, 0, 1, 1, 0])
    torch.save(torch.tensor(MATRIX), tmp_path / "x.pt")
    place = np.array(SHUFFLED)
    for name in ("x.npz", "x.pt"):
        with caplog.at_level("INFO"):
            found = precomputed.read(
                f"file/{tmp_path}/{name}", [FILES[k] for k in SHUFFLED], listed=place
            )
        assert f"{name} has no names: its rows are taken in the order of" in caplog.text
        assert np.array_equal(found.matrix, MATRIX[place])
    with pytest.raises(InputError, match="6 rows and the dataset 5 texts"):
        precomputed.read(f"file/{tmp_path}/x.npz", FILES[:5], noun="text")
