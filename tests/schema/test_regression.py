"""What a run on a numeric target is refused, each in one sentence with its remedy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from w2s_groups.core.errors import InputError
from w2s_groups.schema.config import Config

Load = Callable[..., Config]
RIDGE = ("data=gaussian", "task=regression", "head=ridge")


def test_heads_of_squared_loss_and_methods_that_need_no_classes_are_accepted(load: Load) -> None:
    own = "methods=[teacher,w2s,combined,self_distilled,baseline,dfr,ceiling]"
    cfg = load(*RIDGE, own, "l2_path=[1e-3,1e-1]")
    assert cfg.ridge is not None
    assert load("data=gaussian").task.value == "classification"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("head=logistic",), "head=logistic have a loss of class probabilities; set head=ridge"),
        (("head=mlp",), "head=mlp have a loss of class probabilities; set head=ridge"),
        (("methods=[teacher,w2s,hard]",), r"hard takes decisions between classes\); leave out"),
        (("methods=[teacher,w2s,selective]",), r"methods=selective .* leave out: methods=\[teach"),
        (("methods=[teacher,w2s,group_dro]",), "group_dro is defined for cross-entropy"),
        (("methods=[teacher,w2s]", "select=labelled"), "choose by accuracy, .* set trials=none"),
        (("methods=[teacher,w2s]", "splits=crossed", "n_seeds=9"), "set splits=given or splits=r"),
        (("methods=[teacher,w2s]", "trials=twelve", "select=labelled"), "list candidates in l2_p"),
    ],
)  # fmt: skip
def test_what_needs_classes_is_refused(
    load: Load, overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load(*RIDGE, *overrides)


@pytest.mark.parametrize("command", ["predict", "plan"])
def test_accuracies_are_not_predicted_of_numbers(load: Load, command: str) -> None:
    with pytest.raises(InputError, match=f"{command} is about accuracies of classes; set task="):
        load(*RIDGE, of=command)
