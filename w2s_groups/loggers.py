"""The older place of the loggers, for `_target_` in YAML files of users."""

from w2s_groups.experiment.loggers import MLflow, TensorBoard, WandB

__all__ = ["MLflow", "TensorBoard", "WandB"]
