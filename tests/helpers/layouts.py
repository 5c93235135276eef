"""Every dataset in its real layout, a few images large: the groups' sizes are arguments."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from tiny_pictures import write_background, write_cutout

from w2s_groups.data import DATASETS
from w2s_groups.data.compas import HEADER

ROOT = Path(__file__).resolve().parents[2]
SPECIES = ("001.Black_footed_Albatross", "021.Eastern_Towhee", "088.Western_Meadowlark")
Counts = Sequence[Sequence[int]]  # split -> images per group
SMALL: Counts = ((6, 2, 1, 4), (3, 3, 2, 2), (4, 4, 3, 3))


def config(name: str, **changes: Any) -> Any:
    """A dataset as conf/data has it, with changes, as an object."""
    numbers = OmegaConf.load(ROOT / "conf" / "data" / f"{name}.yaml")
    del numbers["defaults"]
    return OmegaConf.to_object(OmegaConf.merge(DATASETS[name], numbers, changes))


def rows(counts: Counts, n_attributes: int = 2) -> Iterator[tuple[int, int, int, int]]:
    """(index, split, y, a) of every image, splits and groups mixed."""
    found = [
        (split, *divmod(group, n_attributes))
        for split, groups in enumerate(counts)
        for group, n in enumerate(groups)
        for _ in range(n)
    ]
    step = next(s for s in (7, 11, 13, 17) if len(found) % s)
    for index in range(len(found)):
        yield (index, *found[index * step % len(found)])


def touch(path: Path) -> None:
    """An image that no loader may look into."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def write_rows(path: Path, table: Sequence[Sequence[Any]], delimiter: str = ",") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(table)


def waterbirds(root: Path, counts: Counts = SMALL, release: str = "waterbirds_v1.0") -> Path:
    """The release's folder: images in species folders, metadata.csv, the file that wilds needs."""
    table: list[Sequence[Any]] = [
        ("img_id", "img_filename", "y", "split", "place", "place_filename")
    ]
    folder = root / release
    for i, split, y, a in rows(counts):
        species = SPECIES[i % len(SPECIES)]
        file = f"{species}/{species.partition('.')[2]}_{i:04d}_{99 - i % 90}.jpg"
        touch(folder / file)
        table.append((i + 1, file, y, split, a, f"/o/ocean/{i:08d}.jpg"))
    write_rows(folder / "metadata.csv", table)
    (folder / "RELEASE_v1.0.txt").touch()
    return folder


ATTRIBUTES = ("5_o_Clock_Shadow", "Blond_Hair", "Eyeglasses", "Male", "Young")


def celeba_rows(counts: Counts) -> tuple[list[list[Any]], list[list[Any]]]:
    """Rows of list_attr_celeba and list_eval_partition, without headers."""
    attributes, partition = [], []
    for i, split, y, a in rows(counts):
        file, glasses = f"{i + 1:06d}.jpg", i % 5 == 0
        signs = [2 * int(v) - 1 for v in (i % 3 == 0, y, glasses, a, i % 2 == 0)]
        attributes.append([file, *signs])
        partition.append([file, split])
    return attributes, partition


def celeba(root: Path, layout: str = "wilds", counts: Counts = SMALL) -> Path:
    """The folder with both tables. layout: wilds, kaggle (nested images) or original (texts)."""
    attributes, partition = celeba_rows(counts)
    partition.reverse()  # a join by row would give other splits
    folder = root / {"wilds": "celebA_v1.0", "kaggle": "kaggle", "original": "CelebA"}[layout]
    images = {
        "wilds": "img_align_celeba",
        "kaggle": "img_align_celeba/img_align_celeba",
        "original": "Img/img_align_celeba",
    }[layout]
    for file, *_ in attributes:
        touch(folder / images / file)
    if layout != "original":
        if layout == "wilds":
            partition.reverse()  # wilds itself joins by row
        write_rows(folder / "list_attr_celeba.csv", [("image_id", *ATTRIBUTES), *attributes])
        write_rows(folder / "list_eval_partition.csv", [("image_id", "partition"), *partition])
        (folder / "RELEASE_v1.0.txt").touch()
        return folder
    lines = [str(len(attributes)), " ".join(ATTRIBUTES) + " "]
    lines += [f"{file} " + "".join(f"{v:>3d}" for v in signs) for file, *signs in attributes]
    for name, text in (
        ("Anno/list_attr_celeba.txt", lines),
        ("Eval/list_eval_partition.txt", [f"{file} {split}" for file, split in partition]),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(text) + "\n")
    return folder


