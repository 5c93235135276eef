"""Plug-ins as files of the configuration: methods/NAME and data/NAME without a YAML file.

Hydra asks a source for each file that a defaults list or methods=[...] names, so a plug-in is
imported only by a run that uses it. YAML files of the same name come first, from conf/,
--config-dir and hydra.searchpath.
"""

from __future__ import annotations

from typing import Any

from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_search_path import ConfigSearchPath, SearchPathElement
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf

from w2s_groups.core.plugins import Registry
from w2s_groups.data import DATASETS
from w2s_groups.methods import METHODS
from w2s_groups.methods import files as method_files

_SCHEME = "w2s-groups"
_SCHEMAS = "schema/"
_GROUPS: dict[str, Registry[Any]] = {"methods": METHODS, "data": DATASETS}


class PluginSource(ConfigSource):
    """Configurations of plug-ins: methods/NAME, data/NAME with their defaults, and schemas."""

    @staticmethod
    def scheme() -> str:
        return _SCHEME

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return config_path.strip("/") in _GROUPS

    def is_config(self, config_path: str) -> bool:
        group, _, name = _parts(config_path)
        of_file = group == "methods" and name.startswith(method_files.PREFIX)
        return of_file or (group in _GROUPS and name in _GROUPS[group].plugins())

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        group = config_path.strip("/")
        return sorted(_GROUPS[group].plugins()) if group in _GROUPS else []

    def load_config(self, config_path: str) -> ConfigResult:
        group, schema, name = _parts(config_path)
        if group == "data":
            node, header = of_dataset(name), ""
        elif name.startswith(method_files.PREFIX):
            own = method_files.load(name)
            # Its YAML file, where there is one, or else the file below.
            node, header = OmegaConf.create({"defaults": [f"/methods/{own}"]}), "_global_"
        else:
            node, header = of_method(name), "" if schema else f"methods.{name}"
        package = {"package": header or None}
        return ConfigResult(self.provider, self.full_path(), node, package)


def of_method(name: str) -> DictConfig:
    """A method's settings with their types; l2 is the run's where it has no default of its own."""
    node = OmegaConf.structured(METHODS[name])
    assert isinstance(node, DictConfig)
    if OmegaConf.is_missing(node, "l2"):
        node.l2 = "${l2}"
    return node


def of_dataset(name: str) -> DictConfig:
    """A dataset's settings with their types; data.name is the plug-in's where it has no default."""
    node = OmegaConf.structured(DATASETS[name])
    assert isinstance(node, DictConfig)
    if OmegaConf.is_missing(node, "name"):
        node.name = name
    return node


def _parts(path: str) -> tuple[str, bool, str]:
    """Group, whether the schema of it is meant, and name of a configuration's path."""
    rest = path.removeprefix("/").removesuffix(".yaml").removeprefix(_SCHEMAS)
    group, _, name = rest.partition("/")
    return group, path.removeprefix("/").startswith(_SCHEMAS), name


class _SearchPath(ConfigSearchPathImpl):
    """A search path on which the plug-ins come last but for the schemas.

    Hydra adds hydra.searchpath to the end, and every YAML file of a user goes before a plug-in's
    own defaults.
    """

    def get_path(self) -> list[SearchPathElement]:
        path = self.config_search_path
        own = [element for element in path if element.path == f"{_SCHEME}://"]
        for element in own if path and path[-1].provider == "schema" else ():
            path.remove(element)
            path.insert(len(path) - 1, element)
        return path


class PluginSearchPath(SearchPathPlugin):
    """Puts the plug-ins on Hydra's search path."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("w2s_groups", f"{_SCHEME}://")
        search_path.__class__ = _SearchPath  # Hydra offers no other place for a rule of order


def register() -> None:
    """Make both known to Hydra; once is enough."""
    plugins: Any = Plugins.instance()
    plugins.register(PluginSource)
    plugins.register(PluginSearchPath)
