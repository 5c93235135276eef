"""What a configuration that names ntk/NETWORK may not ask for."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_groups.core.errors import InputError
from w2s_groups.finetuning import Tuned
from w2s_groups.kernel.settings import PREFIX, Ntk
from w2s_groups.schema.choices import Precision
from w2s_groups.schema.fields import mapping


def settings(
    ntk: object, networks: Sequence[str], precision: Precision, tuned: Tuned | None
) -> Ntk | None:
    """The settings of gradients, or None where no network's are taken: then nothing depends on
    them. InputError for what gradients do not go together with.
    """
    named = [name for name in networks if name.startswith(PREFIX)]
    if not named:
        return None
    checked: Ntk = mapping("ntk", ntk, Ntk)
    if precision is not Precision.float32:
        raise InputError(
            f"precision={precision.value} would lose small gradients of {named[0]}; set "
            "precision=float32"
        )
    if tuned is not None:
        raise InputError(
            f"finetune={tuned.name} trains networks, and {named[0]} stands for the gradients of "
            f"one at its start; name {named[0].removeprefix(PREFIX)}, or set finetune=none"
        )
    return checked
