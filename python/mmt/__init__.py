"""MMT: measures PyTorch operators on devices that run MNN and predicts the latency of whole models.

Everything here is loaded when it is first used, so that `import mmt` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmt._core import MmtError, __version__
    from mmt.converter import register
    from mmt.many import predict_many
    from mmt.predict import LatencyTable, Prediction
    from mmt.space_eval import LatencySpace
    from mmt.torch_side.scan import scan

__all__ = ["LatencySpace", "LatencyTable", "MmtError", "Prediction", "__version__", "predict_many", "register", "scan"]

_HOMES = {
    "LatencySpace": "mmt.space_eval",
    "LatencyTable": "mmt.predict",
    "MmtError": "mmt._core",
    "Prediction": "mmt.predict",
    "__version__": "mmt._core",
    "predict_many": "mmt.many",
    "register": "mmt.converter",
    "scan": "mmt.torch_side.scan",
}
#: Found as attributes too, without an import of their own (`mmt.converter.export_models`).
_MODULES = frozenset({"converter", "engine", "manifest", "meter", "model_file", "parser", "predict", "predictor",
                      "report", "table", "validate"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"mmt.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'mmt' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
