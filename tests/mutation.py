"""Mutants: one operator, constant, field or check of a file changed at a time; do its tests notice?

    python tests/mutation.py                    # a sample of every file that mutation.yaml lists
    python tests/mutation.py stats --each 1000  # every mutant of files with this in their path

Each mutant runs in a copy of the checkout, against the tests that mutation.yaml names for its file,
until the first failure. mutation.yaml also lists survivors that no test can or should notice, each
with the reason. Exit status 1 where fewer than 95 % of the others are noticed.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
LEAST = 0.95
# Libraries that tests import, loaded once: each mutant runs in a fork of this process.
LIBRARIES = (
    "torch", "pandas", "pyarrow.parquet", "pyarrow.csv", "scipy.stats", "scipy.optimize",
    "matplotlib.pyplot", "pytest", "torchvision",
)  # fmt: skip
COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
COMPUTED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Mod: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.MatMult: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
Put = tuple[Any, "str | int", Any]
"""A node or list, the field or index in it, and what to put there."""
Edit = tuple[ast.AST, list[Put]]
"""What to show of a change, before and after it, and the change."""


@dataclass(frozen=True)
class Mutant:
    """file: relative to ROOT. code: of its line. text: of the whole file."""

    file: str
    line: int
    code: str
    change: str
    text: str


def edits(node: ast.AST) -> Iterator[Edit]:
    """Changes within one node."""
    match node:
        case ast.Compare(ops=ops):
            yield from ((node, [(ops, k, COMPARED[type(op)]())]) for k, op in enumerate(ops))
        case ast.BinOp(op=op) | ast.BoolOp(op=op) | ast.AugAssign(op=op) if type(op) in COMPUTED:
            yield node, [(node, "op", COMPUTED[type(op)]())]
        case ast.Constant(value=bool(value)):
            yield node, [(node, "value", not value)]
        case ast.Constant(value=int(value) | float(value)):
            yield node, [(node, "value", value + 1)]
        case ast.If(body=[ast.Raise()]):
            yield node.test, [(node, "test", ast.Constant(False))]
        case ast.Dict(keys=keys, values=values) if len(keys) > 1:
            for k in range(len(keys)):
                kept = [(node, "keys", keys[:k] + keys[k + 1 :]),
                        (node, "values", values[:k] + values[k + 1 :])]  # fmt: skip
                yield keys[k] or values[k], kept
        case ast.comprehension(ifs=[_, *_]):
            yield node, [(node, "ifs", [])]
        case ast.Call(keywords=keywords):
            for k, given in enumerate(keywords):
                if isinstance(given.value, ast.Constant) and isinstance(given.value.value, str):
                    yield node, [(node, "keywords", keywords[:k] + keywords[k + 1 :])]
    for name in ("test", "operand", "value"):
        child = getattr(node, name, None)
        if isinstance(child, ast.UnaryOp) and isinstance(child.op, ast.Not | ast.USub):
            yield child, [(node, name, child.operand)]
        elif name == "test" and isinstance(child, ast.Name | ast.Attribute | ast.Call):
            yield child, [(node, name, ast.UnaryOp(ast.Not(), child))]
    for body in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
        for k, statement in enumerate(body if isinstance(body, list) else ()):
            called = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(called, ast.Call) and not skipped(called):
                yield statement, [(body, k, ast.Pass())]


def skipped(node: ast.AST) -> bool:
    """What no test is to notice: words of a refusal or of the log, and types."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert):
        return True
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Attribute) and ast.unparse(called.value) in ("log", "logging")


def sites(node: ast.AST, line: int = 0) -> Iterator[tuple[int, Edit]]:
    """Line and change of each mutant below a node."""
    line = getattr(node, "lineno", line)
    for edit in edits(node):
        yield getattr(edit[0], "lineno", line), edit
    for name, child in ast.iter_fields(node):
        if name not in ("annotation", "returns", "decorator_list"):
            for one in child if isinstance(child, list) else [child]:
                if isinstance(one, ast.AST) and not skipped(one):
                    yield from sites(one, line)


def put(changes: list[Put]) -> list[Put]:
    """Make the changes; returns those that undo them."""
    undo = []
    for owner, key, new in changes:
        if isinstance(key, str):
            undo.append((owner, key, getattr(owner, key)))
            setattr(owner, key, new)
        else:
            undo.append((owner, key, owner[key]))
            owner[key] = new
    return undo


def mutants_of(file: str) -> list[Mutant]:
    """Every mutant of a file."""
    source = (ROOT / file).read_text(encoding="utf-8")
    tree, lines, found = ast.parse(source), source.splitlines(), []
    for line, (shown, changes) in list(sites(tree)):
        before = " ".join(ast.unparse(shown).split())
        undo = put(changes)
        text, after = ast.unparse(ast.fix_missing_locations(tree)), ast.unparse(shown)
        after = " ".join(after.split())
        if after == before:  # it went, or something else stands there
            new = changes[0][2]
            after = ast.unparse(new) if isinstance(new, ast.AST) else "nothing"
        put(undo)
        found.append(Mutant(file, line, lines[line - 1].strip(), f"{before} -> {after}", text))
    return found


