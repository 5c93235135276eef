"""Overrides of every key by values of every kind: a configuration, or one sentence. No traceback.

A configuration is composed once and a copy of it overridden, as Hydra does; the slow form takes
every kind of data set and more overrides. Other commands read their own words.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from w2s_groups.backbones import get_backbone, get_encoder, hub
from w2s_groups.cli import overrides
from w2s_groups.core.errors import InputError
from w2s_groups.data import DATASETS
from w2s_groups.data.gaussian import Gaussian
from w2s_groups.data.ondisk import OnDisk
from w2s_groups.experiment.prepare import prepare
from w2s_groups.interface import compose, hydra_config, refusals
from w2s_groups.interface.compose import configuration
from w2s_groups.methods import METHODS

COMMANDS = {
    "run": "config", "predict": "predict", "plan": "plan", "draws": "draws", "features": "features",
}  # fmt: skip
SMALL = ("data.n_pool=600", "data.n_test=200", "data.d_z=4", "n_l=20", "n_u=40", "seeds=[0]")
OVERRIDES = (
    "", "''", "null", "true", "false", "nan", "inf", "-inf", "0", "-1", "1", "3", "0.5",
    "2147483648", "-2147483648", "9223372036854775808", "9" * 40, "1e308", "-1e308", "1e-320",
    "[]", "{}", "[1,2]", "[[1]]", "[nan]", "[null]", "[{}]", "['']", "{a: 1}", "{a: {b: [1]}}",
    "${x}", "'${x}'", "${l2}", "'${l2}'", "${oc.env:HOME}", "${oc.env:NO_SUCH}", "'${'", "${now:}",
    "\\${x}", "???", "'???'", "'a\nb'", "a\\nb", "\"a b\"", "'it''s'", "\"", "'", "é", "'é'",
    "'\u202e'", "'\x1b[31m'", "日本", "y" * 300, "'" + "y/" * 600 + "'", "%s", "100%", "~",
    "~nobody", "/", "/dev/null", "../x", "a/b", "original", "[original,original]", "=1", "@x",
    "1,2", "range(3)", "choice(a,b)", "glob(*)", "hf//tmp/x", "hf/a b", "hf/..", "file/x.npy",
    "packaged/", "module/x.py", "timm/", "table/onehot", "torchvision/resnet18@/nope",
)  # fmt: skip
PYTHON = (
    None, True, -1, 0, 2**31, 10**40, 1e308, float("nan"), float("inf"), "", "\0", "a\nb", "${x}",
    "\udcff", "y" * 300, [], {}, [[]], [None], {"a": 1}, {"": {}}, {1: 2}, b"x", object(), print,
    (1, 2), Path("x"), "../x", "hf//tmp/x", [float("nan")], {"a": {"b": [None]}},
)  # fmt: skip

LOADER_OF = overrides.loader_of


@cache
def loader() -> ConfigLoaderImpl:
    hydra_config.register()
    return LOADER_OF(None, None)


@cache
def composed(command: str, data: str) -> DictConfig:
    """A command's configuration: small, of every method under `run`; else as it comes."""
    own = [f"data={data}"]
    if data == "gaussian":
        own += SMALL
    if (command, data) == ("run", "gaussian"):
        own.append(f"methods=[{','.join(METHODS.built_in)}]")
    if data == "composite":
        own += ["+data.cutouts={a: x, b: y}", "+data.backgrounds={c: z, d: w}"]
    made = loader().load_configuration(COMMANDS[command], own, RunMode.RUN)
    with open_dict(made):
        del made["hydra"]
    return made


def keys(of: DictConfig, prefix: str = "") -> Iterator[str]:
    for name in of:
        node: Any = of._get_node(name)
        yield f"{prefix}{name}"
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_missing():
            yield from keys(node, f"{prefix}{name}.")


@cache
def own_keys(command: str, data: str) -> tuple[str, ...]:
    return tuple(keys(composed(command, data)))


@st.composite
def lines(draw: st.DrawFn, every: bool = False) -> tuple[str, str, list[str]]:
    """A command, its data and one to three overrides."""
    command = draw(st.sampled_from(["run", *COMMANDS]))
    few = ["gaussian", "metadata_csv", "huggingface", "composite"] if command == "run" else []
    data = draw(st.sampled_from(sorted(DATASETS) if every else few or ["gaussian"]))
    value = st.sampled_from(OVERRIDES) | st.floats().map(repr) | st.integers().map(str)
    value |= st.text(max_size=8) if every else st.text(max_size=4)
    key = st.sampled_from(own_keys(command, data))
    if every:
        key |= st.sampled_from(["methods", "trials", "splits", "finetune", "experiment", "vary"])
    word = st.tuples(st.sampled_from(["", "", "", "", "+", "++", "~"]), key, value)
    asked = draw(st.lists(word.map(lambda parts: "{}{}={}".format(*parts)), min_size=1, max_size=3))
    return command, data, asked