def derived(root: Path, counts: Counts = SMALL, delimiter: str = ",") -> Path:
    """id,filename,split,y,a beside images."""
    table: list[Sequence[Any]] = [("id", "filename", "split", "y", "a")]
    for i, split, y, a in rows(counts):
        touch(root / f"images/{i % 3}/{i}.jpg")
        table.append((i, f"images/{i % 3}/{i}.jpg", split, y, a))
    write_rows(root / "metadata.csv", table, delimiter)
    return root


IN9 = ("00_dog", "01_bird", "02_wheeled vehicle", "03_reptile", "04_carnivore", "05_insect",
       "06_musical instrument", "07_primate", "08_fish")  # fmt: skip


def imagenet9(root: Path) -> Path:
    """Three images of each class in every set; in mixed_rand the background is k classes on."""
    for name in ("original", "mixed_same", "mixed_rand"):
        for part, folder, k in itertools.product(("train", "val"), IN9, range(3)):
            background = (IN9.index(folder) + (k if name == "mixed_rand" else 0)) % 9
            stem = f"n0209_{k}" if name == "original" else f"fg_n0209_{k}_bg_{background:02d}_n07"
            touch(root / name / part / folder / f"{stem}.JPEG")
    return root


def bffhq(root: Path, counts: Counts = SMALL) -> Path:
    """Train in align and conflict, valid flat, test by label."""
    for i, split, y, a in rows(counts):
        kind = "align" if y == a else "conflict"
        place = (f"0.5pct/{kind}/{y}", "valid", f"test/{y}")[split]
        touch(root / place / f"{i}_{y}_{a}.png")
    return root


IDENTITIES = ("male", "female", "LGBTQ", "christian", "muslim", "other_religions", "black",
              "white", "identity_any", "severe_toxicity", "obscene", "threat", "insult",
              "identity_attack", "sexual_explicit")  # fmt: skip
SHARES = (("0.0", "0.4", "0.16666666666666666"), ("0.5", "1.0", "0.8333333333333334"))


def comment(i: int) -> str:
    """A text with all that CSV has to quote, and space at its ends."""
    return (f"a comment {i}", f'"so", he said\n\n{i}', f" {i}, \té ", f"{i}\r\nnext line,")[i % 4]


