"""The command line `w2s-groups`: one table of commands, each imported when it is used."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module

import w2s_groups
from w2s_groups.cli import help_pages
from w2s_groups.cli.errors import status_of
from w2s_groups.cli.help_pages import Command
from w2s_groups.core.errors import InputError

COMMANDS = {
    "run": Command(
        "train teachers and students over a grid; write a leaderboard or a figure",
        "data= experiment= teacher= student= methods= eta_l= eta_u= n_l= n_u= n_seeds=",
        "what was finished is stored: run the same command to go on",
        "config",
        (
            "experiment=suite",
            "data=colored_digits methods='[teacher,w2s,ceiling]' n_seeds=3",
            "--multirun data=birds_mammals,colored_digits n_l=150,300",
        ),
    ),
    "predict": Command(
        "map accuracy and gain over (eta_l, eta_u) before any head is trained",
        "data= teacher= student= n_l= n_u= head= alpha= keep= measure=",
        "reports of finished pairs and all features are kept: run the same command to go on",
        "predict",
        (
            "data=birds_mammals n_l=300 n_u=1000",
            "student=packaged/efficientnet_lite0 eta_l='[0.05,0.2,0.5]'",
            "measure=true n_seeds=5",
        ),
    ),
    "plan": Command(
        "rank what to collect or label next by predicted worst-group accuracy",
        "data= teacher= student= n_l= n_u= eta_l= eta_u= options=",
        "no table was written, and all features are kept: run the same command again",
        "plan",
        (
            "n_l=300 n_u=1000 eta_l=0.05",
            "eta_u=0.2 samples=1024",
            "'options={new: {labelled_minority: 100, unlabelled: 1000}}'",
        ),
    ),
    "features": Command(
        "compute features of every image or text into the cache, on one machine or many",
        "data= backbone= teacher= student= engine= part= batch_size= workers= device=",
        "every shard that was finished is kept: run the same command to go on",
        "features",
        (
            "data=birds_mammals backbone=packaged/squeezenet1_1",
            "data=birds_mammals engine=ray ray.concurrency=2",
            "data=birds_mammals part=1/8",
        ),
    ),
    "draws": Command(
        "export the samples that each cell of a run draws, to train a method elsewhere",
        "export data= experiment= eta_l= eta_u= n_l= n_u= n_seeds= to= format=",
        "a folder without manifest.json is not whole: run the same command again",
        "draws",
        (
            "export data=birds_mammals n_l=300 n_u=1000 n_seeds=3",
            "export experiment=suite",
        ),
        "export",
    ),
    "score": Command(
        "check predictions that were made elsewhere and add them to the results",
        "PREDICTIONS --card --draws --results-dir --check",
        "the method was not added: run the same command again",
    ),
    "compose": Command(
        "paste cut-outs on photographs: a dataset with any minority fraction",
        "OUT --cutouts --coco --backgrounds --train --val --test --counterfactual",
        "no part of the folder was kept",
    ),
    "results": Command(
        "inspect, export, verify, compact and merge stored results",
        "show|export|verify|compact|merge --results-dir --to",
        "every stored cell is whole: run the same command again",
    ),
    "theory": Command(
        "compute the exact gain of the Gaussian group model, its zeros and the best eta_u",
        "p_w= p_s= p_sw= mu_w= mu_s= gamma_z= nu_z= eta_l= eta_u= eta_t= --check",
        "nothing is stored: run the same command again",
    ),
    "report": Command(
        "rebuild the committed reports from their stored results, or check them",
        "--check --root",
        "each file is either the old or the new one: run the same command again",
    ),
    "cards": Command(
        "rebuild tables and Croissant files of the dataset cards, or check them",
        "--check --root",
        "each file is either the old or the new one: run the same command again",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that argv (default: sys.argv[1:]) names, or `run` where it names none.

    Returns the exit status: 2 after one sentence on stderr for a user's mistake, Ctrl-C or SIGTERM,
    141 where nobody reads the output any more.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        return status_of(lambda: _printed(help_pages.overview(COMMANDS)))
    if "--version" in words:
        return status_of(lambda: _printed(f"w2s_groups {w2s_groups.__version__}"))
    name = words.pop(0) if words[0] in COMMANDS else "run"
    return status_of(lambda: _started(name, words), COMMANDS[name].stopped)


def _started(name: str, words: list[str]) -> int:
    """The exit status of a command with the words after its name."""
    command = COMMANDS[name]
    if not command.config:
        return int(import_module(f"{__name__}.{name}").main(words))
    if {"-h", "--help"} & set(words):
        return _printed(help_pages.page(name, command, words))
    if command.word:
        words = _after_word(name, command.word, words)
    if words and "=" not in words[0] and words[0][0] not in "-~+":
        raise _unknown_word(words[0])
    module = import_module(f"{__name__}.{name}")
    from w2s_groups.cli import runner

    job = module.hydra_job if name == "run" else runner.job_of(module.run)
    runner.start(command.config, job, words)
    return 0


def _after_word(name: str, word: str, words: list[str]) -> list[str]:
    """The words after `name word`; InputError where the second is missing."""
    if words[:1] != [word]:
        raise InputError(
            f"`w2s-groups {name}` is followed by {word}: `w2s-groups {name} {word} ...`"
        )
    return words[1:]


def _printed(text: str) -> int:
    print(text)
    return 0


def _unknown_word(word: str) -> InputError:
    """Error for a first word that is neither a command nor key=value, with near matches."""
    if word in COMMANDS:
        return InputError(f"{word!r} is a command of its own: write `w2s-groups {word} ...`")
    spellings = help_pages.spellings() | {name: name for name in COMMANDS}
    near = [spellings[match] for match in difflib.get_close_matches(word, spellings, cutoff=0.5)]
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return InputError(
        f"{word!r} is neither a command nor key=value: {hint}commands: {', '.join(COMMANDS)}; "
        "`w2s-groups --help` describes them"
    )