class Copies:
    """Copies of the checkout, one for each mutant that runs at the same time."""

    def __init__(self, n: int, work: Path) -> None:
        names = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
        self.free = [work / str(k) for k in range(n)]
        for copy in self.free:
            for name in names:
                if (ROOT / name).is_file():
                    (copy / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, copy / name)


def started(copy: Path, tests: list[str]) -> int:
    """Process that runs tests in a copy; its exit status is pytest's."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    os.chdir(copy)
    nowhere = os.open(str(copy / "last.log"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.environ["PYTHONPATH"] = str(copy)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.path.insert(0, str(copy))
    sys.dont_write_bytecode = True
    status = 99
    try:
        import pytest

        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", f"--rootdir={copy}"]
        status = int(pytest.main([*options, *tests]))
    except BaseException:
        traceback.print_exc(file=sys.stdout)
    finally:
        sys.stdout.flush()
        os._exit(status)


def ended(child: int, limit: float) -> int | None:
    """Its status if it is done or past its time, else None; a status of 98 is a time-out."""
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        return os.waitstatus_to_exitcode(status)
    if time.monotonic() < limit:
        return None
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 98


def run(chosen: list[Mutant], tests: dict[str, list[str]], jobs: int) -> list[Mutant]:
    """The mutants that no test noticed."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as work:
        copies = Copies(jobs, Path(work))
        seconds = {}
        for file in dict.fromkeys(mutant.file for mutant in chosen):
            begun = time.monotonic()
            child = started(copies.free[0], tests[file])
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if status:
                raise SystemExit((copies.free[0] / "last.log").read_text()[-2000:])
            seconds[file] = time.monotonic() - begun
            print(f"{file}: its tests take {seconds[file]:.0f} s", flush=True)
        running: dict[int, tuple[Mutant, Path, float]] = {}
        waiting, survivors = list(chosen), []
        while waiting or running:
            while waiting and copies.free:
                mutant, copy = waiting.pop(0), copies.free.pop()
                (copy / mutant.file).write_text(mutant.text, encoding="utf-8")
                limit = time.monotonic() + 10 + 5 * seconds[mutant.file]
                running[started(copy, tests[mutant.file])] = mutant, copy, limit
            for child, (mutant, copy, limit) in list(running.items()):
                status = ended(child, limit)
                if status is None:
                    continue
                del running[child]
                if status == 0:
                    survivors.append(mutant)
                    print(f"survived: {told(mutant)}", flush=True)
                shutil.copy2(ROOT / mutant.file, copy / mutant.file)
                copies.free.append(copy)
            time.sleep(0.02)
        return survivors


def told(mutant: Mutant) -> str:
    return f"{mutant.file}:{mutant.line} `{mutant.code}`: {mutant.change}"


def main() -> int:
    """Run, and print a line a file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", help="of the paths of files; none: all files")
    parser.add_argument("--each", type=int, default=25, help="mutants of a file at most (25)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at the same time")
    options = parser.parse_args()
    for name in LIBRARIES:
        importlib.import_module(name)
    settings = yaml.safe_load((ROOT / "tests/mutation.yaml").read_text(encoding="utf-8"))
    known = {(one["file"], one["code"], one["change"]) for one in settings["survivors"]}
    chosen: list[Mutant] = []
    for file in settings["tests"]:
        if not options.parts or any(part in file for part in options.parts):
            every = mutants_of(file)
            rng = random.Random(f"{options.seed}/{file}")
            picked = rng.sample(range(len(every)), min(options.each, len(every)))
            chosen += [every[k] for k in sorted(picked)]
    begun = time.monotonic()
    survivors = run(chosen, settings["tests"], options.jobs)
    new = [one for one in survivors if (one.file, one.code, one.change) not in known]
    for file in dict.fromkeys(mutant.file for mutant in chosen):
        n = sum(mutant.file == file for mutant in chosen)
        alive, unknown = (sum(one.file == file for one in found) for found in (survivors, new))
        print(f"{file}: {n - alive} of {n} noticed, {alive - unknown} known survivors")
    counted = len(chosen) - len(survivors) + len(new)
    share = (counted - len(new)) / max(counted, 1)
    print(
        f"{counted - len(new)} of {counted} noticed ({100 * share:.1f} %) and "
        f"{len(survivors) - len(new)} known survivors; {time.monotonic() - begun:.0f} s"
    )
    return int(share < LEAST)


if __name__ == "__main__":
    raise SystemExit(main())
