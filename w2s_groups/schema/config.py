"""The schema of the whole configuration, and the cells that it stands for.

Numbers live in conf/*.yaml; here are only their types and ranges. A list-valued field is crossed
inside one run, and every cell is validated before the first one runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.design.sampling import Request
from w2s_groups.finetuning import Tuned
from w2s_groups.heads.mlp import MLP
from w2s_groups.heads.problem import Squared
from w2s_groups.methods import METHODS
from w2s_groups.methods.variants import L2, SCALE, Variant, expand, nearest_first
from w2s_groups.results.select import NEEDS_VALIDATION, Rule
from w2s_groups.schema.fields import ORIGINAL, etas, folder_name, names, numbers
from w2s_groups.schema.varied import as_field, checked_values


class ClassBalance(Enum):
    """Class shares of every draw: equal, or those of the dataset's own pool."""

    uniform = "uniform"
    dataset = "dataset"


class HeadKind(Enum):
    """What every head is: logistic or softmax regression, ridge regression in closed form, or a
    network of two layers."""

    logistic = "logistic"
    ridge = "ridge"
    mlp = "mlp"


class Precision(Enum):
    """What a network's products are computed in; all else is float32."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class OnBadImage(Enum):
    """An unreadable image ends the run before training, or is left out of the pool."""

    stop = "stop"
    skip = "skip"


# Fields whose values are crossed inside one run, and which one report may hold several of.
CROSSED = ("teacher", "student", "eta_l", "eta_u", "n_l", "n_u", "seeds")


@dataclass
class Config:
    """One run. eta_l, eta_u, n_l, n_u and seeds take one value or a list and are crossed.

    So do teacher and student: every pair of different networks, whose names data that are features
    already set. n_seeds=3 stands for seeds=[0,1,2] and is None afterwards. eta_l and eta_u may be
    "original", which is eta_o, or that of the data's own train split where eta_o is null. `vary`:
    method -> field -> values, each combination of which is one more method, named such as
    `selective[keep=0.3,q=0.7]`. `trials`: the same, but a rule, `select`, chooses one of them in
    the method's place. A field such as `l2_per_feature` gives l2 as a multiple of the number of
    features.
    """

    experiment_name: str = MISSING
    experiment: Any = None
    data: Any = MISSING
    teacher: Any = MISSING
    student: Any = MISSING
    methods: dict[str, Any] = MISSING
    vary: dict[str, Any] = MISSING
    trials: dict[str, Any] = MISSING
    select: Rule = MISSING
    eta_l: Any = MISSING
    eta_u: Any = MISSING
    n_l: Any = MISSING
    n_u: Any = MISSING
    n_val: int = MISSING
    eta_val: float = MISSING
    seeds: Any = MISSING
    n_seeds: int | None = MISSING
    eta_o: float | None = MISSING
    permute_labels: bool = MISSING
    class_balance: ClassBalance = MISSING
    l2: float = MISSING
    head: HeadKind = MISSING
    l2_path: Any = MISSING
    mlp: MLP = MISSING
    finetune: Any = MISSING
    tol: float = MISSING
    image_size: int | None = MISSING
    batch_size: int = MISSING
    workers: int = MISSING
    threads: int | None = MISSING
    device: str = MISSING
    precision: Precision = MISSING
    on_bad_image: OnBadImage = MISSING
    memory_limit_gb: float = MISSING
    fail_fast: bool = MISSING
    cache_dir: str = MISSING
    results_dir: str = MISSING
    reports_dir: str = MISSING

    def __post_init__(self) -> None:
        folder_name("experiment_name", self.experiment_name)
        if hasattr(self.data, "name"):
            folder_name("data.name", self.data.name)
        if getattr(self.data, "NETWORKS", ()):
            self.teacher, self.student = self.data.NETWORKS
        for name in ("teacher", "student"):
            setattr(self, name, names(name, getattr(self, name)))
        for name in ("eta_l", "eta_u"):
            setattr(self, name, etas(name, getattr(self, name)))
        numbers("eta_val", self.eta_val, float, 0.0, 0.5)
        if self.eta_o is not None:
            numbers("eta_o", self.eta_o, float, 0.0, 0.5)
        numbers("n_val", self.n_val, int, 0, 2**31 - 1)
        if not self.pairs:
            raise InputError(
                f"teacher={self.teacher} and student={self.student} leave no pair of different "
                "networks; name another one"
            )
        if self.n_seeds is not None:
            (n,) = numbers("n_seeds", self.n_seeds, int, 1, 10**6)
            self.seeds, self.n_seeds = list(range(n)), None
        for name, low in (("n_l", 2), ("n_u", 2), ("seeds", 0)):
            setattr(self, name, numbers(name, getattr(self, name), int, low, 2**31 - 1))
        numbers("l2", self.l2, float, 1e-12, 1e6)
        self.l2_path = numbers("l2_path", self.l2_path, float, 1e-12, 1e6) if self.l2_path else []
        self._check_head()
        numbers("tol", self.tol, float, 1e-12, 1e-1)
        if self.image_size is not None:
            numbers("image_size", self.image_size, int, 32, 4096)
        numbers("batch_size", self.batch_size, int, 1, 65536)
        numbers("workers", self.workers, int, 0, 256)
        if self.threads is not None:
            numbers("threads", self.threads, int, 1, 4096)
        numbers("memory_limit_gb", self.memory_limit_gb, float, 0.05, 65536)
        if not self.methods:
            raise InputError("methods is empty: name at least methods=[teacher]")
        listed = bool(self.trials)
        self._check_variants()
        if self.select.value in NEEDS_VALIDATION and not self.n_val:
            raise InputError(
                f"select={self.select.value} chooses on a validation set, and n_val=0; set n_val, "
                "or select=labelled, which needs none"
            )
        if self.select is not Rule.fixed and not self.variants:
            remedy = "set trials=twelve, or list values in vary"
            raise InputError(
                f"select={self.select.value} has nothing to choose from: no method of "
                f"methods=[{','.join(self.methods)}] has trials; "
                + ("set select=fixed" if listed else remedy)
            )
        if self.permute_labels and self.n_val:
            raise InputError("permute_labels=true has no use for validation images: set n_val=0")
        for name, method in self.methods.items():
            missing = [need for need in method.needs if need not in self.methods]
            if missing:
                raise InputError(
                    f"methods: {name} builds on {' and '.join(missing)}, which is not listed; "
                    f"add it: methods=[{','.join([*missing, *self.methods])}]"
                )
        if "teacher" not in self.methods:
            raise InputError(
                "methods: every gain is measured against the teacher, which is not listed; "
                f"add it: methods=[{','.join(['teacher', *self.methods])}]"
            )

    def _check_head(self) -> None:
        if self.head is not HeadKind.ridge and self.l2_path:
            raise InputError(
                f"l2_path={self.l2_path}: leave-one-out is in closed form for head=ridge alone; "
                "set head=ridge or drop l2_path"
            )
        if self.head is HeadKind.ridge:
            self._refuse_methods("ridge", "head=ridge")
        if self.head is HeadKind.mlp:
            self._refuse_methods("mlp", "head=mlp")
        if self.tuned:
            self._check_finetune()

    @property
    def tuned(self) -> Tuned | None:
        """How networks are trained with their heads; None for features as they come."""
        return self.finetune if isinstance(self.finetune, Tuned) else None

    def _check_finetune(self) -> None:
        how = f"finetune={self.finetune.name}"
        if self.head is HeadKind.ridge:
            raise InputError(
                f"{how} needs a loss of probabilities, and head=ridge has none; set head=logistic"
            )
        if self.precision is Precision.float16:
            raise InputError(
                f"{how} with precision=float16 would lose small gradients; set precision=bfloat16 "
                "or float32"
            )
        for side in ("teacher", "student"):
            for name in getattr(self, side):
                if name.startswith("file/"):
                    raise InputError(
                        f"{how} needs networks, and {side}={name} is a file of features; name a "
                        "network, or set finetune=none"
                    )
        self._refuse_methods("finetune", how)

    def _refuse_methods(self, kind: str, setting: str) -> None:
        """InputError for methods that `kind` of head or training does not fit, with the reasons."""
        unfit = {
            name: method.unsupported[kind]
            for name, method in self.methods.items()
            if kind in method.unsupported
        }
        if unfit:
            reasons = "; ".join(f"{name} {reason}" for name, reason in unfit.items())
            rest = ",".join(name for name in self.methods if name not in unfit)
            raise InputError(
                f"methods={' and '.join(unfit)} cannot be fitted with {setting} ({reasons}); "
                f"leave out: methods=[{rest}]"
            )

    def _check_variants(self) -> None:
        """Values of `vary` and `trials` checked and made what their fields hold."""
        unknown = next((name for name in self.trials if name not in METHODS), None)
        if unknown is not None:
            raise unknown_name("trials", unknown, METHODS)
        # Trials are listed for every method, a run has some of them.
        self.trials = {name: asked for name, asked in self.trials.items() if name in self.methods}
        for where, asked in (("vary", self.vary), ("trials", self.trials)):
            for name, varied in asked.items():
                if name not in self.methods:
                    raise unknown_name(where, name, self.methods)
                for key, values in varied.items():
                    owner = f"{where}.{name}.{key}"
                    varied[key] = checked_values(owner, values, key, self.methods[name])
        both = sorted(set(self.vary) & set(self.trials))
        if both:
            raise InputError(
                f"vary.{both[0]} and trials.{both[0]} both list settings of {both[0]}; drop "
                f"vary.{both[0]}, or set trials=none"
            )
        fields_varied = {key for variant in self.variants for key in variant.settings}
        if self.l2_path and fields_varied & {"l2", L2}:
            raise InputError(
                f"l2_path={self.l2_path} picks each head's l2, and vary or trials lists it too; "
                "drop one of them"
            )
        if self.trials:
            self._check_equal()
        self.resolved({"teacher": 1, "student": 1})  # every setting in its range
        self.built_on()

    def _check_equal(self) -> None:
        """InputError unless every ranked method has the same number of trials."""
        counts = {
            name: len(expand({name: self.trials.get(name, {})}, trial=True))
            for name, method in self.methods.items()
            if not method.reference
        }
        if len(set(counts.values())) > 1:
            fewest, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
            raise InputError(
                f"trials gives {most} {counts[most]} settings and {fewest} {counts[fewest]}: "
                f"every ranked method needs as many; list as many in trials.{fewest} (as "
                "conf/trials/ does), or set trials=none and select=fixed"
            )

    @property
    def variants(self) -> list[Variant]:
        """Every combination of the values of `vary` and of `trials`."""
        return [*expand(self.vary, trial=False), *expand(self.trials, trial=True)]

    def resolved(self, widths: Mapping[str, int]) -> dict[str, Any]:
        """The methods and their variants by name. widths: side -> features that vary."""
        found = dict(self.methods)
        for variant in self.variants:
            method = self.methods[variant.base]
            values = variant.resolved(widths[method.side])
            found[variant.name] = replace(
                method, **{key: as_field(getattr(method, key), v) for key, v in values.items()}
            )
        return found

    def built_on(self) -> dict[str, dict[str, str]]:
        """Variant -> method that it needs -> what it builds on in that one's place.

        A trial is a whole recipe with one l2: it builds on the trial of the same l2 of what it
        needs. What has no trials, such as the teacher, is built on as it is.
        """
        found: dict[str, dict[str, str]] = {}
        for variant in self.variants:
            own: dict[str, str] = {}
            whole = variant.trial and L2 in variant.settings
            needs = self.methods[variant.base].needs if whole else ()
            for need in (need for need in needs if need in self.trials):
                alike = [
                    other
                    for other in expand({need: self.trials[need]}, trial=True)
                    if other.settings.get(L2) == variant.settings[L2]
                ]
                if not alike:
                    raise InputError(
                        f"trials.{variant.base}.{L2}={variant.settings[L2]} builds on {need} "
                        f"at that l2, which trials.{need} lacks; add the value there"
                    )
                published = plain(self.methods[need])
                own[need] = nearest_first(alike, published, round(1 / SCALE))[0].name
            found[variant.name] = own
        return found

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(teacher, student) in order; a network is its own student only where it stands alone."""
        alone = len(self.teacher) == len(self.student) == 1
        return [(t, s) for t in self.teacher for s in self.student if alone or t != s]

    @property
    def ridge(self) -> Squared | None:
        """The loss of ridge heads; None for logistic ones."""
        return Squared(tuple(self.l2_path)) if self.head is HeadKind.ridge else None


@dataclass(frozen=True)
class Cell:
    """One point of the grid: a draw and its seed."""

    request: Request
    seed: int


def cells(config: Config, original: float) -> list[Cell]:
    """The cross product of the list-valued fields, seeds outermost so that blocks share draws.

    original: the minority fraction that "original" stands for. Raises InputError where that
    repeats another value.
    """
    eta_l, eta_u = (
        numbers(
            name, [original if v == ORIGINAL else v for v in getattr(config, name)], float, 0.0, 0.5
        )
        for name in ("eta_l", "eta_u")
    )
    eta_val = config.eta_val if config.n_val else 0.5  # of no meaning then, nor in a cell's key
    return [
        Cell(Request(n_l, n_u, at_l, at_u, config.n_val, eta_val), seed)
        for seed, n_l, n_u, at_l, at_u in itertools.product(
            config.seeds, config.n_l, config.n_u, eta_l, eta_u
        )
    ]


def plain(value: Any) -> Any:
    """Dataclasses, enums and paths as what JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
