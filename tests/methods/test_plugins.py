"""Methods from outside the package: decorated functions, files, and the hash of their source."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from w2s_groups.core.errors import InputError
from w2s_groups.core.plugins import SESSION
from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods import METHODS, code, files
from w2s_groups.methods.base import Draws, Fitted, Method, OneFit
from w2s_groups.methods.plugins import as_method, method

SHARPENED = '''from w2s_groups.methods.plugins import method

@method(needs="teacher", ranges={"temperature": (0.01, 1)})
def sharpened(draws, solved, *, temperature: float = 0.5):
    """Sharpened pseudolabels."""
    power = solved["teacher"].proba(draws.unlabelled) ** (1 / temperature)
    return power / power.sum(axis=1, keepdims=True)
'''
ROWS = np.arange(4)
DRAWS = Draws(ROWS[:2], np.eye(2), ROWS[2:], np.arange(2))
PROBA = np.array([[0.8, 0.2], [0.4, 0.6]])


class Kind(Enum):
    soft = "soft"
    hard = "hard"


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METHODS, "_registered", {})


def answer(kind: Any, **settings: Any) -> Problem:
    steps = kind(l2=0.1, **settings).steps(DRAWS, {"teacher": Fitted(None, lambda rows: PROBA)})  # type: ignore[arg-type]
    with pytest.raises(StopIteration) as stop:
        next(steps)
    problem: Problem = stop.value.value
    return problem


def test_targets_rows_and_weights_become_the_students_problem() -> None:
    @method
    def targets(draws: Draws, solved: Any) -> Any:
        return PROBA

    @method(side="teacher")
    def parts(draws: Draws, solved: Any) -> Any:
        return draws.labelled, draws.y_labelled, np.ones(2)

    one, two = answer(targets), answer(parts)
    assert (one.side, one.l2, one.loss, one.weights) == ("student", 0.1, CrossEntropy(), None)
    np.testing.assert_array_equal(one.rows, DRAWS.unlabelled)
    np.testing.assert_array_equal(one.targets, PROBA)
    assert two.side == "teacher"
    np.testing.assert_array_equal(two.rows, DRAWS.labelled)
    np.testing.assert_array_equal(two.weights, np.ones(2))


def test_a_generator_gets_the_heads_that_it_asks_for() -> None:
    @method(needs=["teacher"])
    def twice(draws: Draws, solved: Any, *, l2: float) -> Any:
        (first,) = yield [Problem("student", draws.unlabelled, PROBA, CrossEntropy(), l2)]
        return first.proba(draws.unlabelled)

    steps = twice(l2=0.3).steps(DRAWS, {})
    assert next(steps)[0].l2 == 0.3
    with pytest.raises(StopIteration) as stop:
        steps.send([Fitted(None, lambda rows: PROBA[::-1])])  # type: ignore[arg-type]
    np.testing.assert_array_equal(stop.value.value.targets, PROBA[::-1])


def test_keyword_arguments_are_the_settings() -> None:
    @method(needs="teacher", sources="A paper", ranges={"keep": (0.0, 1.0)}, colour="#112233")
    def choosy(draws: Draws, solved: Any, *, keep: float = 1, n: int = 3, kind: Kind = Kind.soft,
               word="x", free: float = 2.0) -> Any:  # type: ignore[no-untyped-def]  # fmt: skip
        """What it fits.

        And more.
        """
        return PROBA

    assert (choosy.summary, choosy.needs, choosy.sources) == (
        "What it fits", ("teacher",), ("A paper",),
    )  # fmt: skip
    schema = OmegaConf.structured(choosy)
    assert OmegaConf.is_missing(schema, "l2")
    assert (schema.keep, schema.n, schema.kind, schema.word) == (1.0, 3, Kind.soft, "x")
    for wrong in ({"keep": 2.0}, {"keep": float("nan")}, {"free": float("inf")}):
        with pytest.raises(InputError, match=rf"choosy\.{next(iter(wrong))}="):
            choosy(l2=0.1, **wrong)


def bare(draws: Any, solved: Any) -> Any:
    return PROBA


def of_one(draws: Any) -> Any: ...
def of_any(draws: Any, solved: Any, **more: Any) -> Any: ...
def without(draws: Any, solved: Any, *, keep: float) -> Any: ...
def listed(draws: Any, solved: Any, *, keep: list = []) -> Any: ...  # type: ignore[type-arg]  # noqa: B006
def mixed(draws: Any, solved: Any, *, keep: int = 0.5) -> Any: ...  # type: ignore[assignment]
def fact(draws: Any, solved: Any, *, side: str = "student") -> Any: ...
def untyped(draws: Any, solved: Any, *, keep: Nowhere = 1) -> Any: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "facts", "sentence"),
    [
        (of_one, {}, r"of_one must take \(draws, solved, \*, settings\)"),
        (of_any, {}, r"of_any must take"),
        (without, {}, "setting keep has no default; give it one"),
        (listed, {}, "setting keep has the type list"),
        (mixed, {}, r"default 0\.5 of its setting keep is not of the type int"),
        (untyped, {}, "type 'Nowhere' of its setting keep is unknown"),
        (fact, {}, "side is the name of a fact about methods"),
        (bare, {"sumary": "x"}, "did you mean 'summary'"),
        (bare, {"side": "left"}, "bare: side='left' is unknown"),
        (bare, {"needs_groups": "all"}, "needs_groups='all' is unknown"),
        (bare, {"ranges": {"keep": (0, 1)}}, "setting in ranges='keep' is unknown"),
        (bare, {"name": "two words"}, "'two words' must be letters"),
        (bare, {"colour": "red"}, "colour='red' must be such as #0072B2"),
    ],
)
def test_functions_of_another_form_are_refused(
    function: Callable[..., Any], facts: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        method(**facts)(function)


def test_what_is_not_a_method_is_refused() -> None:
    class Half(Method):
        pass

    class NoFields(OneFit):
        keep: float = 0.5

        def problem(self, draws: Draws, solved: Any) -> Any: ...

    for given, sentence in (
        (bare, "put @w2s.method above it"), (3, "give a Method subclass"),
        (Half, "leaves out steps"), (NoFields, "put @dataclass above"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=sentence):
            as_method(given)
    with pytest.raises(InputError, match="built in as jtt"):
        METHODS.register("mine", METHODS["jtt"])


def session(text: str) -> Any:
    """What a cell of a notebook defines as `mine`."""
    space: dict[str, Any] = {"__name__": "__main__", "method": method, "np": np}
    exec(compile(text, "<cell>", "exec"), space)
    return space["mine"]


CELL = """
K = {k}
def half(x):
    return x / K
