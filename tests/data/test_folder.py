from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layouts import config

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TEST, TRAIN, VAL
from w2s_groups.data.folder import read_folder
from w2s_groups.data.rows import groups_of
from w2s_groups.design.groups import Groups

GROUPS = Groups(("landbird", "waterbird"), ("land", "water"))
HEADER = "img_id,img_filename,y,split,place,place_filename"


def _folder(root: Path, text: str, encoding: str = "utf-8") -> Path:
    for name in ("s/a.jpg", "s/b.jpg", "t/c.jpg"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()  # reading decodes nothing
    (root / "metadata.csv").write_bytes(text.encode(encoding))
    return root


ROWS = ("1,s/a.jpg,0,0,1,/x", "2,s/b.jpg,1,1,1,/x", "3,t/c.jpg,1,2,0,/x")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\n\n", "\n,,,,,\n"])
def test_reads_labels_in_order(tmp_path: Path, encoding: str, newline: str) -> None:
    root = _folder(tmp_path, newline.join((HEADER, *ROWS)) + newline, encoding)
    dataset = read_folder("own", root, GROUPS)
    assert dataset.files == ("s/a.jpg", "s/b.jpg", "t/c.jpg")
    np.testing.assert_array_equal(dataset.y, [0, 1, 1])
    np.testing.assert_array_equal(dataset.a, [1, 1, 0])
    np.testing.assert_array_equal(dataset.split, [TRAIN, VAL, TEST])
    np.testing.assert_array_equal(dataset.codes, [1, 3, 2])


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (HEADER.replace("place,", "site,"), ROWS[0], "lacks the column place"),
        ("", "", "lacks the column"),
        (HEADER, "", "lists no image"),
        (HEADER, "1,s/a.jpg,2,0,1,/x", r"line 2: y='2' is outside the coding 0\.\.1"),
        (HEADER, "1,s/a.jpg,-1,0,1,/x", "line 2: y='-1' is outside"),
        (HEADER, "1,s/a.jpg,0,3,1,/x", "split='3' is outside .*train, val, test"),
        (HEADER, "1,s/a.jpg,0,0,nan,/x", "place='nan' is outside"),
        (HEADER, "1,s/a.jpg,0,0", "line 2: 6 values are expected"),
        (HEADER, "1,s/a.jpg,0,0,1,/x,more", "line 2: 6 values are expected"),
        (HEADER, "1,../s/a.jpg,0,0,1,/x", "path below the folder"),
        (HEADER, "1,/etc/hostname,0,0,1,/x", "path below the folder"),
        (HEADER, '1,s/a.jpg,0,0,1,"/x', "line 2 is not as a table separated by commas"),
        (HEADER, '1,s/a.jpg,0,0,1,"/x\n2,s/b.jpg,0,0,1,y"', "line 2: a quoted field goes on"),
        (HEADER, "1,s/a\x07.jpg,0,0,1,/x", "path below the folder"),
        (HEADER, "1,C:/a.jpg,0,0,1,/x", "path below the folder"),
        (HEADER, "1,,0,0,1,/x", "path below the folder"),
        (HEADER, "1,s/a.jpg,,0,1,/x", "line 2: y='' is outside"),
        (HEADER, "1,s/a.jpg,0,0,1,\0", "NUL bytes"),
        (HEADER.replace("img_id", "y"), ROWS[0], "has the column y twice"),
        (HEADER, "1,s\\a.jpg,0,0,1,/x", "forward slashes"),
        (
            HEADER,
            "1,s/none.jpg,0,0,1,/x",
            r"lists 1 images that are not in .*s/none.jpg \(line 2\)",
        ),
        (HEADER, "1,none/a.jpg,0,0,1,/x", r"none/a.jpg \(line 2\)"),
        (
            HEADER,
            f"{ROWS[1]}\n\n9,./s//b.jpg,0,0,1,/x",
            "line 4: s/b.jpg is listed already in line 2",
        ),
    ],
)
def test_says_what_is_wrong_and_where(tmp_path: Path, header: str, row: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_folder("own", _folder(tmp_path, f"{header}\n{row}\n"), GROUPS)


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    text = f"{HEADER}\n1,s/\u00e9.jpg,0,0,1,/x\n"
    with pytest.raises(InputError, match="not a UTF-8"):
        read_folder("own", _folder(tmp_path, text, "latin-1"), GROUPS)


def test_no_table(tmp_path: Path) -> None:
    names = {"class_names": ["a", "b"], "attribute_names": ["c", "d"]}
    with pytest.raises(InputError, match=r"set data\.root"):
        config("folder", root=str(tmp_path), **names).load(tmp_path / "cache")


def test_minority_pairs_and_names_come_from_the_config(tmp_path: Path) -> None:
    root = _folder(tmp_path, "\n".join((HEADER, *ROWS)))
    own = config(
        "folder",
        root=str(root),
        class_names=["land bird", "water bird"],
        attribute_names=["land", "water", "air"],
        minority=[[0, 1], [1, 2]],
    )
    groups = own.load(tmp_path / "cache").groups
    assert groups.minority == {(0, 1), (1, 2)}
    assert groups.names[4] == "water bird-on-water"


def test_labels_and_splits_by_name(tmp_path: Path) -> None:
    rows = ("1,s/a.jpg,landbird,train,water,/x", '2, "s/b.jpg",1,Val,water,"x, y"')
    with pytest.raises(InputError, match=r"line 3: split='Val' is outside the coding 0\.\.2"):
        read_folder("own", _folder(tmp_path, "\n".join((HEADER, *rows))), GROUPS)
    rows = (rows[0], rows[1].replace("Val", "val"), "3,t/c.jpg, waterbird,test,0 ,")
    dataset = read_folder("own", _folder(tmp_path, "\n".join((HEADER, *rows))), GROUPS)
    np.testing.assert_array_equal(dataset.codes, [1, 3, 2])
    np.testing.assert_array_equal(dataset.split, [TRAIN, VAL, TEST])


def test_a_name_that_reads_as_another_code(tmp_path: Path) -> None:
    root = _folder(tmp_path, "\n".join((HEADER, *ROWS)))
    with pytest.raises(InputError, match="the name '1' of code 0 reads as code 1; rename it"):
        read_folder("own", root, Groups(("1", "0"), ("land", "water")))


@pytest.mark.parametrize(
    ("classes", "minority", "message"),
    [
        (["a", "a"], [], "names one of them twice"),
        (["a", "b"], [[0]], "must be a pair"),
        (["a", "b"], [[0, 2]], "outside the dataset's coding"),
    ],
)
def test_bad_groups(classes: list[str], minority: list[list[int]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        groups_of(classes, ["c", "d"], minority)
