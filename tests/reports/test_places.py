"""A report's folder: kept for its question, never given to another, named by what differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tables import grid_table

from w2s_groups.core.errors import InputError
from w2s_groups.experiment import settings as of_report
from w2s_groups.experiment.sweep_report import merged
from w2s_groups.reports import leaderboard, places, rebuild
from w2s_groups.schema.cells import cells
from w2s_groups.schema.config import Config

METHODS = {"teacher": {"l2": 0.001}, "w2s": {"l2": 0.001}, "selective": {"l2": 0.001, "keep": 0.5}}


def asked(**changed: Any) -> dict[str, Any]:
    base = {
        "experiment": "e", "data": {"name": "birds", "size": 9}, "teacher": ["a"],
        "student": ["b"], "methods": METHODS, "eta_l": [0.05, 0.5], "eta_u": [0.5], "n_l": [20],
        "n_u": [60], "seeds": [0, 1], "l2": 0.001, "class_priors": None,
        "pair": [{"teacher": "a", "student": "b", "numbers": []}],
    }  # fmt: skip
    return {**base, **changed}


def test_the_same_question_has_the_same_folder(tmp_path: Path) -> None:
    folder, said = places.place(tmp_path, "birds", asked())
    assert (folder, said) == (tmp_path / "birds", "")
    again = asked(pair=[], failed=[{"reason": "no"}], methods=dict(reversed(METHODS.items())))
    assert places.place(tmp_path, "birds", again) == (folder, "")
    assert json.loads((folder / "settings.json").read_text())["failed"] == [{"reason": "no"}]


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"n_l": [24]}, "birds,n_l=24"),
        ({"eta_l": [0.05]}, "birds,eta_l=0.05"),
        ({"seeds": [0, 1, 2]}, "birds,seeds=0+1+2"),
        ({"data": {"name": "birds", "size": 20}}, "birds,size=20"),
        ({"methods": {k: METHODS[k] for k in ("teacher", "w2s")}}, "birds,methods=teacher+w2s"),
        (
            {"l2": 0.01, "methods": {k: {**v, "l2": 0.01} for k, v in METHODS.items()}},
            "birds,l2=0.01",  # and not once a method
        ),
        (
            {"methods": {**METHODS, "selective": {"l2": 0.001, "keep": 0.3}}},
            "birds,selective.keep=0.3",
        ),
        ({"vary": {"selective": {"keep": [0.3, 0.5]}}}, "birds,vary.selective.keep=0.3+0.5"),
        ({"permute_labels": True}, "birds,permute_labels=True"),
        ({"files": {"birds": "0123abcd"}}, "birds,files=0123abcd"),
    ],
)
def test_another_question_is_named_by_what_differs(
    tmp_path: Path, changed: dict[str, Any], name: str
) -> None:
    first, _ = places.place(tmp_path, "birds", asked())
    before = (first / "settings.json").read_bytes()
    other, said = places.place(tmp_path, "birds", asked(**changed))
    assert other == tmp_path / name
    assert said.startswith(f"{first}/ is kept: its report has other settings")
    assert (first / "settings.json").read_bytes() == before
    assert places.place(tmp_path, "birds", asked(**changed)) == (other, "")


def test_what_is_not_asked_any_more_has_a_name_too(tmp_path: Path) -> None:
    places.place(tmp_path, "birds", asked(permute_labels=True))
    other, _ = places.place(tmp_path, "birds", asked())
    assert other == tmp_path / "birds,permute_labels=none"


def test_names_that_would_be_cut_or_alike_end_in_a_digest(tmp_path: Path) -> None:
    places.place(tmp_path, "birds", asked())
    long = [asked(teacher=[f"timm/{'x' * 90}{k}" for k in range(n)]) for n in (3, 4, 5)]
    alike = [asked(teacher=[name]) for name in ("a/b", "a_b", "a b", "a:b")]
    folders = [places.place(tmp_path, "birds", settings)[0] for settings in (*long, *alike)]
    assert len(set(folders)) == 7
    assert all(len(folder.name.encode()) <= 140 for folder in folders)
    assert tmp_path / "birds,teacher=a_b" in folders  # that name is exact


def test_a_folder_without_a_report_is_taken_and_one_that_cannot_be_read_is_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "birds").mkdir()
    (tmp_path / "birds/notes.txt").write_text("mine")
    folder, _ = places.place(tmp_path, "birds", asked())
    assert folder == tmp_path / "birds"
    (folder / "settings.json").write_text("{")
    other, said = places.place(tmp_path, "birds", asked())
    assert other != folder
    assert said
    assert (folder / "settings.json").read_text() == "{"


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can't be written"):
        places.place(tmp_path / "file", "birds", asked())


def test_a_sweep_replaces_its_own_unfinished_report_and_no_other(tmp_path: Path) -> None:
    part = asked(n_l=[20], unfinished={"sweep": "s", "jobs": "1 of 2"})
    folder, _ = places.place(tmp_path, "birds", part, sweep="s")
    other, _ = places.place(tmp_path, "birds", asked(n_l=[20, 24]), sweep="t")
    assert other != folder
    assert places.place(tmp_path, "birds", asked(n_l=[20, 28]), sweep="s") == (folder, "")


def test_a_part_never_replaces_the_whole(tmp_path: Path) -> None:
    whole, _ = places.place(tmp_path, "birds", asked())
    part = asked(unfinished={"sweep": "s", "jobs": "1 of 2"})
    folder, said = places.place(tmp_path, "birds", part, sweep="s")
    assert folder != whole
    assert said == f"{whole}/ is kept: its report is finished"
    assert places.place(tmp_path, "birds", part, sweep="s")[0] == folder
    assert places.place(tmp_path, "birds", asked(), sweep="s") == (whole, "")


def test_a_new_report_removes_figures_of_the_old_one_and_nothing_of_the_user(
    tmp_path: Path,
) -> None:
    two = grid_table(seeds=2)
    many = pd.concat([two, two.assign(n_l=99, cell=two["cell"] + "x")])
    leaderboard.write(many, {"experiment": "e"}, tmp_path)
    assert (tmp_path / "gain_vs_eta_u_2.png").is_file()
    for name in ("gain_vs_eta_u_9.png", "mine.png", "notes.md"):
        (tmp_path / name).write_text("mine")
    leaderboard.write(two, {"experiment": "e"}, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "gain_vs_eta_u.pdf", "gain_vs_eta_u.png", "gain_vs_eta_u_9.png", "leaderboard.csv",
        "leaderboard.html", "leaderboard.md", "mine.png", "notes.md", "results.csv.gz",
        "settings.json",
    ]  # fmt: skip


def test_an_unfinished_report_that_has_another_folder_now_goes(tmp_path: Path) -> None:
    part = asked(unfinished={"sweep": "s", "jobs": "1 of 2"})
    folders = []
    for k, name in enumerate("ab"):
        settings = part | {"n_l": [k]}
        folders.append(places.place(tmp_path, name, settings)[0])
        leaderboard.write(grid_table(seeds=2), settings, folders[k])
    (folders[1] / "notes.txt").write_text("mine")
    kept, _ = places.place(tmp_path, "c", asked())
    places.clear_unfinished(tmp_path, "t", set())
    assert all((folder / "leaderboard.md").is_file() for folder in folders)
    places.clear_unfinished(tmp_path, "s", {kept})
    assert not folders[0].exists()
    assert [path.name for path in folders[1].iterdir()] == ["notes.txt"]
    assert kept.is_dir()


# What the comment of an experiment asks for with other data.
ALSO = {
    ("field_methods", "election_tweets"): (
        "teacher=packaged/wordllama",
        "student=packaged/all_minilm_l6_v2",
    )
}
COMMITTED = sorted(Path(rebuild.__file__).parents[2].glob("reports/*/*/leaderboard.md"))


@pytest.mark.parametrize("page", COMMITTED, ids=lambda page: "/".join(page.parts[-3:-1]))
def test_the_experiments_as_shipped_go_on_in_their_committed_folders(
    load: Callable[..., Config], page: Path
) -> None:
    experiment, folder = page.parts[-3:-1]
    group = "suite" if experiment == "suite" else "data"
    jobs = []
    for data in folder.split("+"):
        cfg = load(f"experiment={experiment}", f"{group}={data}", *ALSO.get((experiment, data), ()))
        original = 0.5 if cfg.eta_o is None else cfg.eta_o
        now = of_report.asked(cfg, cells(cfg, original), original) | {"class_priors": None}
        jobs.append({"settings": now | {"pair": []}})
    there = places.held(page.parent)
    assert there
    apart = places.apart(places.question(merged(jobs)), places.question(there))
    # What is known once the data are read.
    assert {key for key in apart if key.partition(".")[0] not in ("files", "noun")} == set()
