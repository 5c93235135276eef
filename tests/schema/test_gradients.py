"""What a configuration that names ntk/NETWORK may ask for, and what others keep."""

from __future__ import annotations

from typing import Any

import pytest

from w2s_groups.core.errors import InputError
from w2s_groups.core.roles import plain
from w2s_groups.interface.compose import configuration
from w2s_groups.kernel.settings import Ntk

NETWORKS = {"teacher": "ntk/packaged/squeezenet1_1", "student": "packaged/efficientnet_lite0"}


def test_settings_are_those_of_the_configuration() -> None:
    cfg = configuration({**NETWORKS, "ntk.k": 100, "ntk.scale": "cosine"})
    assert isinstance(cfg.ntk, Ntk)
    assert plain(cfg)["ntk"] == {
        "k": 100, "heads": 4, "head": "random", "parameters": "all", "scale": "cosine", "seed": 0,
    }  # fmt: skip


def test_nothing_depends_on_them_where_no_gradients_are_taken() -> None:
    cfg = configuration({"ntk.k": 100})
    assert cfg.ntk is None
    assert "ntk" not in plain(cfg)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"precision": "bfloat16"},
            "precision=bfloat16 would lose small gradients of ntk/packaged/",
        ),
        (
            {"finetune": "full"},
            "finetune=full trains networks, and ntk/packaged/squeezenet1_1 stand",
        ),
        ({"ntk": None}, "ntk=null must be a mapping; set its keys one by one, such as ntk.KEY="),
        ({"ntk.k": 0}, r"ntk.k=0 is outside \[1, 131072\]"),
    ],
)
def test_what_gradients_do_not_go_together_with_is_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        configuration({**NETWORKS, **settings})
