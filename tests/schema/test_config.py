"""The schema: what is accepted, what is refused and with which sentence, before anything runs."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from w2s_groups.core.errors import InputError
from w2s_groups.data import DATASETS
from w2s_groups.finetuning import TUNINGS
from w2s_groups.interface import hydra_config
from w2s_groups.methods import METHODS
from w2s_groups.schema import config
from w2s_groups.schema.cells import cells

Load = Callable[..., config.Config]


def test_the_default_is_whole(load: Load) -> None:
    cfg = load()
    assert cfg.data.name == "birds_mammals"
    assert list(cfg.methods) == ["teacher", "w2s", "selective", "baseline", "ceiling"]
    assert len(cells(cfg, 0.5)) == 2 * 4 * 10


def test_lists_cross_inside_one_run_and_scalars_are_lists_of_one(load: Load) -> None:
    cfg = load("eta_l=[0.05,0.5]", "eta_u=0.2", "n_l=[100,200]", "seeds=[3]")
    requests = [(c.request.n_l, c.request.eta_l, c.seed) for c in cells(cfg, 0.5)]
    assert requests == [(100, 0.05, 3), (100, 0.5, 3), (200, 0.05, 3), (200, 0.5, 3)]


def test_l2_reaches_every_method_and_can_be_set_for_one(load: Load) -> None:
    cfg = load("l2=0.01", "methods.teacher.l2=0.5")
    assert cfg.methods["teacher"].l2 == 0.5
    assert cfg.methods["w2s"].l2 == 0.01


def test_lists_of_networks_give_every_pair_of_different_ones(load: Load) -> None:
    cfg = load("teacher=[a,b]", "student=[b,a,c]")
    assert cfg.pairs == [("a", "b"), ("a", "c"), ("b", "a"), ("b", "c")]
    assert load("teacher=a", "student=a").pairs == [("a", "a")]


def test_original_is_the_fraction_that_it_is_given_or_the_datas_own(load: Load) -> None:
    cfg = load("eta_l=[original,0.5]", "eta_u=original")
    etas = {(c.request.eta_l, c.request.eta_u) for c in cells(cfg, 0.03)}
    assert etas == {(0.03, 0.03), (0.5, 0.03)}
    with pytest.raises(InputError, match=r"eta_l.*repeats"):
        cells(cfg, 0.5)


def test_variants_are_methods_with_the_settings_in_their_names(load: Load) -> None:
    cfg = load("+vary.selective.keep=[0.25,0.75]", "+vary.selective.init=[w2s]")
    found = cfg.resolved({"teacher": 512, "student": 1280})
    assert list(found)[5:] == [
        "selective[keep=0.25,init=w2s]",
        "selective[keep=0.75,init=w2s]",
    ]
    changed = found["selective[keep=0.75,init=w2s]"]
    assert (changed.keep, changed.init.value, changed.q) == (0.75, "w2s", 0.7)
    assert (cfg.methods["selective"].keep, cfg.methods["selective"].init.value) == (0.5, "zero")


# Verbs by which an error says what to do.
REMEDY = re.compile(
    r"\b(add|change|choose|drop|give|leave|list|name|raise|set|use|did you mean)\b|known: "
)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("eta_l=0.7", ["eta_l=0.7", "[0, 0.5]"]),
        ("eta_u=nan", ["eta_u=nan"]),
        ("eta_l=[0.1,inf]", ["eta_l=inf"]),
        ("eta_l=[]", ["eta_l", "empty"]),
        ("eta_l=[0.1,0.1]", ["repeats"]),
        ("eta_l=half", ["eta_l='half'"]),
        ("n_l=1.5", ["n_l=1.5", "whole number"]),
        ("n_u=0", ["n_u=0"]),
        ("seeds=true", ["seeds=True"]),
        ("seeds=-1", ["seeds=-1"]),
        ("l2=0", ["l2=0"]),
        ("methods.selective.keep=0", ["selective.keep=0"]),
        ("methods.selective.q=2", ["selective.q=2"]),
        (
            "head=ridge",
            ["methods=selective cannot be fitted", "methods=[teacher,w2s,baseline,ceiling]"],
        ),
        ("l2_path=[0.1]", ["l2_path=[0.1]", "head=ridge"]),
        ("l2_path=[0]", ["l2_path=0"]),
        ("methods=[teacher,selective]", ["selective builds on w2s"]),
        ("methods=[baseline]", ["measured against the teacher"]),
        ("eta_l=[original,original]", ["eta_l", "repeats"]),
        ("eta_o=0.6", ["eta_o=0.6"]),
        ("teacher=[]", ["teacher=[]"]),
        ("teacher=[a,a]", ["teacher", "repeats"]),
        ("select=val_worst", ["select=val_worst", "n_val=0"]),
        ("select=labelled", ["select=labelled", "set trials=twelve"]),
        ("+vary.selectiv.keep=[0.5]", ["vary", "'selective'"]),
        ("+vary.selective.kep=[0.5]", ["vary.selective.kep", "vary.selective.keep"]),
        ("+vary.selective.keep=0.5", ["vary.selective.keep=0.5", "list"]),
        ("+vary.selective.keep=[2]", ["selective.keep=2"]),
        ("+vary.selective.init=[one]", ["vary.selective.init", "zero"]),
        ("+vary.selective.keep=[0.5,0.5]", ["vary.selective.keep=[0.5, 0.5]", "repeats"]),
        ("+vary.selective.keep=[1,1.0]", ["vary.selective.keep", "repeats"]),
        ("+vary.selective.keep=[true]", ["vary.selective.keep", "number"]),
        ("+vary.selective.l2_per_feature=[2]", ["vary.selective.l2_per_feature=2"]),
        ("+vary.selective.q_per_feature=[0.1]", ["vary.selective.q_per_feature"]),
        ("+trials.selectiv.keep=[0.5]", ["trials", "'selective'"]),
        ("+trials.selective.keep=[0.3,0.5]", ["selective 2 settings and w2s 1", "trials.w2s"]),
        ("+methods.selective.kept=1", ["methods.selective.kept", "did you mean"]),
        ("+data.n_pol=1", ["data.n_pol", "data.n_pool"]),
        ("+eta=1", ["field='eta'"]),
        ("eta_l=???", ["eta_l has no value"]),
    ],
)
def test_bad_values_are_one_sentence_naming_the_field(
    load: Load, override: str, words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        load(override)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert REMEDY.search(str(caught.value)), str(caught.value)


def test_whole_numbers_stay_whole(load: Load) -> None:
    methods = "methods=[teacher,w2s,adaptive_confidence]"
    with pytest.raises(
        InputError, match=r"vary\.adaptive_confidence\.rounds: 1\.5 .* whole number"
    ):
        load(methods, "+vary.adaptive_confidence.rounds=[1,1.5]")
    cfg = load(methods, "+vary.adaptive_confidence.rounds=[1,2]", "+vary.w2s.l2=[1,2]")
    found = cfg.resolved({"teacher": 1, "student": 1})
    assert found["adaptive_confidence[rounds=2]"].rounds == 2
    assert isinstance(found["w2s[l2=1]"].l2, float)


def test_trials_of_the_leaderboard_are_as_many_for_every_ranked_method(load: Load) -> None:
    cfg = load("experiment=leaderboard", "trials=twelve", "select=labelled")
    numbers = {name: 0 for name, method in cfg.methods.items() if not method.reference}
    for variant in cfg.variants:
        if variant.base in numbers:
            numbers[variant.base] += 1
    assert set(numbers.values()) == {12}
    # The given teachers are in no trial.
    assert not {"teacher", "tuned_teacher"} & {variant.base for variant in cfg.variants}


def test_l2_per_feature_follows_the_width_of_the_methods_own_side(load: Load) -> None:
    cfg = load("experiment=leaderboard", "trials=twelve")
    found = cfg.resolved({"teacher": 500, "student": 2000})
    assert found["w2s[l2_per_feature=0.001]"].l2 == pytest.approx(2.0)
    assert found["self_distilled[l2_per_feature=0.001]"].l2 == pytest.approx(0.5)
    jtt = found["jtt[upweight=20,l2_first_per_feature=0.01,l2_per_feature=0.0001]"]
    assert (jtt.l2_first, jtt.l2, jtt.upweight) == (pytest.approx(20), pytest.approx(0.2), 20)


def test_one_trial_among_the_twelve_is_the_published_setting_at_that_scale(load: Load) -> None:
    cfg = load("experiment=leaderboard", "trials=twelve")
    for name in ("selective", "selection_only", "gce_only", "confidence", "afr"):
        own = [v for v in cfg.variants if v.base == name and v.settings["l2_per_feature"] == 1e-3]
        same = [
            v
            for v in own
            if all(
                getattr(cfg.methods[name], key) == value
                for key, value in v.settings.items()
                if key != "l2_per_feature"
            )
        ]
        assert len(same) == 1, name


def test_a_trial_builds_on_the_trial_of_the_same_l2(load: Load) -> None:
    cfg = load("experiment=leaderboard", "trials=twelve", "select=labelled")
    built_on = cfg.built_on()
    assert built_on["selective[keep=0.7,l2_per_feature=0.0003]"] == {
        "w2s": "w2s[l2_per_feature=0.0003]"
    }
    assert built_on["w2s[l2_per_feature=0.0003]"] == {}
    with pytest.raises(
        InputError, match=r"trials\.selective\.l2_per_feature=0\.0003 .*trials\.w2s"
    ):
        load(
            "methods=[teacher,w2s,selective]", "trials=twelve",
            "trials.w2s.l2_per_feature=[1e-1,1e-2,1e-3,1e-4,3e-5,1e-5,1e-6,1e-7,1e-8,1e-9,1e-10,1e-11]",
        )  # fmt: skip
    varied = load("+vary.selective.l2=[0.1]", "+vary.w2s.l2=[0.1]")
    assert varied.built_on()["selective[l2=0.1]"] == {}  # of vary: as before, on the plain W2S


def test_a_rule_without_trials_of_the_methods_at_hand_is_refused(load: Load) -> None:
    with pytest.raises(InputError, match=r"methods=\[teacher\] has trials; set select=fixed"):
        load("experiment=leaderboard", "methods=[teacher]")
    assert not load("experiment=leaderboard", "methods=[teacher]", "select=fixed").variants


def test_trials_and_other_choices_of_the_same_are_refused(load: Load) -> None:
    twelve = ("methods=[teacher,w2s]", "trials=twelve")
    with pytest.raises(InputError, match=r"vary\.w2s and trials\.w2s"):
        load(*twelve, "+vary.w2s.l2=[0.1]")
    with pytest.raises(InputError, match=r"l2_path=\[0\.1\].*trials"):
        load(*twelve, "head=ridge", "l2_path=[0.1]")


@pytest.mark.parametrize(
    "override", ["etal=0.1", "methods.selective.init=random", "l2=small", "on_bad_image=maybe"]
)
def test_unknown_keys_and_types_are_refused_by_the_schema(load: Load, override: str) -> None:
    with pytest.raises((HydraException, OmegaConfBaseException), match=r"etal|init|l2|on_bad"):
        load(override)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("experiment_name=paper/fig1", "experiment_name='paper/fig1' becomes the name of a folder"),
        ("experiment_name=..", "choose another name"),
        ("experiment_name=/tmp/x", "letters"),
        ("experiment_name=''", "experiment_name=''"),
        ("experiment_name=' x'", "experiment_name=' x'"),
        ("experiment_name=pairs", "holds other things in results_dir"),
        ("data.name=a/b", "data.name='a/b'"),
        ("n_seeds=0", "n_seeds=0"),
        ("n_seeds=-3", "n_seeds=-3"),
    ],
)
def test_names_that_no_folder_can_have_and_no_seeds_are_refused(
    load: Load, override: str, words: str
) -> None:
    with pytest.raises(InputError) as refused:
        load(override)
    assert words in str(refused.value)


def test_names_in_any_language_are_names(load: Load) -> None:
    for name in ("paper_fig1", "2026-11-30", "größe", "v1.2", "a=1,b=2"):
        assert load(f"experiment_name='{name}'").experiment_name == name


def test_a_number_of_seeds_stands_for_the_first_ones(load: Load) -> None:
    cfg = load("n_seeds=3")
    assert cfg.seeds == [0, 1, 2]
    assert replace(cfg, seeds=[7]).seeds == [7]  # what was resolved does not come back
    assert load("seeds=3").seeds == [3]


def test_data_that_are_features_name_their_networks(load: Load) -> None:
    cfg = load("data=gaussian", "teacher=[a,b]")
    assert cfg.pairs == [("gaussian/weak", "gaussian/strong")]


@pytest.mark.parametrize("group", ["data", "methods", "finetune"])
def test_every_registered_name_has_its_yaml_and_no_yaml_is_left_over(group: str) -> None:
    registered: dict[str, Any] = {
        "data": DATASETS,
        "methods": METHODS,
        "finetune": TUNINGS,
    }[group]
    assert {path.stem for path in (hydra_config.conf_dir() / group).glob("*.yaml")} == set(
        registered
    )


@pytest.mark.parametrize(
    "experiment", sorted(p.stem for p in (hydra_config.conf_dir() / "experiment").glob("*.yaml"))
)
def test_every_experiment_composes(load: Load, experiment: str) -> None:
    cfg = load(f"experiment={experiment}")
    grid = cells(cfg, 0.02)
    assert all(math.isfinite(cell.request.eta_l) for cell in grid)


def test_the_conf_folder_is_found() -> None:
    assert (Path(hydra_config.conf_dir()) / "config.yaml").is_file()
