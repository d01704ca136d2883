"""Calibration: a few measured models make the predictions of their relatives better still.

    lp = latency_predictor("ops/", [(model, [1, 3, 224, 224], measured_ms), …])
    lp.predict(model, [1, 3, 224, 224])            # milliseconds
    lp.predict_interval(model, [1, 3, 224, 224])   # milliseconds, low, high
    lp.save("ops/calibration.json"); latency_predictor.load("ops/", "ops/calibration.json")

What is learned is the ratio of measured to predicted latency, by a Gaussian process over features of the prediction
(shares of kernel types, how cold, how many kernels): with no likeness to what was measured it falls back to the mean
ratio, with likeness it removes what the models have in common.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmt import _core
from mmt.errors import mmt_error
from mmt.predict import Prediction, open_table, predict, weightiest

__all__ = ["latency_predictor"]

_FORMAT = 1
_TWO_SIDED_95 = 1.96
#: What is left between models after one scale factor is mostly noise of their measurements, until many models say
#: otherwise: shares of the spread.
_USUAL_NOISE, _USUAL_SIGNAL = 1.0, 0.1
#: Below this many models only one scale factor is fitted: a process with lengths would fit the noise.
_FEW = 6


def _features(prediction: Prediction, types: Sequence[str]) -> list[float]:
    total = prediction.latency_us
    by_type: dict[str, float] = {}
    for kernel in prediction.kernels:
        by_type[kernel["type"]] = by_type.get(kernel["type"], 0.0) + kernel["latency_us"]
    sums = prediction.sums
    return [
        math.log(total),
        math.log(sums["footprint_bytes"] + 1.0),
        (sums["cold_extra_us"] + sums["reread_extra_us"]) / total,
        *(by_type.get(kind, 0.0) / total for kind in types),
    ]


class latency_predictor:
    """A calibrated predictor: `ops` is a folder, table path or LatencyTable; `data` triples of model, shape and
    measured milliseconds.

    Raises MmtError('invalid_argument') for no data or times that are not positive.
    """

    def __init__(self, ops: Any, data: Iterable[tuple[Any, Any, float]], *, exact: bool | str = "auto") -> None:
        self.table = open_table(ops)
        self.exact = exact
        rows = [(predict(model, self.table, shape, exact=exact), float(ms)) for model, shape, ms in data]
        self._fit(rows)

    @classmethod
    def from_predictions(
        cls, ops: Any, rows: Iterable[tuple[Prediction, float]], *, exact: bool | str = "auto"
    ) -> latency_predictor:
        """The same from predictions that exist already, with measured milliseconds."""
        predictor = cls.__new__(cls)
        predictor.table, predictor.exact = open_table(ops), exact
        predictor._fit(list(rows))
        return predictor

    def _fit(self, rows: list[tuple[Prediction, float]]) -> None:
        if not rows or any(not ms > 0 for _, ms in rows):
            raise mmt_error(
                "invalid_argument", "calibration needs at least one model, each with a measured latency above 0 ms"
            )
        ratios = np.array([math.log(ms * 1000.0 / prediction.latency_us) for prediction, ms in rows])
        self.types = weightiest((prediction for prediction, _ in rows), "type", 4)
        self.mean = float(np.median(ratios))
        self.spread = float(np.std(ratios)) if len(rows) > 1 else 0.02
        self.process = None
        self.center = self.scale = np.zeros(0)
        if len(rows) >= _FEW:
            matrix = np.array([_features(prediction, self.types) for prediction, _ in rows])
            self.center, self.scale = matrix.mean(axis=0), np.maximum(matrix.std(axis=0), 1e-6)
            self.process = _core.gaussian_process.GaussianProcess.fit(
                (matrix - self.center) / self.scale, ratios - self.mean, linear=True, separate_lengths=False,
                usual_noise=_USUAL_NOISE, usual_signal=_USUAL_SIGNAL,
            )

    def _correction(self, prediction: Prediction) -> tuple[float, float]:
        if self.process is None:
            return self.mean, max(self.spread, 0.005)
        row = (np.array([_features(prediction, self.types)]) - self.center) / self.scale
        means, deviations = self.process.predict(row)
        return self.mean + float(means[0]), float(deviations[0])

    @property
    def typical_factor(self) -> float:
        """Median of measured over predicted latency of the models that it was made from."""
        return math.exp(self.mean)

    def correct(self, prediction: Prediction) -> tuple[float, float, float]:
        """Calibrated latency of a prediction with its 95 % interval, in milliseconds."""
        mean, deviation = self._correction(prediction)
        latency = prediction.latency_ms * math.exp(mean)
        return latency, latency * math.exp(-_TWO_SIDED_95 * deviation), latency * math.exp(_TWO_SIDED_95 * deviation)

    def predict(self, model: Any, input_shape: Any) -> float:
        """Calibrated latency in milliseconds."""
        return self.predict_interval(model, input_shape)[0]

    def predict_interval(self, model: Any, input_shape: Any) -> tuple[float, float, float]:
        """Calibrated latency with its 95 % interval, in milliseconds."""
        return self.correct(predict(model, self.table, input_shape, exact=self.exact))

    def save(self, path: str | Path) -> None:
        """Writes the calibration as JSON; it belongs to the table's configuration."""
        value = {
            "format": _FORMAT,
            "config_id": self.table.config["config_id"],
            "types": self.types,
            "mean": self.mean,
            "spread": self.spread,
            "center": self.center.tolist(),
            "scale": self.scale.tolist(),
            "process": None if self.process is None else json.loads(self.process.to_json()),
        }
        Path(path).write_text(json.dumps(value, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, ops: Any, path: str | Path, *, exact: bool | str = "auto") -> latency_predictor:
        """Reads a saved calibration. Raises MmtError where it belongs to another configuration or cannot be read."""
        predictor = cls.__new__(cls)
        predictor.table, predictor.exact = open_table(ops), exact
        try:
            value = json.loads(Path(path).read_text(encoding="utf-8"))
            if value["format"] != _FORMAT:
                raise mmt_error(
                    "unsupported", f"{path}: calibration format {value['format']} is not {_FORMAT}; calibrate again"
                )
            predictor.types, predictor.mean, predictor.spread = value["types"], value["mean"], value["spread"]
            predictor.center, predictor.scale = np.array(value["center"]), np.array(value["scale"])
            predictor.process = (
                None
                if value["process"] is None
                else _core.gaussian_process.GaussianProcess.from_json(json.dumps(value["process"]))
            )
            config_id = value["config_id"]
        except (OSError, KeyError, json.JSONDecodeError) as error:
            raise mmt_error("parse", f"{path}: no readable calibration ({error}); run `mmt calibrate` again") from error
        if config_id != predictor.table.config["config_id"]:
            raise mmt_error(
                "invalid_argument",
                f"{path}: was made for configuration {config_id}, the table is "
                f"{predictor.table.config['config_id']}; calibrate again",
            )
        return predictor
