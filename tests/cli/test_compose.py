"""w2s-groups compose: the folder it writes, what it prints, and what it refuses."""

from __future__ import annotations

import csv
import hashlib
import json
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from tiny_pictures import write_background, write_cutout

from w2s_groups import cli
from w2s_groups.cli import compose_summary, run
from w2s_groups.core.errors import InputError
from w2s_groups.data import birds_mammals
from w2s_groups.data.compositing.layout import Row, Split, layout, pool_and_test, split_identities
from w2s_groups.data.compositing.paste import open_cutout, paste
from w2s_groups.data.compositing.sources import n_pictures
from w2s_groups.data.files.cache import created
from w2s_groups.design.groups import Groups
from w2s_groups.schema.config import Config

Folders = dict[str, dict[str, str]]


def digest(rows: Iterable[Row]) -> str:
    total = hashlib.sha256()
    for row in rows:
        text = f"{row.split} {row.y} {row.a} {row.cutout} {row.background} "
        total.update(text.encode() + row.u.tobytes())
    return total.hexdigest()


def test_plans_of_existing_datasets_stay_as_they_were() -> None:
    # Recorded before plans knew more than a pool and a test with equal groups.
    rows = layout(
        n_pictures(birds_mammals.cutout_patterns()),
        n_pictures(birds_mammals.background_patterns()),
        pool_and_test(3600, 1000, 0.33, 4),
        0,
    )
    assert digest(rows) == "5022d2ff3c1d23ba68e6da773933bebcaf9b1afc8352ca1901f688fa3ca244ec"
    ids = {f"i{k}": 1 + k % 2 for k in range(7)}
    rows = layout(
        dict.fromkeys("pqr", ids), dict.fromkeys("uv", ids), pool_and_test(101, 37, 0.4, 6), 3
    )
    assert digest(rows) == "17cbe8e29ea794b145925e55ca4facbd131ea1dec7c0a6e7b0f28616542061c6"


def test_three_splits_share_the_identities_out() -> None:
    names = [f"n{i}" for i in range(20)]
    train, val, test = split_identities(names, [0.15, 0.3], 0, "x")
    assert (len(train), len(val), len(test)) == (11, 3, 6)
    assert sorted(train + val + test) == sorted(names)
    assert split_identities(names, [0.3], 0, "x")[1] == test  # a new split moves none of the test
    assert [len(part) for part in split_identities(["a", "b", "c"], [0.9, 0.9], 0, "x")] == [1] * 3
    with pytest.raises(InputError, match=r"x: 2 identities; it needs 3"):
        split_identities(["a", "b"], [0.1, 0.1], 0, "x")


def command(pictures: Folders, out: Path, *options: str) -> list[str]:
    words = ["compose", str(out)]
    for kind, folders in pictures.items():
        words += [f"--{kind}", *(f"{name}={folder}" for name, folder in folders.items())]
    return [*words, "--size", "24", *options]