def civilcomments(root: Path, counts: Counts = SMALL) -> Path:
    """The release's folder, as pandas writes it: an index without a name, shares of raters."""
    table: list[Sequence[Any]] = [("", "comment_text", "split", "toxicity", *IDENTITIES)]
    for i, split, y, a in rows(counts):
        marks = [SHARES[(i + k) % 2][i % 3] for k in range(len(IDENTITIES))]
        marks[IDENTITIES.index("black")] = SHARES[a][i % 3]
        name = ("train", "val", "test")[split]
        table.append((i, comment(i), name, SHARES[y][i // 3 % 3], *marks))
    folder = root / "civilcomments_v1.0"
    write_rows(folder / "all_data_with_identities.csv", table)
    (folder / "RELEASE_v1.0.txt").touch()
    return folder


def parquet(root: Path, counts: Counts = SMALL) -> Path:
    """One file a split, as on the hub: image bytes, a class label, a named attribute."""
    import datasets

    features = datasets.Features(
        image=datasets.Image(),
        label=datasets.ClassLabel(names=["landbird", "waterbird"]),
        place=datasets.Value("string"),
    )
    found: dict[int, list[dict[str, Any]]] = {0: [], 1: [], 2: []}
    for i, split, y, a in rows(counts):
        image = {"bytes": b"\x89PNG" + bytes([i]), "path": f"{i}.png"}
        found[split].append({"image": image, "label": y, "place": ("land", "water")[a]})
    (root / "data").mkdir(parents=True)
    for split, name in enumerate(("train", "validation", "test")):
        table = datasets.Dataset.from_list(found[split], features=features)
        table.to_parquet(str(root / f"data/{name}-00000-of-00001.parquet"))
    return root


def own_table(root: Path, counts: Counts = SMALL) -> Path:
    """A table of inputs: a number, a name, a code, then labels by name."""
    table: list[Sequence[Any]] = [("height", "colour", "code", "y", "a", "split")]
    for i, split, y, a in rows(counts):
        table.append((i / 4 + y, ("red", "blue")[a], i % 3, y, a, split))
    write_rows(root / "table.csv", table)
    return root


def adult(root: Path, counts: Counts = SMALL) -> Path:
    """Both files of UCI: no header, a space after each comma, a first line and dots in the test."""
    train, test = [], ["|1x3 Cross validator"]
    for i, split, y, a in rows(counts):
        values = [30 + i, "?" if i % 5 == 0 else "Private", 1000 + i, "Bachelors", 13, "Divorced",
                  "Sales", "Husband" if a else "Wife", "White", ("Female", "Male")[a], 0, 0, 40,
                  "United-States", (">50K" if y else "<=50K") + "." * (split == 2)]  # fmt: skip
        (test if split == 2 else train).append(", ".join(map(str, values)))
    for name, lines in (("adult.data", train), ("adult.test", test)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("\n".join(lines) + "\n\n")
    return root


def census_income(root: Path, counts: Counts = SMALL) -> Path:
    """Both files, 42 values a line, without a header."""
    found: dict[str, list[str]] = {"train": [], "test": []}
    for i, split, y, a in rows(counts):
        values = [str(30 + i if k in (0, 24) else k % 7) for k in range(42)]
        values[12], values[41] = ("Female", "Male")[a], ("- 50000.", "50000+.")[y]
        values[21] = "?" if i % 4 == 0 else "Utah"
        found["test" if split == 2 else "train"].append(", ".join(values))
    for name, lines in found.items():
        write_lines(root / f"census_income_1994_1995_{name}.csv", lines)
    return root


def german(root: Path, counts: Counts = SMALL) -> Path:
    """Codes and numbers with a space between them; age 25 is young."""
    lines = []
    for i, _, y, a in rows(counts):
        age = 25 - i % 3 if a else 26 + i
        lines.append(f"A1{i % 4} {i} A34 A43 {900 + i} A65 A75 4 A93 A101 4 A121 {age} A143 A152 2 "
                     f"A173 1 A192 A201 {y + 1}")  # fmt: skip
    write_lines(root / "german.data", lines)
    return root


def compas(root: Path, counts: Counts = SMALL) -> Path:
    """ProPublica's header, and rows that its analysis leaves out."""
    table: list[Sequence[Any]] = [HEADER]
    for i, _, y, a in rows(counts):
        row = dict.fromkeys(HEADER, "")
        row |= {"age": str(20 + i), "race": ("Caucasian", "African-American")[a], "sex": "Male",
                "priors_count": str(i % 4), "c_charge_degree": "FM"[i % 2], "score_text": "Low",
                "days_b_screening_arrest": "-1", "is_recid": str(y), "two_year_recid": str(y),
                "c_charge_desc": "Theft, Grand", "age_cat": "25 - 45"}  # fmt: skip
        row |= {name: "0" for name in HEADER if name.startswith("juv_")}
        table.append([row[name] for name in HEADER])
        for name, value in (("days_b_screening_arrest", ""), ("days_b_screening_arrest", "31"),
                            ("is_recid", "-1"), ("c_charge_degree", "O"), ("score_text", "N/A"),
                            ("race", "Other")):  # fmt: skip
            if i < 2:
                table.append([(row | {name: value})[column] for column in HEADER])
    write_rows(root / "compas-scores-two-years.csv", table)
    return root


def write_lines(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def carried(folder: Path) -> dict[str, Any]:
    """Settings of a set that a package carries, whose files are here."""
    return {"root": str(folder), "download": False, "check_counts": False}


def shards(root: Path, parts: Mapping[str, Sequence[dict[str, Any]]], features: Any = None) -> Path:
    """Parquet files named as those of the hub, one a part."""
    import datasets

    (root / "data").mkdir(parents=True)
    for name, table in parts.items():
        made = datasets.Dataset.from_list(list(table), features=features)
        made.to_parquet(str(root / f"data/{name}-00000-of-00001.parquet"))
    return root


def hub_celeba(
    root: Path,
    counts: Counts = SMALL,
    names: Sequence[str] = ("train", "valid", "test"),
) -> Path:
    """As flwrlabs/celeba: image bytes, the person, attributes as truth values."""
    import datasets

    features = datasets.Features(
        image=datasets.Image(), celeb_id=datasets.Value("int64"),
        Blond_Hair=datasets.Value("bool"), Male=datasets.Value("bool"),
    )  # fmt: skip
    parts: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for i, split, y, a in rows(counts):
        image = {"bytes": b"\xff\xd8\xff" + i.to_bytes(3, "big"), "path": f"{i}.jpg"}
        row = {"image": image, "celeb_id": 100 * split + i % 3, "Blond_Hair": bool(y)}
        parts[names[split]].append({**row, "Male": bool(a)})
    return shards(root, parts, features)


def hub_civilcomments(root: Path, counts: Counts = SMALL) -> Path:
    """As the configuration `raw` of pietrolesci/civilcomments-wilds: one part, shares of raters."""
    table = [
        {"comment_text": comment(i), "split": ("train", "val", "test")[split],
         "toxicity": float(SHARES[y][i % 3]), "black": float(SHARES[a][i // 3 % 3]),
         "white": float(SHARES[i % 2][i // 2 % 3]), "article_id": 100 * split + i % 4}
        for i, split, y, a in rows(counts)
    ]  # fmt: skip
    return shards(root, {"train": table})


PAIRS: Counts = ((4, 3, 4, 2, 4, 2), (2, 1, 2, 1, 2, 1), (3, 2, 3, 2, 3, 2))


def hub_multinli(root: Path, counts: Counts = PAIRS) -> Path:
    """As nyu-mll/multi_nli: three parts, labels in an order of their own, no column of negation."""
    import datasets

    labels = ("entailment", "neutral", "contradiction")
    features = datasets.Features(
        promptID=datasets.Value("int32"), premise=datasets.Value("string"),
        hypothesis=datasets.Value("string"), label=datasets.ClassLabel(names=labels),
    )  # fmt: skip
    names = ("train", "validation_matched", "validation_mismatched")
    parts: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for i, split, y, a in rows(counts, 2):
        said = ("Nothing was said", "They never, ever knew", "NO.")[i % 3] if a else "Knots note it"
        label = ("contradiction", "entailment", "neutral")[y]
        row = {"promptID": 100 * split + i // 3, "premise": f"premise {split}-{i // 3}"}
        parts[names[split]].append({**row, "hypothesis": f"{said} {i}", "label": label})
    return shards(root, parts, features)


def pictures(root: Path) -> dict[str, dict[str, str]]:
    """Sources of the compositor: five identities for each class and each attribute value."""
    folders: dict[str, dict[str, str]] = {"cutouts": {}, "backgrounds": {}}
    kinds = {"cutouts": ("cat", "dog"), "backgrounds": ("in", "out")}
    for seed, (kind, i) in enumerate(itertools.product(kinds, range(5))):
        for j, name in enumerate(kinds[kind]):
            folder = root / kind / name
            folders[kind][name] = str(folder)
            write = write_cutout if kind == "cutouts" else write_background
            write(folder / f"{name}{i}.png", 10 * seed + j)
    return folders


def _folder(root: Path) -> dict[str, Any]:
    names = {"class_names": ["landbird", "waterbird"], "attribute_names": ["land", "water"]}
    return {"root": str(waterbirds(root)), **names}


MAKE: dict[str, Callable[[Path], dict[str, Any]]] = {
    "adult": lambda root: carried(adult(root)),
    "bffhq": lambda root: {"root": str(bffhq(root)), "check_counts": False},
    "celeba": lambda root: {"root": str(celeba(root)), "check_counts": False},
    "census_income": lambda root: carried(census_income(root)),
    "civilcomments": lambda root: {"root": str(civilcomments(root)), "check_counts": False},
    "colored_digits": lambda root: {"n_pool": 40, "n_test": 20},
    "compas": lambda root: carried(compas(root)),
    "composite": lambda root: {**pictures(root), "n_pool": 18, "n_test": 10, "size": 24},
    "folder": _folder,
    "gaussian": lambda root: {"n_pool": 40, "n_test": 20, "d_z": 4},
    "german": lambda root: carried(german(root)),
    "hub_celeba": lambda root: {
        "root": str(hub_celeba(root)),
        "check_counts": False,
        "identity_column": None,
    },
    "hub_civilcomments": lambda root: {"root": str(hub_civilcomments(root)), "check_counts": False},
    "hub_multinli": lambda root: {
        "root": str(hub_multinli(root)),
        "check_counts": False,
        "identity_column": None,
    },
    "hub_waterbirds": lambda root: {"root": str(parquet(root)), "check_counts": False},
    "huggingface": lambda root: {"root": str(parquet(root))},
    "imagenet9": lambda root: {"root": str(imagenet9(root)), "check_counts": False},
    "metadata_csv": lambda root: {"root": str(derived(root))},
    "table": lambda root: {"root": str(own_table(root))},
    "waterbirds": lambda root: {"root": str(waterbirds(root)), "check_counts": False},
    "wilds": lambda root: {
        "root": str(waterbirds(root).parent),
        "dataset": "waterbirds",
        "attribute": "background",
    },
}
