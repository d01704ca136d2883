"""Operators and models become `.mnn` files, with the calls that users of latency tables know."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from mmt.torch_side.generate import GenerateReport, Progress

__all__ = ["export_models", "generate_ops_list", "register", "validation"]

_log = logging.getLogger("mmt")


def generate_ops_list(yaml_path: str | os.PathLike[str], ops_dir: str | os.PathLike[str], *, yes: bool = False,
                      workers: int | None = None, progress: Progress | None = None) -> GenerateReport:
    """Converts every operator of a space (docs/space.md) into `ops_dir`; what is there already is kept.

    `yes` confirms a space of more than 100,000 operators. `workers`: processes, by default one per core.
    Combinations that a class refuses are in the report's `dropped`, operators that could not be converted in its
    `failed`; both are logged as warnings. Raises MmtError for mistakes in the space, with file, line and column.
    """
    from mmt.torch_side.generate import generate

    return _told(generate(yaml_path, ops_dir, yes=yes, workers=workers, progress=progress))


def register(cls: type[torch.nn.Module], ops_dir: str | os.PathLike[str], *, yes: bool = False,
             workers: int | None = None, progress: Progress | None = None, **space: Any) -> GenerateReport:
    """Adds operators of one class to `ops_dir`; keywords are what stands below a class in YAML.

        mmt.register(Block, "ops/", channels=[64, 128], stride=[1, 2], input_shape=[[1, 64, 56, 56], [1, 128, 28, 28]])

    Works for any class, also for one of a script or a notebook. Raises MmtError as generate_ops_list does.
    """
    from mmt.torch_side.generate import generate_class

    return _told(generate_class(cls, ops_dir, space, yes=yes, workers=workers, progress=progress))


def export_models(net: torch.nn.Module | Mapping[str, torch.nn.Module] | Sequence[torch.nn.Module],
                  shape: Sequence[Any], dir: str | os.PathLike[str], *, dtype: str | Sequence[str] = "float32",
                  ) -> list[Path]:
    """Converts whole models to `<dir>/<name>.mnn`, for meter_models. Returns the files.

    `net`: a model (named after its class), a dictionary of models by name, or a list (`<class>_0`, …). `shape`: one
    input shape, or a list of them for several inputs. Weights stay as they are. Raises MmtError naming the model that
    cannot be converted.
    """
    from mmt.torch_side.generate import export_model

    folder = Path(dir)
    return [export_model(model, shape, folder / f"{name}.mnn", dtype) for name, model in _named(net).items()]


def _named(net: Any) -> dict[str, torch.nn.Module]:
    if isinstance(net, Mapping):
        return dict(net)
    if isinstance(net, Sequence) and not hasattr(net, "forward"):
        return {f"{type(model).__name__}_{index}": model for index, model in enumerate(net)}
    return {type(net).__name__: net}


def validation(dir: Any, ops: Any, save_path: str | os.PathLike[str] | None = None, lp: Any = None,
               **options: Any) -> Any:
    """Measures models and compares them with their predictions: see mmt.validate.validation."""
    from mmt.validate import validation as validate

    return validate(dir, ops, save_path, lp, **options)


def _told(report: GenerateReport) -> GenerateReport:
    """Puts what did not become an operator into the log: nothing is left out silently."""
    for line in report.dropped.lines():
        _log.warning("%s", line)
    for failed in report.failed:
        _log.warning("no model of %s: %s", failed.operator, failed.reason)
    return report
