"""Fine-tuning: none, LoRA, all weights, near where they start, in a subspace. Name -> settings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.core.roles import Role, role
from w2s_groups.methods.base import check_range


@dataclass
class Frozen:
    """Networks as they come: heads are fitted on their features."""

    name: str = MISSING


@dataclass
class Tuned:
    """Settings of every way. epochs, batch_size, lr: as in heads.training.Schedule.

    checkpoint_minutes: how often a fit is saved on its way; plays no part in its result. scale: α
    of the output f(x|θ0) + α (f(x|θ) − f(x|θ0)), under the loss over α² (finetuning.displaced): 1
    is plain training, a large α linearised training. diagnostics: how often a fit is measured on
    its way (finetuning.laziness); 0: never. Source of scale: Chizat, Oyallon and Bach, On Lazy
    Training in Differentiable Programming, NeurIPS 2019, section 1.2.
    """

    name: str = MISSING
    epochs: int = MISSING
    batch_size: int = MISSING
    lr: float = MISSING
    checkpoint_minutes: float = role(Role.machine)
    scale: float = role(Role.fit, 1.0, unused=1.0)
    diagnostics: int = role(Role.fit, 0, unused=0)

    def __post_init__(self) -> None:
        check_range(self, "epochs", 1, 100_000)
        check_range(self, "batch_size", 1, 65536)
        check_range(self, "lr", 0.0, self.highest_lr)
        check_range(self, "checkpoint_minutes", 0.0, 1e6)
        # In float32 the difference of two outputs has an error of about 1e-6, times the scale.
        check_range(self, "scale", 1e-3, 1e4)
        check_range(self, "diagnostics", 0, 1000)

    @property
    def highest_lr(self) -> float:
        """The end of lr's range."""
        return 1.0


@dataclass
class Full(Tuned):
    """Every weight of the network is trained."""


@dataclass
class Lora(Tuned):
    """Only low-rank additions to its linear and convolution layers are trained.

    rank: of each addition; alpha: it is scaled by alpha / rank. Source: Hu et al., LoRA: Low-Rank
    Adaptation of Large Language Models, ICLR 2022, section 4.1.
    """

    rank: int = MISSING
    alpha: float = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "rank", 1, 65536)
        check_range(self, "alpha", 1e-6, 1e6)


@dataclass
class Anchored(Full):
    """Every weight is trained, and held near where it starts.

    anchor: λ of the penalty (λ/2) ‖θ − θ0‖² over the network's weights; the head has l2. Source:
    Li, Grandvalet and Davoine, Explicit Inductive Bias for Transfer Learning, ICML 2018, eq. 2.
    """

    anchor: float = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "anchor", 0.0, 1e6)


class HeadPlace(Enum):
    """Whether the head's weights are among those that a subspace moves."""

    inside = "inside"
    outside = "outside"


@dataclass
class Subspace(Tuned):
    """θ = θ0 + P z: d numbers z are trained, and P embeds them into all D weights at random.

    lr: c of the learning rate c / √d, which moves θ by about c a step for every d. search: lr / 3,
    lr and 3 lr are tried first on four fifths of a fit's rows, and the one of the lowest loss on
    the rest is taken. head: inside, a head of zeros at θ0 that z moves too; outside, the head on
    frozen features, whose weights are trained themselves; there d = 0 is that head, not trained.
    Source: Li et al., Measuring the Intrinsic Dimension of Objective Landscapes, ICLR 2018, eq. 2.
    """

    d: int = MISSING
    head: HeadPlace = HeadPlace.inside
    search: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "d", 0, 2**31 - 1)
        if self.d == 0 and self.head is HeadPlace.inside:
            raise InputError(
                "finetune.d=0 with finetune.head=inside would leave a head of zeros; set "
                "finetune.head=outside, where it is the head on frozen features, or d=1 or more"
            )

    @property
    def highest_lr(self) -> float:
        """See Tuned."""
        return 1e3


TUNINGS: dict[str, type[Frozen] | type[Tuned]] = {
    "none": Frozen, "lora": Lora, "full": Full, "anchored": Anchored, "subspace": Subspace,
}  # fmt: skip
