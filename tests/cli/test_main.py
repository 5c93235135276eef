"""`w2s-groups`: its list of commands, its help pages, and one sentence for what it cannot run."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from w2s_groups import __version__, cli
from w2s_groups.cli import help_pages, runner
from w2s_groups.core.errors import InputError
from w2s_groups.data import DATASETS
from w2s_groups.interface import hydra_config
from w2s_groups.methods import METHODS

HEAVY = {"torch", "torchvision", "scipy", "pandas", "matplotlib", "hydra", "omegaconf", "numpy"}
CONFIGURED = [name for name, command in cli.COMMANDS.items() if command.config]


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(list(words)) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one sentence on stderr of a command that ends with status 2."""
    assert cli.main(list(words)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err.removeprefix("error: ").rstrip("\n")


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_every_command_has_a_line_and_keys(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    page = printed(capsys, *words)
    joined = " ".join(page.split())
    for name, command in cli.COMMANDS.items():
        assert f"{name} {command.summary} {command.keys}" in joined
    assert max(map(len, page.splitlines())) <= 80


def test_every_command_is_a_module_that_starts() -> None:
    for name, command in cli.COMMANDS.items():
        module = import_module(f"w2s_groups.cli.{name}")
        assert callable(getattr(module, "run" if command.config else "main"))


@pytest.mark.parametrize("name", CONFIGURED)
def test_a_page_shows_every_key_with_its_default(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    page = printed(capsys, name, "--help")
    assert max(map(len, page.splitlines())) <= 80
    assert "schema" not in page
    assert "Hydra" not in page
    conf = hydra_config.conf_dir()
    for file in dict.fromkeys(("config", cli.COMMANDS[name].config)):
        for key in OmegaConf.load(conf / f"{file}.yaml"):
            shown = f"\n  {key}=" in page or f"\n  {key}." in page
            assert shown == (key not in ("defaults", "hydra")), key
    for option in (*DATASETS, *METHODS):
        assert option in page


def test_a_page_reads_values_as_hydra_does(capsys: pytest.CaptureFixture[str]) -> None:
    page = printed(capsys, "run", "data=gaussian", "methods=[teacher,selective]", "--help")
    conf = hydra_config.conf_dir()
    for file, prefix in (
        ("config.yaml", ""),
        ("data/gaussian.yaml", "data."),
        ("methods/selective.yaml", "methods.selective."),
    ):
        values = OmegaConf.load(conf / file)
        assert isinstance(values, type(OmegaConf.create({})))
        for key, value in OmegaConf.to_container(values).items():  # type: ignore[union-attr]
            if key not in ("defaults", "hydra"):
                (line,) = [
                    line for line in page.splitlines() if line.startswith(f"  {prefix}{key}=")
                ]
                written = line.partition("=")[2].partition("  ")[0]
                assert OmegaConf.to_container(OmegaConf.create({"v": value})) == (
                    OmegaConf.to_container(OmegaConf.create(f"v: {written}"))
                )


@pytest.mark.parametrize("name", [name for name in cli.COMMANDS if name not in CONFIGURED])
def test_other_commands_have_pages_too(capsys: pytest.CaptureFixture[str], name: str) -> None:
    page = printed(capsys, name, "--help")
    assert page.startswith(f"usage: w2s-groups {name}")


def test_help_and_version_import_no_library() -> None:
    code = (
        "import sys\n"
        "from w2s_groups.cli import main\n"
        "for words in ([], ['--help'], ['--version'], ['run', '--help'], ['plan', '--version'],\n"
        "              ['leaderbord'], ['results', '--help'], ['theory', 'gama_z=1'],\n"
        "              ['report', '--help'], ['cards', '--chek']):\n"
        "    main(words)\n"
        f"print('imported:', sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.endswith("imported: []\n"), done.stdout
    assert done.stderr.count("error: ") == done.stderr.count("\n") == 3


@pytest.mark.parametrize("words", [["--version"], ["run", "--version"], ["compose", "--version"]])
def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert printed(capsys, *words) == f"w2s_groups {__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["leaderbord"], "did you mean 'experiment=leaderboard'"),
        (["rum"], "did you mean 'run'"),
        (["n_l"], "did you mean 'n_l=...'"),
        (["waterbird"], "did you mean 'data=waterbirds'"),
        (["run", "themes"], "'themes' is neither a command nor key=value"),
        (["predict", "run"], "write `w2s-groups run ...`"),
        (["mlp=3"], "set its keys one by one: mlp.width"),
        (["report", "-x"], "'-x' is not an option"),
        (["--foo"], "'--foo' is unknown: did you mean '--info'"),
        (["run", "--multirun", "--run"], "do not go together"),
        (["--multirun", "--cfg", "job"], "do not go together"),
        (["n_1=300", "--cfg", "job"], "'n_1' is unknown: did you mean 'n_l'"),
        (["data=gaussian", "data.n_pol=3"], "'data.n_pol' is unknown: did you mean 'data.n_pool'"),
        (["--cfg", "job", "--package", "nope"], "--package=nope is not in the configuration"),
        (["--shell-completion", "install=ksh"], "--shell-completion: "),
        (["methods=[teacher,selectiv]"], "did you mean 'selective'"),
        (["eta_l=0.7"], "eta_l=0.7 must be a number in [0, 0.5]"),
        (["predict", "--multirun"], "leave --multirun out"),
        (["predict", "alhpa=1"], "did you mean 'alpha'"),
        (["predict", "eta_l=0.1"], "a map needs two values of eta_l or more"),
        (["plan", "n_l=[200,300]"], "a plan starts from one n_l"),
        (["compose"], "required: OUT"),
        (["compose", "OUT", "--cutoust", "a=b"], "did you mean '--cutouts'"),
        (["compose", "OUT", "--format", "jpg"], "--format='jpg' is unknown: did you mean 'jpeg'"),
        (["results"], "required: show|export|verify|compact"),
        (["results", "shw"], "did you mean 'show'"),
        (["theory", "gama_z=1"], "'gama_z' is unknown: did you mean 'gamma_z'"),
        (["theory", "p_w=5"], "required: --mu_w"),
        (["report", "--chek"], "did you mean '--check'"),
        (["cards", "--root", "/nowhere"], "--root=/nowhere holds no data/"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refusal(capsys, *words)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_composed_configuration_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["n_l=77", "--cfg", "job"], ["run", "--cfg", "job", "n_l=77"]):
        composed = OmegaConf.create(printed(capsys, *words))
        assert composed.n_l == 77
        assert composed.experiment_name == "leaderboard"
    assert OmegaConf.create(printed(capsys, "predict", "--cfg", "job")).experiment_name == "predict"


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_a_stop_says_what_is_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def stopped(*_: object) -> int:
        raise KeyboardInterrupt

    module = import_module(f"w2s_groups.cli.{name}")
    if cli.COMMANDS[name].config:
        monkeypatch.setattr(runner, "start", stopped)
    else:
        monkeypatch.setattr(module, "main", stopped)
    words = [name, *filter(None, [cli.COMMANDS[name].word])]
    assert refusal(capsys, *words) == f"stopped; {cli.COMMANDS[name].stopped}"


@pytest.mark.parametrize(
    ("module", "words", "start"),
    [
        ("w2s_groups.gaussian", ["--help"], "usage: w2s-groups theory"),
        ("w2s_groups.reports", ["--help"], "usage: w2s-groups report"),
        ("w2s_groups", ["--version"], f"w2s_groups {__version__}"),
    ],
)
def test_older_names_of_commands_start_them(module: str, words: list[str], start: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *words], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(start)


def test_a_key_of_a_mapping_over_several_lines_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("defaults:\n  - x: y\nn: 1  # a # b\nm:\n  in it: {k: 2}\n# no: key\n")
    keys = help_pages._keys(path, "p.")
    assert keys == [
        help_pages.Key("p.n", "1", "a # b"),
        help_pages.Key("p.m.in it", "{k: 2}", ""),
    ]


def test_an_error_within_a_command_is_no_mistake_of_the_user() -> None:
    with pytest.raises(InputError):
        import_module("w2s_groups.cli.results").main(["shw"])