def made(pictures: Folders, out: Path, *options: str) -> list[dict[str, str]]:
    """The rows of metadata.csv of a folder made now."""
    assert cli.main(command(pictures, out, *options)) == 0
    with (out / "metadata.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def refused(capsys: pytest.CaptureFixture[str], pictures: Folders, out: Path, *options: str) -> str:
    """The one line that is said; nothing is made."""
    assert cli.main(command(pictures, out, *options)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert not out.exists()
    assert not list(out.parent.glob(".partial-*"))
    (line,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    return line


def counts(rows: list[dict[str, str]], n_attributes: int = 2) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(lambda: [0] * n_attributes * 2)
    for row in rows:
        found[int(row["split"])][int(row["y"]) * n_attributes + int(row["place"])] += 1
    return dict(found)


def test_counts_per_group_are_those_by_hand(
    pictures: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 80 images, 40 of each class, 5 % of them minority: 4, shared by the classes. 21 at 1/3: 11 and
    # 10 of the classes, 7 minority, 4 and 3. 10 without a fraction: 5 and 5, 3 and 2 in each.
    rows = made(
        pictures, tmp_path / "o", "--train", "80:0.05", "--val", f"21:{1 / 3}", "--test", "10"
    )
    assert counts(rows) == {0: [38, 2, 2, 38], 1: [7, 4, 3, 7], 2: [3, 2, 3, 2]}
    printed = capsys.readouterr().out.splitlines()
    table = [line.split() for line in printed]
    for row in (
        ["images", "train", "val", "test"],
        ["cat-on-in", "38", "7", "3"],
        ["dog-on-in", "2", "3", "3"],
        ["all", "80", "21", "10"],
        ["minority", "fraction", "0.05", "0.3333", "0.5"],
        ["cat", "cut-outs", "2", "1", "2"],  # of 5 identities: round(0.75), round(1.5), the rest
        ["out", "photographs", "2", "1", "2"],
    ):
        assert row in table
    assert all(len(line) <= 80 for line in printed if str(tmp_path) not in line)


def test_no_identity_or_photograph_in_two_splits(pictures: Folders, tmp_path: Path) -> None:
    rows = made(pictures, tmp_path / "o", "--train", "40:0.1", "--val", "20", "--test", "20")
    sides: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        assert row["identity"] == row["img_filename"].rpartition("/")[0]
        sides[row["identity"]].add(row["split"])
        sides[row["place_filename"]].add(row["split"])
    assert len(sides) == 20  # five of each class and each attribute value, all used
    assert all(len(splits) == 1 for splits in sides.values())


def test_same_bytes_twice_and_others_for_another_seed(pictures: Folders, tmp_path: Path) -> None:
    def contents(name: str, seed: str) -> dict[str, bytes]:
        made(pictures, tmp_path / name, "--train", "20", "--test", "8", "--seed", seed)
        root = tmp_path / name
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
        }

    first = contents("one", "0")
    assert contents("two", "0") == first
    assert contents("three", "1")["metadata.csv"] != first["metadata.csv"]
    assert str(tmp_path) not in first["complete.json"].decode()
    assert {"metadata.csv", "RELEASE_v1.0.txt", "complete.json"} < set(first)


def test_counterfactual_sets_differ_in_the_background_alone(
    pictures: Folders, tmp_path: Path
) -> None:
    extra = tmp_path / "pictures" / "third"
    for i in range(5):
        write_background(extra / f"{i}.png", 300 + i)
    folders = pictures | {"backgrounds": pictures["backgrounds"] | {"up": str(extra)}}
    rows = made(
        folders, tmp_path / "o", "--train", "40:0.25", "--test", "18", "--counterfactual", "test",
        "--format", "png", "--minority", "cat-on-out", "dog-on-in",
    )  # fmt: skip
    assert {row["pair"] for row in rows if row["split"] == "0"} == {""}
    sets = defaultdict(list)
    for row in rows:
        if row["split"] == "2":
            sets[row["pair"]].append(row)
    assert sorted(map(int, sets)) == list(range(1, 7))
    for members in sets.values():
        assert [row["place"] for row in members] == ["0", "1", "2"]
        assert len({row["y"] for row in members}) == 1
        assert len({row["img_filename"].rpartition("/")[0] for row in members}) == 1
        assert len({row["place_filename"] for row in members}) == 3
        images = [
            np.asarray(Image.open(tmp_path / "o" / row["img_filename"])).astype(int)
            for row in members
        ]
        same = (images[0] == images[1]).all(axis=2) & (images[0] == images[2]).all(axis=2)
        # The disc is opaque, the backgrounds are noise: equal pixels are the disc's, whose area is
        # at least pi/4 of (0.55 * 24 * 2/3) squared less its blended rim.
        assert same.sum() > 0.5 * np.pi / 4 * (0.55 * 24 * 17 / 19) ** 2
        ys, xs = np.nonzero(same)
        disc = same[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        assert disc.mean() > 0.6
        assert same.mean() < 0.6


def test_pixels_under_an_opaque_cutout_do_not_know_the_background(tmp_path: Path) -> None:
    write_cutout(tmp_path / "c.png", 0)
    cutout = open_cutout(tmp_path / "c.png", 64)
    rng = np.random.default_rng(0)
    for u in rng.random((20, 8)):
        black, white = (
            np.asarray(paste(cutout, Image.new("RGB", (90, 60), c), u, 48, (0.6, 1), (0.5, 0.9)))
            for c in ("black", "white")
        )
        equal = (black == white).all(axis=2)
        free = (black == 0).all(axis=2) & (white == 255).all(axis=2)
        rim = ~equal & ~free
        assert equal.any()
        assert free.any()
        assert rim.sum() < equal.sum()


def test_groups_equal_those_of_wilds(
    pictures: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # wilds asks the network for a newer release when it is imported; without this module it cannot
    monkeypatch.setitem(sys.modules, "outdated", None)
    from wilds.datasets.waterbirds_dataset import WaterbirdsDataset

    (tmp_path / "wilds").mkdir()
    rows = made(
        pictures, tmp_path / "wilds" / "waterbirds_v1.0",
        "--train", "40:0.1", "--val", "12", "--test", "8", "--counterfactual", "test",
    )  # fmt: skip
    theirs = WaterbirdsDataset(root_dir=str(tmp_path / "wilds"))
    assert_array_equal(theirs.split_array, [int(row["split"]) for row in rows])
    y, a = (np.array([int(row[name]) for row in rows]) for name in ("y", "place"))
    assert_array_equal(theirs.y_array.numpy(), y)
    assert_array_equal(theirs.metadata_array[:, 0].numpy(), a)
    group = theirs._eval_grouper.metadata_to_group(theirs.metadata_array).numpy()
    assert len(set(zip(group, y * 2 + a, strict=True))) == 4


def test_places_folders_and_species_folders(
    pictures: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    land, lake, sea = (tmp_path / "places" / name for name in ("f/forest", "l/lake", "s/sea"))
    for k, folder in enumerate((land, lake, sea)):
        for i in range(4):
            write_background(folder / f"part{i % 2}" / f"{i:04d}.png", 100 * k + i)
    birds = tmp_path / "birds"
    for i in range(6):
        write_cutout(birds / f"species{i % 2}" / f"{i}.png", 500 + i)
    folders = {
        "cutouts": {"dog": pictures["cutouts"]["dog"], "bird": str(birds)},
    }
    options = ("--backgrounds", f"land={land}", f"water={lake}", f"water={sea}")
    rows = made(folders, tmp_path / "o", *options, "--train", "64", "--test", "32")
    assert {len(row["img_filename"].split("/")) for row in rows} == {3}
    for y, k, n in (("0", 0, 4), ("1", 1, 8)):
        places = {row["place_filename"] for row in rows if row["place"] == y}
        assert len(places) == n, k
    assert "/water/part0/0000" in {row["place_filename"] for row in rows}
    assert "/water/sea-2/part0/0000" in {row["place_filename"] for row in rows}
    birds_in = {
        split: {row["img_filename"].split("/")[1] for row in rows if row["y"] == "1"
                and row["split"] == split}
        for split in ("0", "2")
    }  # fmt: skip
    assert sorted(map(sorted, birds_in.values())) == [["species0"], ["species1"]]
    rows = made(
        folders, tmp_path / "p", *options, "--train", "64", "--test", "32", "--identity", "picture"
    )
    alone = {row["img_filename"].rpartition("/")[0] for row in rows if row["y"] == "1"}
    assert alone == {f"bird/species{i % 2}/{i}" for i in range(6)}


def test_coco_masks_from_a_table(tmp_path: Path, pictures: Folders) -> None:
    photographs, annotations, images = tmp_path / "coco", [], []
    for i in range(8):
        write_background(photographs / f"{i:012d}.jpg", i)
        images.append({"id": i, "file_name": f"{i:012d}.jpg", "width": 90, "height": 60})
        outline = [[20, 10, 70, 10, 70, 50]]
        runs = {"size": [60, 90], "counts": [60 * 20 + 10, 40, 20, 40, 60 * 68 + 10]}
        annotations.append(
            {"id": i, "image_id": i, "category_id": 1 + i % 2, "area": 900, "iscrowd": 0,
             "segmentation": outline if i % 2 else runs}
        )  # fmt: skip
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "hot dog"}]
    table = tmp_path / "instances.json"
    table.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    rows = made(
        {"backgrounds": pictures["backgrounds"]}, tmp_path / "o",
        "--coco", str(table), "--coco-images", str(photographs), "--min-area", "800",
        "--coco-classes", "cat=cat", "sausage=hot dog", "--train", "16:0.25", "--test", "8",
    )  # fmt: skip
    assert counts(rows) == {0: [6, 2, 2, 6], 2: [2, 2, 2, 2]}
    assert {row["img_filename"].split("/")[0] for row in rows} == {"cat", "sausage"}


def test_three_classes_and_their_minority(tmp_path: Path, pictures: Folders) -> None:
    for kind in ("cutouts", "backgrounds"):
        folder = tmp_path / "pictures" / kind / "third"
        for i in range(4):
            write = write_cutout if kind == "cutouts" else write_background
            write(folder / f"{i}.png", 700 + i)
        pictures[kind]["third"] = str(folder)
    rows = made(pictures, tmp_path / "o", "--train", "90:0.2", "--test", "9")
    # 30 of each class, 6 of them minority, shared by its two minority groups.
    found = Counter((row["split"], int(row["y"]), int(row["place"])) for row in rows)
    for y in range(3):
        for a in range(3):
            assert found["0", y, a] == (24 if y == a else 3)
            assert found["2", y, a] == 1


def test_the_printed_command_runs(
    pictures: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    load: Callable[..., Config],
) -> None:  # fmt: skip
    out = tmp_path / "my folder, 'so'"
    made(pictures, out, "--train", "48:0.25", "--val", "8", "--test", "16")
    words = shlex.split(capsys.readouterr().out.partition("python -m w2s_groups ")[2])
    cfg = load(
        *(word for word in words if word.strip()),
        "teacher=packaged/squeezenet1_1", "student=packaged/efficientnet_lite0", "image_size=32",
        "seeds=[0]", "methods=[teacher,w2s]", "eta_u=[0.05,0.5]", f"cache_dir={tmp_path / 'cache'}",
        f"results_dir={tmp_path / 'results'}", f"reports_dir={tmp_path / 'reports'}",
    )  # fmt: skip
    assert cfg.data.root == str(out)
    assert cfg.data.class_names == ["cat", "dog"]
    dataset = cfg.data.load(tmp_path / "cache")
    assert dataset.identity == tuple(file.rpartition("/")[0] for file in dataset.files)
    assert {name.split("/")[1] for name in dataset.place} == {"in", "out"}
    run.run(cfg)
    assert "teacher" in capsys.readouterr().out


def test_servable_is_the_largest_grid_or_the_own_fraction() -> None:
    groups = Groups(("p", "q"), ("u", "v"))

    def pool(*n: int) -> np.ndarray:
        return np.repeat(np.arange(4), n)

    assert compose_summary.servable(groups, pool(900, 900, 900, 900)) == {}
    # eta_l = eta_u = 1/2 needs (n_l + n_u) / 4 of a minority group, 90 here: 360 in all.
    asked = compose_summary.servable(groups, pool(900, 90, 90, 900))
    assert asked is not None
    assert 360 - 2 <= asked["n_l"] + asked["n_u"] <= 360  # each set's minority is rounded
    assert asked["n_l"] == round(360 * 300 / 1300)
    assert compose_summary.servable(groups, pool(900, 0, 0, 900)) == {
        "eta_l": "[0.0]",
        "eta_u": "[0.0]",
    }
    assert compose_summary.servable(groups, pool(2, 2, 2, 2)) is None


def test_mistakes_are_one_sentence(
    pictures: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o"
    cat, inside = pictures["cutouts"]["cat"], pictures["backgrounds"]["in"]
    (tmp_path / "empty").mkdir()
    for options, said in (
        (["--cutouts", "cat=/no/such"], "--cutouts cat=/no/such is not a directory"),
        (["--cutouts", f"cat={tmp_path / 'empty'}"], "holds no picture"),
        (["--cutouts", "cat"], "'cat' is not NAME=..."),
        (["--backgrounds", f"in={cat}"], "same picture"),
        (["--cutouts", f"cat={inside}"], "has no transparent pixels"),
        (["--train", "many"], "'many' is not N or N:ETA"),
        (["--train", "10:1.5"], "needs 1 <= N <= 10000000 and 0 <= ETA <= 1"),
        (["--train", "10:nan"], "needs 1 <= N"),
        (["--train", "20:0.1", "--minority", "cat-on-in", "cat-on-out"], "allow only 10 to 10"),
        (["--minority", "cat-on-uot"], "did you mean 'cat-on-out'"),
        (["--counterfactual", "--train", "20:0.1"], "have eta=0.5; write --train 20"),
        (["--counterfactual", "--train", "21"], "ask for 22"),
        (["--counterfactual", "val"], "--counterfactual val has no images; add --val N"),
        (["--test-share", "1"], "--test-share=1.0 must lie between 0 and 1"),
        (["--val", "9", "--val-share", "0.7", "--test-share", "0.5"], "no identity for training"),
        (["--crop", "0.9", "0.5"], "--crop=[0.9, 0.5] must be a range [low, high]"),
        (["--size", "4"], "--size=4 must lie in 8..4096"),
        (["--seed", "-1"], "--seed=-1 must lie in"),
        (["--cutoust", "x=y"], "did you mean '--cutouts'"),
        (["--coco", "/no/such"], "go together; give all three"),
        (["--coco-classes", "cat=cow"], "class cat is in --cutouts and in --coco-classes"),
        (["--cutouts", f"cow={cat}"], "3 classes and 2 attribute values leave open"),
    ):  # fmt: skip
        kinds = pictures
        if said == "same picture":
            kinds = pictures | {"backgrounds": {"in": cat, "out": cat}}
            options = []
        line = refused(capsys, kinds, out, "--test", "8", *options)
        assert said in line, (options, line)
    write_cutout(tmp_path / "nested" / "all" / "1.png", 1)
    write_cutout(tmp_path / "nested" / "all" / "2.png", 2)
    nested = {"cutouts": pictures["cutouts"] | {"cat": str(tmp_path / "nested")}}
    line = refused(capsys, pictures | nested, out)
    assert "cutouts cat: 1 identities; it needs 2" in line
    assert line.endswith("with --identity picture")
    assert "two or more are needed" in refused(capsys, {"cutouts": pictures["cutouts"]}, out)
    assert cli.main(["compose", "--help"]) == 0
    assert "examples:" in capsys.readouterr().out


def test_a_bad_picture_is_found_before_anything_is_written(
    pictures: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("w2s_groups.data.compositing.folder.created", None)
    bad = Path(pictures["backgrounds"]["in"]) / "in3.png"
    good = bad.read_bytes()
    bad.write_text("<html>")
    assert "in3.png cannot be read" in refused(capsys, pictures, tmp_path / "o", "--train", "80")
    bad.write_bytes(good)
    Image.new("RGB", (30, 20), "red").save(Path(pictures["cutouts"]["dog"]) / "dog2.png")
    line = refused(capsys, pictures, tmp_path / "o", "--train", "80")
    assert "dog2.png has no transparent pixels" in line


def test_nothing_is_overwritten(
    pictures: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("all of it")
    assert cli.main(command(pictures, out)) == 2
    assert "is not empty; name a new folder" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    (out / "thesis.txt").unlink()
    assert cli.main(command(pictures, out, "--train", "8", "--test", "8")) == 0
    assert (out / "metadata.csv").is_file()
    assert cli.main(command(pictures, out / "metadata.csv")) == 2
    assert "is a file" in capsys.readouterr().err


def test_a_stop_leaves_no_part(pictures: Folders, tmp_path: Path) -> None:
    words = command(pictures, tmp_path / "made" / "o", "--train", "60000")
    with subprocess.Popen(
        [sys.executable, "-m", "w2s_groups", *words],
        stderr=subprocess.PIPE,
        # A job in the background of a script inherits that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stderr is not None
        while not list((tmp_path / "made").rglob("*.jpg")):
            assert process.poll() is None  # it ended before its first image
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 2
    assert b"error: stopped; no part of the folder was kept" in rest
    assert b"Traceback" not in rest
    assert list((tmp_path / "made").iterdir()) == []


def test_a_counterfactual_plan_needs_equal_groups() -> None:
    ids = {"i": 1, "j": 1}
    split = Split(0, (3, 2, 2, 2), 1.0, counterfactual=True)
    with pytest.raises(InputError, match=r"class p has \[2, 3\] images"):
        layout({"p": ids, "q": ids}, {"u": ids, "v": ids}, [split], 0)


def test_a_folder_that_fills_meanwhile_is_left_alone(tmp_path: Path) -> None:
    def build(partial: Path, step: str) -> None:
        (tmp_path / "o").mkdir()
        (tmp_path / "o" / "theirs.txt").touch()

    with pytest.raises(InputError, match="is not empty"):
        created(tmp_path / "o", {}, build, "composing")
    assert [path.name for path in tmp_path.rglob("*")] == ["o", "theirs.txt"]
