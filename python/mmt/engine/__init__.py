"""Engines: what runs `.mnn` models. MNN's Python wheel in a worker process, unless told otherwise.

>>> engine = default_engine(EngineConfig(threads=1))           # doctest: +SKIP
>>> session = engine.open("model.mnn")                         # doctest: +SKIP
>>> session.run(runs=10, profile=True)["kernel_us"].shape      # doctest: +SKIP
"""

from __future__ import annotations

from mmt._core.engine import Engine, EngineConfig, EngineFacts, InputSpec, Session, SessionDesc
from mmt.engine.default import SUPPORTED_WHEELS, default_engine, plugin_path, wheel_info

__all__ = [
    "SUPPORTED_WHEELS",
    "Engine",
    "EngineConfig",
    "EngineFacts",
    "InputSpec",
    "Session",
    "SessionDesc",
    "default_engine",
    "plugin_path",
    "wheel_info",
]