def check_sentence(text: str) -> None:
    assert len(text.splitlines()) == 1, text
    assert text.isprintable(), text
    assert len(text) < 6000, text
    assert not re.search("full_key|object_type=|reference_type=|Traceback", text), text


def used(command: str, data: str, asked: list[str]) -> None:
    """What a command does with overrides before its first long step."""
    options = overrides.check(asked, COMMANDS[command])
    own = copy.deepcopy(composed(command, data))
    try:
        parsed = OverridesParser.create().parse_overrides(options.overrides)
        ConfigLoaderImpl._apply_overrides_to_config(parsed, own)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(refusals.sentence(error)) from error
    cfg = hydra_config.from_hydra(own)
    overrides.check_networks(options.overrides, cfg)
    if cfg.experiment is None and isinstance(cfg.data, Gaussian) and cfg.data.n_pool < 10**4:
        prepare(cfg)
    elif isinstance(cfg.data, OnDisk) and (cfg.data.root or cfg.data.archive):
        cfg.data.load(Path("cache").absolute())


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No download, and an own folder."""

    def unreachable(url: str) -> None:
        raise OSError("no network")

    monkeypatch.setattr(hub, "reach", unreachable)
    monkeypatch.setattr(overrides, "loader_of", lambda *given: loader())
    monkeypatch.setattr(compose, "ConfigLoaderImpl", lambda path: loader())
    monkeypatch.chdir(tmp_path)


QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
quick = settings(
    max_examples=200, derandomize=True, deadline=5000, suppress_health_check=QUIET, database=None
)
long = settings(max_examples=3000, deadline=10_000, suppress_health_check=QUIET, database=None)


def holds(command: str, data: str, asked: list[str]) -> None:
    try:
        used(command, data, asked)
    except InputError as refused:
        check_sentence(str(refused))


@pytest.mark.usefixtures("offline")
@quick
@given(lines())
def test_an_override_is_used_or_refused_in_one_sentence(line: tuple[str, str, list[str]]) -> None:
    holds(*line)


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
@long
@given(lines(every=True))
def test_many_overrides_are_used_or_refused(line: tuple[str, str, list[str]]) -> None:
    holds(*line)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("data.p_s=2147483648", "data.p_s=2147483648 must lie in 1..1000"),
        ("data.seed=-1", "data.seed=-1 must lie in 0.."),
        ("data.sigma_xi=1e300", "data.sigma_xi=1e+300 must lie in"),
        ("++l2='${x}'", "l2"),
        ("seeds='${'", "seeds: "),
        ("methods.w2s=1e3", "methods.w2s=1000.0 must be a mapping"),
        ("+methods.hard=[nan]", "methods.hard: "),
        ("vary=${now:%Y}", "vary"),
        ("results_dir=", "results_dir='' cannot be a path"),
        (f"reports_dir={'y' * 300}", "each name in it has at most 255 bytes"),
    ],
)
def test_what_ended_in_a_traceback_is_one_sentence(word: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        used("run", "gaussian", [word])
    check_sentence(str(refused.value))
    assert said in str(refused.value)


@pytest.mark.usefixtures("offline")
def test_data_larger_than_memory_are_refused_before_they_are_drawn() -> None:
    with pytest.raises(InputError, match=r"take 400 GB, and this machine has .* lower one"):
        Gaussian("g", 10**7, 10, 500, 5, 3, 1.5, 2.0, 0.5, 0.7, 0.5, 0)._check_memory()


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ["hf//tmp/x", "hf/a b", "hf/a/b/c", "hf/-", f"hf/{'y' * 200}"])
def test_what_no_repository_is_called_is_no_network(name: str) -> None:
    for get in (get_backbone, get_encoder):
        with pytest.raises(InputError, match="neither a folder that is there nor a repository"):
            get(name)


@pytest.mark.usefixtures("offline")
@settings(quick, max_examples=25)
@given(
    st.sampled_from(["data", "teacher", "methods", "l2", "eta_l", "n_l", "seeds", "vary", "splits",
                     "mlp", "mlp.lr", "data.p_w", "data.name", "methods.w2s", "methods.w2s.l2",
                     "trials", "l2_path", "cache_dir", "head", "experiment", "x", "", "threads"]),
    st.sampled_from(PYTHON),
)  # fmt: skip
def test_a_wrong_python_value_is_one_sentence(key: str, value: Any) -> None:
    try:
        configuration({"data": "gaussian", key: value})
    except InputError as refused:
        check_sentence(str(refused))


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("key", ["experiment_name", "data.name"])
@pytest.mark.parametrize("name", ["..", "", "/tmp/x", "a/b", "-x", "=x", "a.", "a\nb", "y" * 101])
def test_names_of_folders_stay_inside(key: str, name: str) -> None:
    for command in COMMANDS:
        own = copy.deepcopy(composed(command, "gaussian"))
        OmegaConf.update(own, key, name)
        with pytest.raises(InputError, match="becomes the name of a folder"):
            hydra_config.from_hydra(own)
    with pytest.raises(InputError, match="becomes the name of a folder"):
        configuration({"data": "gaussian", key: name})
