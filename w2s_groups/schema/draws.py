"""The schema of `draws export`: a run's configuration, and where its draws go."""

from __future__ import annotations

from dataclasses import dataclass

from w2s_groups.core.errors import InputError
from w2s_groups.core.roles import Role, role
from w2s_groups.schema.choices import GroupLabels, OnBadImage, TableFormat, Task
from w2s_groups.schema.config import Config


@dataclass
class DrawsConfig(Config):
    """One grid. to: a folder; None for draws/<experiment_name>/<data.name>.

    group_labels: which attributes are written next to the labels.
    """

    to: str | None = role(Role.place)
    format: TableFormat = role(Role.conduct)
    group_labels: GroupLabels = role(Role.report)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.experiment is not None:
            raise InputError(
                f"experiment_name={self.experiment_name} is a figure of the theory, which draws "
                "nothing; choose an experiment that trains heads"
            )
        if self.task is Task.regression:
            raise InputError(
                "task=regression: predictions of a numeric target cannot be scored; set "
                "task=classification"
            )
        if self.on_bad_image is OnBadImage.skip:
            raise InputError(
                "on_bad_image=skip: which samples are left out is known only once networks have "
                "read them, and draws are made without; take the unreadable ones out of the data "
                "and set on_bad_image=stop"
            )
        if self.group_labels is GroupLabels.val and not self.n_val:
            raise InputError(
                "group_labels=val writes the attributes of the validation set, and n_val=0; set "
                "n_val"
            )
