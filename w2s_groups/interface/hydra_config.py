"""From YAML and the command line to a Config: schemas for Hydra, names and keys checked."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.files import shipped
from w2s_groups.data import DATASETS
from w2s_groups.data.base import DatasetConfig
from w2s_groups.finetuning import TUNINGS
from w2s_groups.interface import plugin_configs
from w2s_groups.methods import METHODS
from w2s_groups.schema.config import Config
from w2s_groups.schema.draws import DrawsConfig
from w2s_groups.schema.features import FeaturesConfig
from w2s_groups.schema.prediction import PlanConfig, PredictConfig
from w2s_groups.schema.splits import SPLITS
from w2s_groups.theory_figures import EXPERIMENTS


def register() -> None:
    """Put every schema where the YAML files ask for it."""
    store = ConfigStore.instance()
    store.store(group="schema", name="config", node=Config)
    store.store(group="schema", name="predict", node=PredictConfig)
    store.store(group="schema", name="plan", node=PlanConfig)
    store.store(group="schema", name="draws", node=DrawsConfig)
    store.store(group="schema", name="features", node=FeaturesConfig)
    for name, dataset in DATASETS.built_in.items():
        store.store(group="schema/data", name=name, node=dataset)
    for name, method in METHODS.built_in.items():
        store.store(group="schema/methods", name=name, node=method)
    for name, tuning in TUNINGS.items():
        store.store(group="schema/finetune", name=name, node=tuning)
    for name, splits in SPLITS.items():
        store.store(group="schema/splits", name=name, node=splits)
    for name, experiment in EXPERIMENTS.items():
        store.store(group="schema/experiment", name=name, node=experiment)
    plugin_configs.register()


def conf_dir() -> Path:
    """The YAML folder."""
    return shipped("conf", "conf")


def from_hydra(composed: DictConfig, data: DatasetConfig | None = None) -> Config:
    """The composed configuration as objects, with every range checked.

    data: in place of the composed data, whose settings then do not matter.
    """
    try:
        missing = sorted(OmegaConf.missing_keys(composed))
        if data is not None:
            missing = [key for key in missing if key.partition(".")[0] != "data"]
        if missing:
            raise InputError(f"{missing[0]} has no value; set it: {missing[0]}=...")
        _refuse_untyped(composed)
        config = OmegaConf.to_object(composed) if data is None else _with_data(composed, data)
    except OmegaConfBaseException as error:  # such as an interpolation of a key that is not there
        first, _, rest = str(error).partition("\n")
        key = rest.partition("full_key: ")[2].partition("\n")[0]
        raise InputError(f"{key}: {first}; change {key}") from error
    assert isinstance(config, Config)
    parts = [
        *(("", config), ("experiment.", config.experiment)),
        *([("data.", config.data)] if data is None else []),
        *(("mlp.", config.mlp), ("ntk.", config.ntk), ("ray.", getattr(config, "ray", None))),
        *(("finetune.", config.finetune), ("splits.", config.splits)),
    ]
    for owner, part in parts:
        _refuse_extra(owner, part)
    for name, method in config.methods.items():
        _refuse_extra(f"methods.{name}.", method)
    return config


def _refuse_untyped(composed: DictConfig) -> None:
    """InputError for a method's settings whose YAML file does not begin with its schema."""
    for name, node in (composed.get("methods") or {}).items():
        if OmegaConf.get_type(node) is dict:
            raise InputError(
                f"methods.{name} has no schema; begin its YAML file with defaults: "
                f"[/schema/methods/{name}@_here_, _self_]"
            )


def _with_data(composed: DictConfig, data: DatasetConfig) -> Any:
    """The configuration as objects, of data that are objects already."""
    parts = {str(name): composed[name] for name in composed if name != "data"}
    made = {
        name: OmegaConf.to_object(part) if OmegaConf.is_config(part) else part
        for name, part in parts.items()
    }
    kind: Any = OmegaConf.get_type(composed)
    return kind(**made, data=data)


def _refuse_extra(prefix: str, part: Any) -> None:
    """`+key=` slips past a schema, so an unknown field is caught here."""
    if is_dataclass(part):
        known = {f.name for f in fields(part)}
        for name in vars(part):
            if name not in known:
                raise unknown_name("field", prefix + name, {prefix + k for k in known})
