"""Tables for terminals: predictions and validations as text."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from mmt.predict import Prediction
    from mmt.validate import ValidationReport

__all__ = ["prediction_table", "validation_table"]

_WIDTH = 140


def _render(*parts: Any) -> str:
    console = Console(file=io.StringIO(), width=_WIDTH, force_terminal=False)
    for part in parts:
        console.print(part, highlight=False)
    return console.file.getvalue().rstrip()


def _shapes(shapes: list[list[int]]) -> str:
    return " ".join("x".join(map(str, shape)) for shape in shapes)


def prediction_table(prediction: Prediction, table: Any, limit: int = 200) -> str:
    """Operators of a prediction with latency, share and where their time was found."""
    nodes = prediction.nodes
    low, high = prediction.interval_us
    text = Table(
        title=f"{prediction.latency_ms:.3f} ms  [{low / 1e3:.3f}, {high / 1e3:.3f}]  {prediction.how}",
        title_justify="left",
    )
    for name in ("operator", "module", "input", "output"):
        text.add_column(name, overflow="fold")
    for name in ("latency us", "share", "parameters", "MFLOP"):
        text.add_column(name, justify="right")
    text.add_column("found")
    for node in nodes[:limit]:
        share = 100 * node["latency_us"] / prediction.latency_us if prediction.latency_us else 0.0
        text.add_row(
            node["name"].removeprefix("torch.nn.modules."),
            node["module"],
            _shapes(node["input_shapes"]),
            _shapes(node["output_shapes"]),
            f"{node['latency_us']:.1f}",
            f"{share:.1f} %",
            f"{node['parameters']:,}" if "parameters" in node else "",
            f"{node['flops'] / 1e6:.2f}" if node.get("flops", -1) >= 0 else "",
            node["found"],
        )
    overhead = prediction.result.run_overhead_us
    text.add_row(
        "(once per run)",
        "",
        "",
        "",
        f"{overhead:.1f}",
        f"{100 * overhead / max(prediction.latency_us, 1e-9):.1f} %",
        "",
        "",
        "table",
    )
    parts: list[Any] = [text, sizes_line(prediction)]
    if prediction.flags:
        parts.append("flags: " + ", ".join(prediction.flags))
    if prediction.missing:
        from mmt.parser import describe_missing

        parts.append(describe_missing(prediction, table))
    return _render(*parts)


def sizes_line(prediction: Prediction) -> str:
    """Size and memory of a predicted model in one line."""
    memory = prediction.memory
    text = (
        f"{prediction.size_mb:.2f} MB file, {prediction.parameters:,} parameters, {prediction.flops / 1e6:,.1f} MFLOP"
    )
    if not memory["known"]:
        return f"{text}; session memory not known: {memory['why']}"
    text += f", {memory['session_mib']:.2f} MiB session memory"
    if prediction.how == "exact":
        return text
    text += f" ({memory['weights_mib']:.2f} weights, {memory['activations_mib']:.2f} activations)"
    return f"{text}, {prediction.resident_mib:.1f} MiB resident, {prediction.peak_mib:.1f} at the peak"


def _sizes_errors_line(what: str, errors: dict[str, float]) -> str:
    return (
        f"{what}: MAPE {errors['mape_pct']:.3f} %, bias {errors['bias_pct']:+.3f} %, max {errors['max_pct']:.3f} % "
        f"({errors['count']} composed models)"
    )


def _metrics_line(name: str, metrics: dict[str, float]) -> str:
    return (
        f"{name}: MAPE {metrics['mape_pct']:.2f} %, bias {metrics['bias_pct']:+.2f} %, max {metrics['max_pct']:.2f} %, "
        f"RMSPE {metrics['rmspe_pct']:.2f} %, within 5 %: {100 * metrics['within_5pct']:.0f} %, within 10 %: "
        f"{100 * metrics['within_10pct']:.0f} %, Spearman {metrics['spearman']:.3f}, Kendall {metrics['kendall']:.3f}"
    )


def _drift_lines(report: ValidationReport) -> list[str]:
    if not report.table_metrics:
        return []
    return [
        f"the machine takes {report.reference_scale:.3f} times the table's times now; the table's predictions: MAPE "
        f"{report.table_metrics['mape_pct']:.2f} %, in the machine's state of now "
        f"{report.scaled_metrics['mape_pct']:.2f} %"
    ]


def validation_table(report: ValidationReport) -> str:
    """Models with truth, prediction and error, the statistics, the noise floor and the split by kernel type."""
    rows = Table()
    rows.add_column("model")
    for name in ("true us", "predicted us", "interval us", "error", "halves"):
        rows.add_column(name, justify="right")
    for name in ("memory MiB", "predicted MiB", "file MB", "predicted MB"):
        rows.add_column(name, justify="right")
    rows.add_column("how")
    for row in report.rows:
        rows.add_row(
            row.name,
            f"{row.true_us:.1f}",
            f"{row.predicted_us:.1f}",
            f"{row.low_us:.0f}…{row.high_us:.0f}",
            f"{row.error_pct:+.2f} %",
            f"{100 * (row.half_b_us / row.half_a_us - 1):+.2f} %",
            f"{row.memory_mib:.2f}",
            f"{row.predicted_memory_mib:.2f}",
            f"{row.size_mb:.3f}",
            f"{row.predicted_size_mb:.3f}",
            row.how + (f", {row.missing} missing" if row.missing else ""),
        )
    parts: list[Any] = [
        rows,
        _metrics_line("prediction ", report.metrics),
        _metrics_line("noise floor", report.noise_floor),
        f"inside their 95 % interval: {100 * report.inside_interval:.0f} %",
        *_drift_lines(report),
    ]
    sizes = report.size_errors()
    for what, name in (("memory     ", "memory"), ("file size  ", "size")):
        if sizes[name]["count"]:
            parts.append(_sizes_errors_line(what, sizes[name]))
    if report.split:
        split = Table(
            title="error by kernel type (time inside the models against the prediction, all models)",
            title_justify="left",
        )
        split.add_column("kernel")
        for name in ("in model us", "predicted us", "share of total", "kernels", "predicted"):
            split.add_column(name, justify="right")
        for row in report.split:
            split.add_row(
                row["type"],
                f"{row['in_model_us']:.1f}",
                f"{row['predicted_us']:.1f}",
                f"{row['error_share_pct']:+.2f} %",
                str(row["in_model_count"]),
                str(row["predicted_count"]),
            )
        parts.append(split)
    for failure in report.failed:
        parts.append(f"failed: {failure['name']}: {failure['reason']}")
    return _render(*parts)
