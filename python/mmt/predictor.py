"""Calibration: a few measured models make the predictions of their relatives better still.

    lp = latency_predictor("ops/", [(model, [1, 3, 224, 224], measured_ms), …])
    lp.predict(model, [1, 3, 224, 224])            # milliseconds
    lp.predict_interval(model, [1, 3, 224, 224])   # milliseconds, low, high
    lp.save("ops/calibration.json"); latency_predictor.load("ops/", "ops/calibration.json")

What is learned: how far the table is off as a whole, how far each of its rows is off (models have rows in common), and
how cold models run. A model without any row of the measured ones gets the common factor (include/mmt/calibration.h).
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmt import _core
from mmt.errors import MmtError, mmt_error
from mmt.predict import Prediction, open_table, predict

__all__ = ["latency_predictor"]

_FORMAT = 2
_TWO_SIDED_95 = 1.96


class latency_predictor:
    """A calibrated predictor: `ops` is a folder, table path or LatencyTable; `data` triples of model, shape and
    measured milliseconds.

    `typical_factor`: median of measured over predicted latency of these models. Raises MmtError('invalid_argument') for
    no data or times that are not positive.
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
        ratios = [ms * 1000.0 / prediction.latency_us for prediction, ms in rows]
        self.typical_factor = statistics.median(ratios)
        self.calibration = _core.calibration.Calibration.fit([prediction.result for prediction, _ in rows], ratios)

    def correct(self, prediction: Prediction) -> tuple[float, float, float]:
        """Calibrated latency of a prediction with its 95 % interval, in milliseconds."""
        factor, deviation = self.calibration.factor(prediction.result)
        latency = prediction.latency_ms * factor
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
            "typical_factor": self.typical_factor,
            "calibration": json.loads(self.calibration.to_json()),
        }
        Path(path).write_text(json.dumps(value, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, ops: Any, path: str | Path, *, exact: bool | str = "auto") -> latency_predictor:
        """Reads a saved calibration. Raises MmtError where it belongs to another configuration or cannot be read."""
        predictor = cls.__new__(cls)
        predictor.table, predictor.exact = open_table(ops), exact
        try:
            value = json.loads(Path(path).read_text(encoding="utf-8"))
            version, config_id = value["format"], value["config_id"]
            if version == _FORMAT:
                predictor.typical_factor = value["typical_factor"]
                predictor.calibration = _core.calibration.Calibration.from_json(json.dumps(value["calibration"]))
        except (OSError, KeyError, TypeError, ValueError, MmtError) as error:
            raise mmt_error("parse", f"{path}: no readable calibration ({error}); run `mmt calibrate` again") from error
        if version != _FORMAT:
            raise mmt_error("unsupported", f"{path}: calibration format {version} is not {_FORMAT}; calibrate again")
        if config_id != predictor.table.config["config_id"]:
            raise mmt_error(
                "invalid_argument",
                f"{path}: was made for configuration {config_id}, the table is "
                f"{predictor.table.config['config_id']}; calibrate again",
            )
        return predictor
