"""What a run on a numeric target can't have, in one sentence before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from w2s_groups.core.errors import InputError
from w2s_groups.results.select import Rule
from w2s_groups.schema.choices import HeadKind, Task
from w2s_groups.schema.splits import Crossed

SET = f"task={Task.regression.value}"


def check(head: HeadKind, trials: Mapping[str, Any], select: Rule, splits: Any) -> None:
    """InputError for heads of class probabilities, and for what reads decisions of them."""
    if head is not HeadKind.ridge:
        raise InputError(
            f"{SET} needs heads of squared loss, and those of head={head.value} have a loss of "
            "class probabilities; set head=ridge"
        )
    if trials or select is not Rule.fixed:
        raise InputError(
            f"{SET}: trials and select={select.value} choose by accuracy, which a numeric target "
            "has not; set trials=none and select=fixed, and list candidates in l2_path, from "
            "which leave-one-out picks each head's l2"
        )
    if isinstance(splits, Crossed):
        raise InputError(
            f"{SET}: splits=crossed counts the rows of each identity that are right, which numbers "
            "are not; set splits=given or splits=random"
        )


def refuse(task: Task, command: str) -> None:
    """InputError where a command that predicts accuracies is asked about a numeric target."""
    if task is Task.regression:
        raise InputError(
            f"{SET}: {command} is about accuracies of classes; set task=classification"
        )
