"""Zero-shot CLIP: the class whose description lies nearest to the image; nothing is trained.

Each class has the prompts that the templates make of its name. The head is CLIP's own classifier,
exactly, on the standardised features: it undoes the standardisation, projects into the space of
images and texts, and takes cosines times CLIP's learnt scale. Only for students of open_clip whose
projection is linear; image_size must be one that the network was trained at for its published
accuracy.
Source: Radford et al., Learning Transferable Visual Models, ICML 2021, section 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.heads.problem import CrossEntropy, Problem
from w2s_groups.methods.base import Draws, Fitted, OneFit


@dataclass
class ZeroShot(OneFit):
    """templates: sentences, each with one {} for the name of a class. `l2` is not used."""

    templates: Any = MISSING
    summary: ClassVar[str] = "Zero-shot CLIP: the class whose description is nearest to the image"
    sources: ClassVar[tuple[str, ...]] = (
        "Radford et al., Learning Transferable Visual Models, ICML 2021, section 3.1",
    )
    unsupported: ClassVar[Mapping[str, str]] = {
        "ridge": "is a classifier of its own, which is fitted to nothing",
        "finetune": "is a classifier of its own, which is fitted to nothing",
    }
    reference: ClassVar[bool] = True
    needs_prompts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        listed = self.templates if isinstance(self.templates, list) else []
        if not listed or any(str(one).count("{}") != 1 for one in listed):
            raise InputError(
                f"zero_shot.templates={self.templates} must list sentences, each with one {{}} for "
                "the name of a class; such as ['a photo of a {}.']"
            )

    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        given = draws.prompted and draws.prompted(tuple(self.templates))
        rows, y = draws.labelled, draws.y_labelled
        return Problem(self.side, rows, y, CrossEntropy(), self.l2, given=given)
