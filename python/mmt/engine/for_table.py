"""Engines that run as a table was measured."""

from __future__ import annotations

import atexit
from typing import Any

from mmt._core.engine import Engine, EngineConfig
from mmt.engine.default import default_engine

__all__ = ["config_of", "engine_for", "table_engine"]

_kept: dict[str, Engine] = {}


def config_of(table: Any) -> EngineConfig:
    """The engine configuration that the table's rows were measured with."""
    config = EngineConfig()
    for name, value in table.config["run"]["config"].items():
        setattr(config, name, value)
    return config


def engine_for(table: Any) -> Engine:
    """A new engine in a worker process, configured as the table's."""
    return default_engine(config_of(table))


def table_engine(table: Any) -> Engine:
    """An engine with the table's configuration, started once and kept until the process ends."""
    key = table.config["config_id"]
    if key not in _kept:
        if not _kept:
            atexit.register(_kept.clear)
        _kept[key] = engine_for(table)
    return _kept[key]
