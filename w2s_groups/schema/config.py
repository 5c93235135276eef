"""The schema of the whole configuration.

Numbers live in conf/*.yaml; here are only their types and ranges. Each field has a role
(core.roles), from which follow the keys of cells, the settings of reports and what is crossed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_path
from w2s_groups.core.roles import Role, role
from w2s_groups.core.roles import names as fields_of
from w2s_groups.data.base import DatasetConfig
from w2s_groups.finetuning import Frozen, Tuned
from w2s_groups.heads.problem import Squared
from w2s_groups.kernel.settings import Ntk
from w2s_groups.methods.base import Method
from w2s_groups.methods.variants import L2, Variant
from w2s_groups.results.select import NEEDS_VALIDATION, Rule
from w2s_groups.schema import gradients, regression, varied
from w2s_groups.schema.choices import ClassBalance, HeadKind, OnBadImage, Precision, Task, Verify
from w2s_groups.schema.fields import etas, folder_name, mapping, names, numbers
from w2s_groups.schema.mlp import MLP
from w2s_groups.schema.splits import Given, Several

# Range of each number that is one value.
_RANGES: tuple[tuple[str, type, float, float], ...] = (
    ("eta_val", float, 0.0, 0.5),
    ("eta_o", float, 0.0, 0.5),
    ("n_val", int, 0, 2**31 - 1),
    ("l2", float, 1e-12, 1e6),
    ("tol", float, 1e-12, 1e-1),
    ("image_size", int, 32, 4096),
    ("batch_size", int, 1, 65536),
    ("workers", int, 0, 256),
    ("threads", int, 1, 4096),
    ("memory_limit_gb", float, 0.05, 65536),
)


@dataclass
class Config:
    """One run. eta_l, eta_u, n_l, n_u and seeds take one value or a list and are crossed.

    So do teacher and student: every pair of different networks, whose names data that are features
    already set. n_seeds=3 stands for seeds=[0,1,2] and is None afterwards. eta_l and eta_u may be
    "original", which is eta_o, or that of the data's own train split where eta_o is null. `vary`:
    method -> field -> values, each combination of which is one more method, named such as
    `selective[keep=0.3,q=0.7]`. `trials`: the same, but a rule, `select`, chooses one of them in
    the method's place. ntk: settings of the networks ntk/NAME, None afterwards where there is none.
    A field such as `l2_per_feature` gives l2 as a multiple of the number of
    features.
    """

    experiment_name: str = role(Role.report)
    experiment: Any = role(Role.theory, None)
    data: Any = role(Role.features)
    teacher: Any = role(Role.network)
    student: Any = role(Role.network)
    methods: dict[str, Any] = role(Role.fit)
    vary: dict[str, Any] = role(Role.fit)
    trials: dict[str, Any] = role(Role.fit)
    select: Rule = role(Role.report)
    eta_l: Any = role(Role.grid)
    eta_u: Any = role(Role.grid)
    n_l: Any = role(Role.grid)
    n_u: Any = role(Role.grid)
    n_val: int = role(Role.fit)
    eta_val: float = role(Role.fit)
    seeds: Any = role(Role.grid)
    n_seeds: int | None = role(Role.shorthand)
    eta_o: float | None = role(Role.fit)
    permute_labels: bool = role(Role.fit)
    class_balance: ClassBalance = role(Role.fit)
    l2: float = role(Role.fit)
    task: Task = role(Role.fit, unused=Task.classification)
    head: HeadKind = role(Role.fit)
    l2_path: Any = role(Role.fit)
    mlp: MLP = role(Role.fit)
    finetune: Any = role(Role.fit)
    splits: Any = role(Role.fit)
    tol: float = role(Role.fit)
    image_size: int | None = role(Role.features)
    ntk: Ntk | None = role(Role.features, unused=None)
    batch_size: int = role(Role.machine)
    workers: int = role(Role.machine)
    threads: int | None = role(Role.machine)
    device: str = role(Role.machine)
    precision: Precision = role(Role.features)
    on_bad_image: OnBadImage = role(Role.conduct)
    verify: Verify = role(Role.machine)
    memory_limit_gb: float = role(Role.machine)
    fail_fast: bool = role(Role.conduct)
    store_outputs: bool = role(Role.outputs)
    dimensions: bool = role(Role.conduct)
    cache_dir: str = role(Role.place)
    results_dir: str = role(Role.place)
    reports_dir: str = role(Role.place)

    def __post_init__(self) -> None:
        self._check_kinds()
        self._check_names()
        self._check_grid()
        for name, kind, low, high in _RANGES:
            if getattr(self, name) is not None:
                numbers(name, getattr(self, name), kind, low, high)
        self.l2_path = numbers("l2_path", self.l2_path, float, 1e-12, 1e6) if self.l2_path else []
        self._check_head()
        networks = [*self.teacher, *self.student]
        self.ntk = gradients.settings(self.ntk, networks, self.precision, self.tuned)
        if self.tuned:
            self._check_finetune()
        if not self.methods:
            raise InputError("methods is empty: name at least methods=[teacher]")
        listed = bool(self.trials)
        self._check_variants()
        self._check_select(listed)
        if self.permute_labels and self.n_val:
            raise InputError("permute_labels=true has no use for validation images: set n_val=0")
        self._check_needs()

    def _check_kinds(self) -> None:
        """InputError for a value, as of methods.w2s=1, in the place of a group of settings."""
        for name, method in self.methods.items():
            mapping(f"methods.{name}", method, Method)
        for owner in ("vary", "trials"):
            for name, listed in mapping(owner, getattr(self, owner), dict).items():
                mapping(f"{owner}.{name}", listed, dict)
        for owner, kind in (
            ("data", DatasetConfig),
            ("finetune", (Frozen, Tuned)),
            ("splits", (Given, Several)),
        ):
            mapping(owner, getattr(self, owner), kind)

    def _check_names(self) -> None:
        folder_name("experiment_name", self.experiment_name)
        for name in fields_of(Config, Role.place):
            check_path(name, getattr(self, name))
        if hasattr(self.data, "name"):
            folder_name("data.name", self.data.name)
        if getattr(self.data, "networks", ()):
            self.teacher, self.student = self.data.networks
        for name in ("teacher", "student"):
            setattr(self, name, names(name, getattr(self, name)))
        if not self.pairs:
            raise InputError(
                f"teacher={self.teacher} and student={self.student} leave no pair of different "
                "networks; name another one"
            )

    def _check_grid(self) -> None:
        """The values that are crossed, as lists."""
        for name in ("eta_l", "eta_u"):
            setattr(self, name, etas(name, getattr(self, name)))
        if self.n_seeds is not None:
            (n,) = numbers("n_seeds", self.n_seeds, int, 1, 10**6)
            self.seeds, self.n_seeds = list(range(n)), None
        for name, low in (("n_l", 2), ("n_u", 2), ("seeds", 0)):
            setattr(self, name, numbers(name, getattr(self, name), int, low, 2**31 - 1))
        if self.several is not None:
            self.several.runs(self.seeds)

    def _check_head(self) -> None:
        if self.task is Task.regression:
            regression.check(self.head, self.trials, self.select, self.splits)
            self._refuse_methods("regression", "task=regression")
        if self.head is not HeadKind.ridge and self.l2_path:
            raise InputError(
                f"l2_path={self.l2_path}: leave-one-out is in closed form for head=ridge only; "
                "set head=ridge or drop l2_path"
            )
        if self.head is HeadKind.ridge:
            self._refuse_methods("ridge", "head=ridge")
        if self.head is HeadKind.mlp:
            self._refuse_methods("mlp", "head=mlp")

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
        self.trials = varied.checked(self.methods, self.vary, self.trials)
        listed = {key for variant in self.variants for key in variant.settings}
        if self.l2_path and listed & {"l2", L2}:
            raise InputError(
                f"l2_path={self.l2_path} picks each head's l2, and vary or trials lists it too; "
                "drop one of them"
            )
        if self.trials:
            varied.check_equal(self.methods, self.trials)
        self.resolved({"teacher": 1, "student": 1})  # every setting in its range
        self.built_on()

    def _check_select(self, listed: bool) -> None:
        """listed: whether any method has trials, of this run or not."""
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

    def _check_needs(self) -> None:
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

    @property
    def tuned(self) -> Tuned | None:
        """How networks are trained with their heads; None for features as they come."""
        return self.finetune if isinstance(self.finetune, Tuned) else None

    @property
    def several(self) -> Several | None:
        """How pool and test are split several times; None for the split of the data."""
        return self.splits if isinstance(self.splits, Several) else None

    @property
    def variants(self) -> list[Variant]:
        """Every combination of the values of `vary` and of `trials`."""
        return varied.variants(self.vary, self.trials)

    def resolved(self, widths: Mapping[str, int]) -> dict[str, Any]:
        """The methods and their variants by name. widths: side -> features that vary."""
        return varied.resolved(self.methods, self.variants, widths)

    def built_on(self) -> dict[str, dict[str, str]]:
        """Variant -> method that it needs -> what it builds on in that one's place."""
        return varied.built_on(self.methods, self.trials, self.variants)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(teacher, student) in order; a network is its own student only if it is the only one."""
        one = len(self.teacher) == len(self.student) == 1
        return [(t, s) for t in self.teacher for s in self.student if one or t != s]

    @property
    def ridge(self) -> Squared | None:
        """The loss of ridge heads; None for logistic ones."""
        return Squared(tuple(self.l2_path)) if self.head is HeadKind.ridge else None
