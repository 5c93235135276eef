"""The older place of the sweep's callback, for `_target_` in YAML files of users."""

from w2s_groups.experiment.sweep import OneReport

__all__ = ["OneReport"]