@method
def mine(draws, solved, *, power: float = 1.0):
    return [half(np.exp(draws.y_labelled)), UNUSED] if {k} == 0 else half(draws.y_labelled)
UNUSED = object
"""


def test_a_sessions_hash_follows_what_its_function_refers_to() -> None:
    hashes = [code.of(session(text)) for text in (
        CELL.format(k=2), CELL.format(k=2), CELL.format(k=3),
        CELL.format(k=2).replace("x / K", "x * K"),
        CELL.format(k=2).replace("power: float = 1.0", "power: float = 2.0"),
        CELL.format(k=2) + "other = 5\n",
    )]  # fmt: skip
    assert hashes[0] == hashes[1] == hashes[5]
    assert len(set(hashes)) == 4


def test_a_cell_that_runs_again_replaces_its_method() -> None:
    first, second = session(CELL.format(k=2)), session(CELL.format(k=3))
    assert METHODS.add(first) == METHODS.add(second) == "mine"
    assert METHODS["mine"] is second
    assert METHODS.origin("mine") is SESSION
    assert first.code != second.code


def write(folder: Path, text: str = SHARPENED, name: str = "own.py") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_method_in_a_file(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert files.load(f"method/{path}:sharpened") == "sharpened"
    kind = METHODS["sharpened"]
    assert files.load(f"method/{path}:sharpened") == "sharpened"
    assert METHODS["sharpened"] is kind  # run once
    assert kind.code == code.content_hash(path)
    sent = pickle.dumps(kind(l2=0.1))
    del sys.modules[kind.__module__]
    again = pickle.loads(sent)  # as in another process
    assert again.temperature == 0.5
    write(tmp_path, SHARPENED.replace("0.5", "0.25"))
    files.load(f"method/{path}:sharpened")
    assert METHODS["sharpened"](l2=0.1).temperature == 0.25  # type: ignore[attr-defined]
    assert METHODS["sharpened"].code != kind.code


@pytest.mark.parametrize(
    ("text", "spec", "sentence"),
    [
        (SHARPENED, "method/{}", "must name a file and a method in it"),
        (SHARPENED, "method/{}.py:sharpened", "a file that is missing"),
        (SHARPENED, "method/{}:sharpend", "did you mean 'sharpened'"),
        ("x = 1\ndef mine(:\n", "method/{}:mine", "line 2: SyntaxError"),
        ("x = 1\n\nx / 0\n", "method/{}:mine", "line 3: ZeroDivisionError"),
        ("def mine(draws, solved): ...\n", "method/{}:mine", "mine is not a method; put @w2s"),
        ("mine = 3\n", "method/{}:mine", "mine.*is not a method"),
        (SHARPENED.replace("sharpened", "w2s"), "method/{}:w2s", "called w2s: .*itself.*own.py"),
    ],
)
def test_files_that_hold_no_method_are_refused(
    tmp_path: Path, text: str, spec: str, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        files.load(spec.format(write(tmp_path, text)))


def test_two_files_cannot_share_a_name(tmp_path: Path) -> None:
    one, two = write(tmp_path), write(tmp_path, name="other.py")
    files.load(f"method/{one}:sharpened")
    with pytest.raises(InputError, match=r"called sharpened: .*own\.py and one of .*other\.py"):
        files.load(f"method/{two}:sharpened")
