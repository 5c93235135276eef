"""Overrides of the command line: what is refused, in one sentence, before anything is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import RunMode

from w2s_groups.cli import overrides, runner
from w2s_groups.core.errors import InputError
from w2s_groups.interface import hydra_config, refusals
from w2s_groups.schema.config import Config

Load = Callable[..., Config]


@pytest.fixture(autouse=True)
def registered() -> None:
    hydra_config.register()


@pytest.mark.parametrize(
    ("override", "near"),
    [
        ("data=bird_mammals", "birds_mammals"),
        ("methods=[teacher,selectiv]", "selective"),
        ("experiment=leaderbord", "leaderboard"),
        ('methods=["teacher","selectiv"]', "selective"),
        ("hydra/launcher=workstatoin", "workstation"),
    ],
)
def test_unknown_option_gives_near_matches_then_the_list(override: str, near: str) -> None:
    with pytest.raises(InputError, match=f"did you mean .*'{near}'.*known: "):
        overrides.check([override])


def test_known_options_pass() -> None:
    overrides.check(
        ["data=colored_digits", "data.n_pool=3", "--multirun", "eta_l=0.1,0.2", "~experiment"]
    )
    overrides.check(["-m", "data=birds_mammals,colored_digits", "methods=[teacher,w2s]"])
    overrides.check(["hydra.mode=MULTIRUN", "n_l=20,24", "hydra/launcher=workstation"])


def test_lists_of_methods_are_read_as_hydra_reads_them() -> None:
    overrides.check(["methods=['teacher',\"w2s\"]"])
    overrides.check(["--multirun", "methods=[teacher,w2s],[teacher,w2s,hard]"])
    overrides.check(["--multirun", "methods=choice([teacher,w2s],[teacher])"])
    with pytest.raises(InputError, match="'w2ss'"):
        overrides.check(["--multirun", "methods=[teacher,w2s],[teacher,w2ss]"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["n_l=20,24"], ["add --multirun", "n_l=[20,24]"]),
        (["l2=1e-3,1e-2"], ["l2=1e-3,1e-2", "add --multirun for a job each"]),
        (["data=gaussian,birds_mammals"], ["add --multirun for a job each"]),
        (["methods=[teacher,w2s],[teacher]"], ["add --multirun"]),
        (["seeds=range(3)"], ["add --multirun"]),
        (["methods=[teacher"], ["cannot be read as key=value", "close every bracket"]),
        (["n_l"], ["cannot be read as key=value"]),
        (["=3"], ["names no key"]),
        (["n_l=20,"], ["'n_l=20,' cannot be read as key=value (mismatched input '<EOF>'); write"]),
        (["++n_l=20,24"], ["or write n_l=[20,24]"]),
        (["data=[gaussian,birds_mammals]"], ["--multirun data=gaussian,birds_mammals"]),
        (["data=null"], ["data=null names no file"]),
        (["experiment_name=a/b"], ["experiment_name='a/b'"]),
        (["--multirun", "experiment_name=a,../b"], ["experiment_name='../b'"]),
        (["data.name=a/b"], ["data.name='a/b'"]),
        (["seeds=[1]", "n_seeds=3"], ["give one of the two"]),
        (["--config-dir", "nowhere"], ["--config-dir=nowhere"]),
        (["--foo"], ["'--foo' is unknown", "--info"]),
        (["-x"], ["option '-x' is unknown"]),
        (["--multirn", "n_l=20,24"], ["did you mean '--multirun'"]),
        (["--multirun", "--run"], ["--run and --multirun do not go together"]),
        (["--cfg", "jobs"], ["invalid choice: 'jobs'"]),
        (["--resolve"], ["give --cfg job --resolve"]),
        (["--config-dir"], ["--config-dir", "expected one argument"]),
        (["--config-name", "confg"], ["'confg' is unknown", "'config'"]),
        (["--experimental-rerun", "x.pickle"], ["run the same command again"]),
        (["hydra.searchpath=[file:///nowhere]"], ["/nowhere is not a directory"]),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    arguments: list[str], words: list[str]
) -> None:
    with pytest.raises(InputError) as refused:
        overrides.check(arguments)
    assert "\n" not in str(refused.value)
    for word in words:
        assert word in str(refused.value)


def test_a_command_that_takes_no_sweep_is_not_told_to_sweep() -> None:
    for command, asked, remedy in (
        ("predict", "eta_l=0.1,0.5", "write eta_l=[0.1,0.5]"),
        ("plan", "l2=1e-3,1e-2", "name one"),
        ("plan", "n_l=200,300", "name one"),
    ):
        with pytest.raises(InputError) as refused:
            overrides.check([asked], command)
        assert remedy in str(refused.value)
        assert "multirun" not in str(refused.value)
        with pytest.raises(InputError, match="leave --multirun out"):
            overrides.check(["--multirun", asked], command)


def test_options_may_stand_anywhere() -> None:
    options = overrides.check(["n_l=20,24", "--multirun", "data=gaussian", "--config-dir", "."])
    assert options.overrides == ["n_l=20,24", "data=gaussian"]
    assert options.multirun
    assert options.config_dir == "."


@pytest.mark.parametrize(
    ("asked", "launcher", "extra"),
    [
        ("workstation", "joblib", "joblib"),
        ("joblib", "joblib", "joblib"),
        ("slurm", "submitit_slurm", "submitit"),
        ("processes", "submitit_local", "submitit"),
        ("ray_machines", "ray", "ray"),
    ],
)
def test_a_missing_launcher_says_which_extra_brings_it(
    monkeypatch: pytest.MonkeyPatch, asked: str, launcher: str, extra: str
) -> None:
    Plugins.instance()  # what is installed has registered its files by now
    launchers = ConfigStore.instance().repo["hydra"]["launcher"]
    monkeypatch.delitem(launchers, f"{launcher}.yaml", raising=False)
    words = ["--multirun", "n_l=20,24", f"hydra/launcher={asked}"]
    with pytest.raises(InputError) as refused:
        runner.start("config", lambda _: None, words)
    assert f"hydra/launcher={launcher} needs hydra-{extra}-launcher" in str(refused.value)
    assert str(refused.value).endswith(f"pip install 'w2s_groups[{extra}]'")


def test_a_number_takes_no_list() -> None:
    with pytest.raises(InputError) as refused:
        overrides.check(["l2=1e-3,1e-2"])
    assert "l2=[" not in str(refused.value)


@pytest.mark.parametrize("how", ["--config-dir", "hydra.searchpath"])
def test_names_are_known_on_the_whole_search_path(tmp_path: Path, how: str) -> None:
    for group, name in (("experiment", "mine"), ("data", "ours"), ("experiment/paper", "fig1")):
        (tmp_path / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / group / f"{name}.yaml").write_text("# @package _global_\nn_l: 24\n")
    way = [how, str(tmp_path)] if how == "--config-dir" else [f"{how}=[file://{tmp_path}]"]
    for asked in ("experiment=mine", "data=ours", "experiment=paper/fig1", "data=gaussian"):
        overrides.check([*way, asked])
    with pytest.raises(InputError, match="did you mean 'mine'"):
        overrides.check([*way, "experiment=mime"])
    with pytest.raises(InputError, match="'mine' is unknown"):
        overrides.check(["experiment=mine"])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("head=Ridge", ["head='Ridge' is unknown", "did you mean 'ridge'", "logistic"]),
        ("head=[ridge,mlp]", ["head=['ridge', 'mlp'] must be one value", "--multirun"]),
        ("n_1=300", ["'n_1' is unknown: did you mean 'n_l' or ", "known: "]),
        ("tol=[1e-5,1e-6]", ["must be one value, a number", "--multirun tol=1e-05,1e-06"]),
        ("tol=small", ["tol=small must be a number"]),
        ("threads=1.5", ["threads=1.5 must be a whole number, or null"]),
        ("fail_fast=maybe", ["fail_fast=maybe must be true or false"]),
        ("experiment_name=null", ["experiment_name=null must be text"]),
        ("mlp.wdth=3", ["'mlp.wdth' is unknown", "'mlp.width'"]),
        ("data.pools=3", ["'data.pools' is unknown", "'data.n_pool'"]),
        ("methods.hard.l2=1", ["add hard to methods=[...]"]),
        ("vary.selective.keep=[0.3]", ["a plus before it: +vary.selective.keep=[0.3]"]),
    ],
)
def test_what_hydra_refuses_is_one_sentence_with_a_remedy(override: str, words: list[str]) -> None:
    with hydra.initialize_config_dir(str(hydra_config.conf_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        with pytest.raises(HydraException) as refused:
            loader.load_configuration("config", [override], run_mode=RunMode.RUN)
    sentence = refusals.sentence(refused.value)
    assert "\n" not in sentence
    for word in words:
        assert word in sentence


def test_a_reference_to_nothing_is_one_sentence(load: Load) -> None:
    with pytest.raises(InputError, match="eta_u: Interpolation key 'nope' not found"):
        load("eta_u=${nope}")


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        (["teacher=foo"], "leave out teacher="),
        (["student=[bar,baz]"], "name student=gaussian/strong"),
        (["teacher=gaussian/weak", "student=gaussian/strong"], ""),
        (["n_l=20"], ""),
    ],
)
def test_networks_of_data_that_are_features_cannot_be_renamed(
    load: Load, asked: list[str], refused: str
) -> None:
    cfg: Any = load("data=gaussian", *asked)
    if not refused:
        overrides.check_networks(asked, cfg)
        return
    with pytest.raises(InputError, match=refused):
        overrides.check_networks(asked, cfg)
    overrides.check_networks(asked, load(*asked))
