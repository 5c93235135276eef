"""Masks against drawings by hand, and what is said of a file that is not as it should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image, ImageOps

from w2s_groups.core.errors import InputError
from w2s_groups.data.compositing.coco import instances
from w2s_groups.data.compositing.masks import Instance, polygon_mask, run_length_mask, unpacked
from w2s_groups.data.compositing.paste import open_cutout


def drawn(*lines: str) -> np.ndarray:
    return np.array([[mark == "#" for mark in line] for line in lines])


def test_polygons_pixel_by_pixel() -> None:
    square = [1, 1, 5, 1, 5, 3, 1, 3]
    triangle = [0, 0, 4, 4, 0, 4]  # below the diagonal; centres on it count as outside or inside
    corner = [6, 2, 9, 2, 9, 9, 6, 9]  # leaves the picture
    assert_array_equal(
        polygon_mask([square, corner], 8, 4),
        drawn("........", ".####...", ".####.##", "......##"),
    )
    below = np.tri(4, 4, -1, dtype=bool)
    mask = polygon_mask([triangle], 4, 4)
    assert_array_equal(mask & ~np.eye(4, dtype=bool), below)
    assert not polygon_mask([[-9, -9, -5, -9, -5, -5]], 4, 4).any()


def test_run_lengths_go_down_the_columns_and_start_outside() -> None:
    mask = drawn(".#..", ".#..", "#...")
    assert_array_equal(run_length_mask([2, 3, 7], 4, 3), mask)
    assert_array_equal(run_length_mask("237", 4, 3), mask)
    assert_array_equal(run_length_mask([0, 12], 4, 3), np.ones((3, 4), dtype=bool))


def test_packed_run_lengths_by_hand() -> None:
    # 70 = 6 + 2 * 32: "6" with "more follow" is chr(48 + 32 + 6), then 2.
    # 9 has no sign bit (16), 20 has: it needs a second character, 0.
    assert unpacked("V2") == [70]
    assert unpacked("9d0") == [9, 20]
    # From the fourth on, differences to the run two before: 5 - 3 = 2, then 1 - 4 = -3, whose five
    # low bits are 29.
    assert unpacked("1342" + chr(48 + 29)) == [1, 3, 4, 5, 1]
    for broken in ("V", "é", " "):
        with pytest.raises(ValueError, match=r"packed mask"):
            unpacked(broken)


def instance(path: Path, segmentation: Any) -> Instance:
    return Instance(path, 7, (4, 3), segmentation)


def test_a_masked_object_is_its_pixels_and_no_others(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    cutout = open_cutout(instance(tmp_path / "p.png", {"size": [3, 4], "counts": [2, 3, 7]}), 64)
    assert_array_equal(np.asarray(cutout)[..., :3], pixels[:, :2])
    assert_array_equal(np.asarray(cutout)[..., 3] == 255, drawn(".#", ".#", "#."))


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [3, 4], "counts": [2, 3]},
        {"size": [3, 4], "counts": [2, -3, 13]},
        {"size": [3, 4], "counts": [2.5, 9.5]},
        {"size": [3, 4], "counts": "23"},
        {"size": [3, 4], "counts": ""},
        {"size": [4, 3], "counts": [2, 3, 7]},
        {"counts": [2, 3, 7]},
        [],
        [[0, 0, 1, 1]],
        [[0, 0, 1, 1, 2]],
        [["a", 0, 1, 1, 2, 2]],
        [[0, 0, 4, 0, float("nan"), 3]],
        3,
    ],
)
def test_a_malformed_mask_is_named(tmp_path: Path, segmentation: Any) -> None:
    with pytest.raises(InputError, match=r"p\.png, annotation 7, has a malformed mask"):
        instance(tmp_path / "p.png", segmentation).mask()


def test_whole_rectangle_and_wrong_size_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3)).save(tmp_path / "p.png")
    whole = instance(tmp_path / "p.png", [[0, 0, 4, 0, 4, 3, 0, 3]])
    with pytest.raises(InputError, match=r"annotation 7, has no transparent pixels"):
        open_cutout(whole, 64)
    Image.new("RGB", (40, 30)).save(tmp_path / "p.png")
    with pytest.raises(InputError, match="drawn on 4 x 3 pixels and the file has 40 x 30"):
        open_cutout(whole, 64)


SQUARE = [[0, 0, 2, 0, 2, 2, 0, 2]]


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """Four photographs: a small and a large cat; a dog and a larger cat; a crowd; a tiny dog."""
    for name in "abcd":
        (tmp_path / f"{name}.jpg").touch()
    rows = [(1, 1, 1, 50), (2, 1, 1, 90), (3, 2, 2, 60), (4, 2, 1, 80), (6, 4, 2, 9), (7, 4, 2, 70)]
    annotations = [
        {"id": i, "image_id": image, "category_id": c, "area": area, "segmentation": SQUARE}
        for i, image, c, area in rows
    ]
    crowd = annotations[0] | {"id": 5, "image_id": 3, "iscrowd": 1}
    return {
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "hot dog"}],
        "images": [
            {"id": i, "file_name": f"{name}.jpg", "width": 4, "height": 3}
            for i, name in enumerate("abcd", start=1)
        ],
        "annotations": [*annotations, crowd],
    }


def read(tmp_path: Path, content: Any, area: float = 10, every: bool = False, **classes: list[str]):
    (tmp_path / "i.json").write_text(content if isinstance(content, str) else json.dumps(content))
    classes = classes or {"c": ["cat"], "d": ["hot dog"]}
    return instances(tmp_path / "i.json", tmp_path, classes, area, every)


def numbers(found: dict[str, dict[str, list[Instance]]]) -> dict[str, dict[str, list[int]]]:
    return {
        name: {identity: [one.number for one in objects] for identity, objects in ids.items()}
        for name, ids in found.items()
    }


def test_a_photograph_is_one_identity_of_one_class(tmp_path: Path, content: dict[str, Any]) -> None:
    # Photograph b shows both; its larger object is a cat, so that no photograph has two classes.
    assert numbers(read(tmp_path, content)) == {"c": {"a": [2], "b": [4]}, "d": {"d": [7]}}
    assert numbers(read(tmp_path, content, every=True)) == {
        "c": {"a": [2, 1], "b": [4]},
        "d": {"d": [7]},
    }
    assert numbers(read(tmp_path, content, area=1, every=True))["d"] == {"d": [7, 6]}
    assert numbers(read(tmp_path, content, x=["hot dog", "cat"]))["x"] == {
        "a": [2],
        "b": [4],
        "d": [7],
    }


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("images", {"id": 1}, r"entry 1 of 'images' repeats the id 1 of entry 0; files that were"),
        ("categories", {"id": 1}, r"entry 1 of 'categories' repeats the id 1 of entry 0"),
        ("annotations", {"id": 1}, r"entry 1 of 'annotations' repeats the id 1 of entry 0"),
        ("categories", {"name": "cat"}, r"categories 1 and 2 are both named 'cat'; give them one"),
        ("images", {"file_name": "a.jpg"}, r"images 1 and 2 are both named a \(apart from the"),
        ("images", {"file_name": "a.png"}, r"images 1 and 2 are both named a \(apart from the"),
        ("images", {"file_name": None}, r"id 2, has file_name=null, and a name is expected"),
        ("images", {"file_name": "/b.jpg"}, r"image 2 has file_name='/b.jpg', which must be a pa"),
        ("images", {"file_name": "../b.jpg"}, r"image 2 has file_name='../b.jpg', which must be"),
        ("images", {"width": None}, r"id 2, has width=null, and a whole number of pixels is exp"),
        ("images", {"height": -3}, r"id 2, has height=-3, and a whole number of pixels"),
        ("images", {"id": None}, r"entry 1 of 'images', id None, has id=null, and a whole numb"),
        ("images", {"id": [1]}, r"has id=\[1\], and a whole number or a name is expected"),
        ("annotations", {"area": None}, r"annotation 2 has area=null, and a number of pixels is"),
        ("annotations", {"area": "9"}, r'annotation 2 has area="9", and a number of pixels is'),
        ("annotations", {"area": float("nan")}, r"annotation 2 has area=NaN"),
        ("annotations", {"segmentation": None}, r"annotation 2 has segmentation=null, and a mask"),
        ("annotations", {"iscrowd": "0"}, r'annotation 2 has iscrowd="0", and 0 or 1 is expected'),
        ("annotations", {"image_id": "1"}, r"annotation 2 belongs to image '1', which is not li"),
        ("annotations", {"category_id": None}, r"id 2, has category_id=null"),
    ],
)
def test_what_comes_twice_or_is_null_is_named(
    tmp_path: Path, content: dict[str, Any], part: str, changes: dict[str, Any], message: str
) -> None:
    content[part][1] |= changes
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match=message):
        read(tmp_path, content, every=True)


def test_what_is_not_used_may_be_null(tmp_path: Path, content: dict[str, Any]) -> None:
    whole = numbers(read(tmp_path, content))
    for annotation in content["annotations"]:
        annotation |= {"bbox": None, "iscrowd": annotation.get("iscrowd")}
    content["annotations"].append(
        {"id": 90, "image_id": 1, "category_id": 9, "area": None, "segmentation": None}
    )
    assert numbers(read(tmp_path, content)) == whole


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("drawn_on", ["stored", "shown"])
def test_a_photograph_that_exif_turns(tmp_path: Path, orientation: int, drawn_on: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    tag = Image.Exif()
    tag[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "p.png", exif=tag)
    with Image.open(tmp_path / "p.png") as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    seen = pixels if drawn_on == "stored" else upright
    height, width = seen.shape[:2]
    # The object is the brightest pixel, wherever it lies: so many outside, one inside, the rest.
    before = int((seen.sum(-1) == pixels.sum(-1).max()).T.ravel().argmax())
    runs = [before, 1, 11 - before]
    one = Instance(
        tmp_path / "p.png", 7, (width, height), {"size": [height, width], "counts": runs}
    )
    if orientation in (2, 3, 4):
        with pytest.raises(InputError, match=f"annotation 7, is .* .orientation {orientation}., "):
            open_cutout(one, 64)
        return
    cutout = np.asarray(open_cutout(one, 64))
    brightest = pixels.reshape(-1, 3)[pixels.sum(-1).argmax()]
    assert_array_equal(cutout[..., :3].reshape(-1, 3), [brightest])


def test_what_is_wrong_with_the_table_is_said(tmp_path: Path, content: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"'hot dgo' is unknown: did you mean 'hot dog'\?"):
        read(tmp_path, content, c=["cat"], d=["hot dgo"])
    with pytest.raises(InputError, match="category 'cat' is in the classes c and d"):
        read(tmp_path, content, c=["cat"], d=["cat"])
    with pytest.raises(InputError, match=r"class d \(hot dog\) has no object of at least 75 .* 3 "):
        read(tmp_path, content, area=75)
    (tmp_path / "b.jpg").unlink()
    with pytest.raises(InputError, match=r"not in .*: b\.jpg; set --coco-images"):
        read(tmp_path, content)
    with pytest.raises(InputError, match=r"annotation 1 belongs to image 1, which is not listed"):
        read(tmp_path, content | {"images": []})
    with pytest.raises(InputError, match=r"no list 'annotations'"):
        read(tmp_path, {k: v for k, v in content.items() if k != "annotations"})
    with pytest.raises(InputError, match=r"entry 0 of 'images' lacks width, height"):
        read(tmp_path, content | {"images": [{"id": 1, "file_name": "a.jpg"}]})
    for text in ('{"images": [', "<html>"):
        with pytest.raises(InputError, match=r"i\.json is not a JSON file .*line 1 column"):
            read(tmp_path, text)
    with pytest.raises(InputError, match="has no list 'categories'"):
        read(tmp_path, "[]")
    (tmp_path / "i.json").unlink()
    with pytest.raises(InputError, match=r"i\.json does not exist"):
        instances(tmp_path / "i.json", tmp_path, {"c": ["cat"]}, 1, False)
