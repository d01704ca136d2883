"""The latency table from Python: rows, exports, checks, merges, pages, commands, and the format's page."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import mmt.report
import mmt.table
from mmt.errors import MmtError

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "0123456789abcdef"
SUMMARY = {
    "count": 20,
    "mean_us": 17.2,
    "min_us": 16.0,
    "max_us": 21.0,
    "median_us": 17.0,
    "ci_low_us": 16.9,
    "ci_high_us": 17.1,
}


def identity(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def around(median_us: float) -> dict[str, Any]:
    low, high = median_us - 0.1, median_us + 0.1
    return SUMMARY | {"mean_us": median_us, "median_us": median_us, "ci_low_us": low, "ci_high_us": high}


def sealed(line: dict[str, Any]) -> str:
    body = json.dumps(line)[:-1]
    return f'{body},"sum":"{hashlib.sha256(body.encode()).hexdigest()[:16]}"}}\n'


def profile(name: str, hot_us: float = 12.0, **more: Any) -> dict[str, Any]:
    kernel = {
        "key": identity("k"),
        "type": "Convolution",
        "attributes": "kernel=3x3",
        "text": "Convolution{kernel=3x3} [1,8]",
        "weight_bytes": 64,
        "cold": around(2 * hot_us),
        "hot": around(hot_us),
    }
    port = {"shape": [1, 8], "dtype": "float32", "layout": "nc4hw4", "edge_kind": "convolution"}
    return {
        "fingerprint": identity(name),
        "context": "plain",
        "cold": SUMMARY,
        "hot": SUMMARY,
        "kernels": [kernel],
        "memory_mib": 1.5,
        "inputs": [port],
        "outputs": [port],
        "measured_at": "2024-01-01T00:00:00Z",
    } | more


def write_folder(folder: Path, profiles: list[dict[str, Any]], operators: dict[str, int], config: str = CONFIG) -> Path:
    """A folder as the generator and the meter leave it."""
    folder.mkdir(parents=True)
    entries = [
        {
            "fingerprint": identity(name),
            "kind": "module",
            "class": "my.Block",
            "parameters": {"channels": size},
            "inputs": [{"shape": [1, size], "dtype": "float32"}],
            "output_shapes": [[1, size]],
            "output_dtypes": ["float32"],
        }
        for name, size in operators.items()
    ]
    (folder / "ops.json").write_text(json.dumps({"format": 1, "operators": entries}), encoding="utf-8")
    run = {
        "type": "run",
        "format": 1,
        "config": config,
        "device": "board",
        "cpu": "Test CPU",
        "engine": "fake",
        "engine_version": "1.0",
        "backend": "cpu",
        "threads": 1,
    }
    lines = [run] + [{"type": "profile", "config": config} | one for one in profiles]
    (folder / "latency.jsonl").write_text("".join(map(sealed, lines)), encoding="utf-8")
    return folder


@pytest.fixture
def ops(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "ops", [profile("a")], {"a": 8, "b": 16})


def run(*arguments: Any) -> Any:
    from mmt.cli.app import app

    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_rows_are_dictionaries_with_units_in_their_names(ops: Path) -> None:
    table = mmt.table.LatencyTable.open(str(ops))
    row = table.find_operator(identity("a"))
    assert row["class_name"] == "my.Block"
    assert row["input_shapes"] == [[1, 8]]
    assert row["status"] == "ok"
    (context,) = row["contexts"]
    assert context["hot"]["median_us"] == 17.0
    assert context["memory_mib"] == 1.5
    assert context["kernel_keys"] == [identity("k")]
    assert context["roles"] == ["body"]
    assert context["inputs"][0]["layout"] == "nc4hw4"
    kernel = table.find_kernel(identity("k"))
    assert kernel["hot_us"] == pytest.approx(12.0)
    assert kernel["cold_us"] == pytest.approx(24.0)
    assert kernel["sources"] == 1
    assert table.find_kernel(identity("other")) is None
    assert table.find_operator(identity("other")) is None
    assert table.find_operator(identity("b"))["status"] == "unmeasured"
    assert [near["class_name"] for near in table.nearest_operators("my.Block", '{"channels": 16}', [[1, 16]])] == [
        "my.Block"
    ]
    assert len(table.similar_kernels("Convolution", "kernel=5x5")) == len(table.all_kernels()) == 1
    assert len(table.all_operators()) == 2
    assert table.config["run"]["config"]["threads"] == 1
    assert table.config["run"]["engine"] == "fake"
    assert Path(table.path).name == "latency.db"
    assert Path(table.folder) == ops


def test_old_names_stand_for_the_table_and_are_not_read(ops: Path) -> None:
    (ops / "meta_latency.pkl").write_bytes(b"\x80\x04cos\nsystem\n")
    assert mmt.table.LatencyTable.open(str(ops / "meta_latency.pkl")).find_kernel(identity("k")) is not None
    assert (ops / "meta_latency.pkl").read_bytes().startswith(b"\x80\x04cos")


def test_errors_have_codes_and_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MmtError, match="mmt meter") as caught:
        mmt.table.LatencyTable.open(str(tmp_path))
    assert caught.value.code == "not_found"
    with pytest.raises(MmtError):
        mmt.table.build_table(tmp_path / "none" / "at all")


def test_exports_agree_with_the_database(ops: Path) -> None:
    rows = json.loads(mmt.table.export(ops, "operators", format="json"))
    assert rows[0]["average_us"] == 17.2
    assert rows[0]["minimum_us"] == 16.0
    assert rows[0]["maximum_us"] == 21.0
    assert rows[0]["input_shapes"] == [[1, 8]]
    assert rows[0]["parameters"] == {"channels": 8}
    for view in mmt.table.VIEWS:
        text = mmt.table.export(ops, view)
        names, *records = csv.reader(io.StringIO(text, newline=""))
        objects = json.loads(mmt.table.export(ops, view, format="json"))
        assert len(objects) == len(records)
        assert list(objects[0]) == names
        with sqlite3.connect(ops / "latency.db") as database:
            columns = [name for name, *_ in database.execute(f"SELECT * FROM {view}").description]
        assert [name for name in columns if name != "config_no"] == names
    mmt.table.export(ops, "kernels", file=ops / "kernels.csv")
    assert (ops / "kernels.csv").read_text(encoding="utf-8") == mmt.table.export(ops, "kernels")


def test_merging_keeps_the_later_measurement(ops: Path, tmp_path: Path) -> None:
    later = write_folder(tmp_path / "later", [profile("a", 20.0, measured_at="2024-06-01T00:00:00Z")], {"a": 8})
    report = mmt.table.merge(tmp_path / "all", [later, ops])
    assert report == {"profiles": 1, "skipped": 1, "operators": 2, "files": 0}
    assert mmt.table.LatencyTable.open(str(tmp_path / "all")).find_kernel(identity("k"))["hot_us"] == pytest.approx(
        20.0
    )


def test_several_configurations_must_be_told_apart(tmp_path: Path) -> None:
    ops = write_folder(tmp_path / "ops", [profile("a")], {"a": 8})
    other = write_folder(tmp_path / "other", [profile("a", 6.0)], {"a": 8}, config="fedcba9876543210")
    (ops / "latency.jsonl").write_text((ops / "latency.jsonl").read_text() + (other / "latency.jsonl").read_text())
    with pytest.raises(MmtError, match="fedcba9876543210") as caught:
        mmt.table.LatencyTable.open(str(ops))
    assert caught.value.code == "invalid_argument"
    assert mmt.table.LatencyTable.open(str(ops), "fedc").find_kernel(identity("k"))["hot_us"] == pytest.approx(6.0)
    assert [row["config_id"] for row in mmt.table.configs(ops)] == [CONFIG, "fedcba9876543210"]


def test_plans_are_kept_beside_the_table(ops: Path) -> None:
    cache = mmt.table.PlanCache.open(str(ops))
    assert cache.get("model", CONFIG) is None
    cache.put("model", CONFIG, "[]")
    assert mmt.table.PlanCache.open(str(ops)).get("model", CONFIG) == "[]"


def test_every_column_is_documented(ops: Path) -> None:
    text = (ROOT / "docs" / "formats_table.md").read_text(encoding="utf-8")
    words = set(re.findall(r"`([a-z0-9_]+)`", text))
    mmt.table.build_table(ops)
    with sqlite3.connect(ops / "latency.db") as database:
        tables = [
            name
            for (name,) in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
        ]
        for table in tables:
            section = re.search(rf"### `{table}`[^\n]*\n(.*?)(?=\n##)", text, re.S)
            assert section, f"docs/formats_table.md has no section on {table}"
            for _, column, *_ in database.execute(f"PRAGMA table_info({table})"):
                base = column if column in words else re.sub("^(cold|hot)_", "", column)
                where = section.group(1) if base == column else text
                assert f"`{base}`" in where, f"docs/formats_table.md does not explain {table}.{column}"


def test_pages_stand_for_themselves(ops: Path) -> None:
    page = mmt.report.table_page(ops)
    assert "my.Block" in page
    assert "Convolution{kernel=3x3}" in page
    assert "https://" not in page
    prediction = {
        "latency_us": 30.0,
        "kernels": [{"type": "ReLU", "text": "<x>", "node": 0, "latency_us": 30.0}],
        "nodes": [{"name": "relu"}],
    }
    assert "&lt;x&gt;" in mmt.report.page(prediction)
    trace = json.loads(mmt.report.chrome_trace(prediction))
    assert sum(event.get("dur", 0) for event in trace["traceEvents"] if event.get("tid") == 2) == 30.0
    with pytest.raises(MmtError):
        mmt.report.page("no json")


def test_commands(ops: Path, tmp_path: Path) -> None:
    shown = run("table", "show", ops)
    assert shown.exit_code == 0
    assert "my.Block" in shown.stdout
    assert json.loads(run("table", "show", ops, "kernels", "--json").stdout)[0]["key"] == identity("k")
    assert run("table", "show", ops, "configs").exit_code == 0
    exported = run("table", "export", ops, "kernels", "--csv", "-o", tmp_path / "k.csv")
    assert exported.exit_code == 0
    assert (tmp_path / "k.csv").exists()
    assert json.loads(run("table", "export", ops, "--json").stdout)[0]["class_name"] == "my.Block"
    assert run("table", "export", ops, "--json", "--csv").exit_code == 2
    assert CONFIG in run("table", "configs", ops).stdout
    assert json.loads(run("table", "configs", ops, "--json").stdout)[0]["operators"] == 1
    assert run("table", "rebuild", ops).exit_code == 0
    checked = run("table", "check", ops, "--json")
    assert checked.exit_code == 0
    assert json.loads(checked.stdout)["ok"]
    merged = run("table", "merge", tmp_path / "all", ops, "--json")
    assert json.loads(merged.stdout)["profiles"] == 1
    assert run("report", ops, "-o", tmp_path / "r.html").exit_code == 0
    assert "my.Block" in (tmp_path / "r.html").read_text(encoding="utf-8")
    (tmp_path / "p.json").write_text('{"latency_us": 3, "kernels": []}')
    assert run("report", tmp_path / "p.json", "-o", tmp_path / "p.html").exit_code == 0
    assert run("report", tmp_path / "p.json", "--trace", "-o", tmp_path / "t.json").exit_code == 0
    assert "traceEvents" in (tmp_path / "t.json").read_text(encoding="utf-8")


def test_commands_fail_with_the_right_codes(ops: Path, tmp_path: Path) -> None:
    assert run("table", "show", tmp_path / "none" / "x").exit_code == 2
    assert run("report", ops, "--trace").exit_code == 2
    assert run("report", tmp_path / "none.json").exit_code == 2
    broken = write_folder(tmp_path / "broken", [profile("a", status="failed", reason="timeout")], {"a": 8})
    assert run("table", "rebuild", broken).exit_code == 1
    checked = run("table", "check", broken)
    assert checked.exit_code == 1
    assert "timeout" in checked.stdout
