"""Engines that run as a table was measured."""

from __future__ import annotations

from typing import Any

from mmt._core.engine import Engine, EngineConfig
from mmt.engine.default import default_engine

__all__ = ["config_of", "engine_for"]


def config_of(table: Any) -> EngineConfig:
    """The engine configuration that the table's rows were measured with."""
    config = EngineConfig()
    for name, value in table.config["run"]["config"].items():
        setattr(config, name, value)
    return config


def engine_for(table: Any) -> Engine:
    """A new engine in a worker process, configured as the table's."""
    return default_engine(config_of(table))
