"""What the speed benchmarks work on: example folders, tables of any size, and no memory of what was done before."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from classic import predict as classic
from example_spaces import ROOT, example_space

import mmt.predict
from mmt import _core
from mmt import space as spaces
from mmt.converter import generate_ops_list
from mmt.meter import meter_ops
from mmt.torch_side import closing, fingerprint

WORK = Path(os.environ.get("MMT_SPEED_WORK", ROOT / "build" / "speed"))
MOST_OPERATORS = 100_000
#: Column that identifies a row wherever it is.
IDENTITIES = {"kernel": "key", "operator": "fingerprint"}


def example_folder(name: str) -> Path:
    """An example's operators, converted and measured; shortly, as only the time of answers matters here."""
    folder = WORK / name
    if not (folder / "latency.db").exists():
        generate_ops_list(ROOT / "examples" / name / "ops.yaml", folder)
        meter_ops(folder, times=10)
        mmt.predict.LatencyTable.open(str(folder))
    return folder


def deep_resnet(blocks: int) -> torch.nn.Module:
    """A ResNet of `blocks` blocks (at least 4), most of them in its first stage, with kernels in turn."""
    example_space("resnet")
    from resnet18 import ResNetBasicBlock, ResNetHead, ResNetStem

    kernels = [(3, 5, 7)[number % 3] for number in range(blocks)]
    wide = [ResNetBasicBlock(64 << i, 128 << i, 2, 3) for i in range(3)]
    same = [ResNetBasicBlock(64, 64, 1, kernel) for kernel in kernels[3:]]
    return torch.nn.Sequential(ResNetStem(), *same, *wide, ResNetHead(512)).eval()


def classic_table(name: str, folder: Path, rows: int = 0,
                  latency_ms: Mapping[str, float] | None = None) -> list[classic.Row]:
    """The example's operators as a classic table: `rows` of them, or more that are like them but not the same.

    `latency_ms`: by fingerprint; by default what MMT's table says of the operators.
    """
    table = None if latency_ms else mmt.predict.LatencyTable.open(str(folder))
    found = []
    path = ROOT / "examples" / name / "ops.yaml"
    for operator in spaces.resolve(spaces.load(path), path.parent).operators():
        try:
            module = operator.build()
        except ValueError:
            continue
        shapes = [list(shape) for shape in operator.input_shapes]
        identity = fingerprint.fingerprint(module.eval(), shapes)
        ms = latency_ms[identity] if latency_ms else _ms(table.find_operator(identity))
        with classic.short_names(module, {type(module)}):
            found.append(classic.Row(type(module), repr(module), tuple(shapes[0]), ms))
    if 0 < rows < len(found):
        found = found[:: -(-len(found) // rows)][:rows]
    fillers = [
        classic.Row(row.kind, row.text, (*row.shape[:-1], row.shape[-1] + 1 + number), row.latency_ms)
        for number, row in ((i, found[i % len(found)]) for i in range(max(0, rows - len(found))))
    ]
    return fillers + found


def classic_folder(name: str, folder: Path, rows: int = 0) -> Path:
    """`classic_table` as files, for `classic_seconds`."""
    table = classic_table(name, folder, rows)
    target = WORK / f"classic_{name}_{len(table)}"
    shutil.rmtree(target, ignore_errors=True)
    classic.save(table, target)
    return target


def classic_latency(model: torch.nn.Module, table: list[classic.Row], shape: list[int]) -> float:
    """What the classic way predicts for a model, in milliseconds."""
    with classic.short_names(model, {row.kind for row in table}):
        return classic.sum_up(model, table, shape)


def classic_seconds(model: torch.nn.Module, folder: Path, shape: list[int]) -> float:
    """How long the classic way takes to predict a model."""
    with classic.short_names(model, {row.kind for row in classic.load(folder)}):
        start = time.perf_counter()
        latency_ms = classic.predict(model, folder, shape)
        took = time.perf_counter() - start
    if not latency_ms > 0:
        raise RuntimeError("the classic table knows nothing of this model")
    return took


def _ms(row: dict[str, Any]) -> float:
    """The plain context's time: only that is measured as a whole."""
    plain = next(context for context in row["contexts"] if context["context"] == "plain")
    return (plain["hot"]["median_us"] or plain["cold"]["median_us"]) / 1000


def forget() -> None:
    """Drops everything that this process remembers of models and tables."""
    mmt.predict._results.clear()
    mmt.predict._opened.clear()
    closing._FOUND.clear()
    _core.fingerprints.forget()
    gc.collect()


def _spread(db: sqlite3.Connection, table: str, own: int, step: int) -> None:
    """Gives the identities of the table's `own` first rows to copies of them, each to another one."""
    identity, number = IDENTITIES[table], f"{table}_no"
    copies = db.execute(f"SELECT max({number}) FROM {table}").fetchone()[0] // step - 1
    taken = db.execute(f"SELECT {number}, {identity} FROM {table} ORDER BY {number} LIMIT {own}").fetchall()
    change = f"UPDATE {table} SET {identity} = ? WHERE {number} = ?"
    for at, value in taken:
        copy = at + step * (at * 7919 % copies + 1)
        db.execute(f"UPDATE {table} SET {identity} = randomblob(16) WHERE {number} = ?", (at,))
        db.execute(change, (value, copy))


def into_memory(folder: Path) -> None:
    """Has the system read a table's file: it was just made or used, as by the program that measured."""
    with open(folder / "latency.db", "rb") as file:
        while file.read(1 << 20):
            pass


def out_of_memory(folder: Path) -> None:
    """Has the system forget a table's file: the next reading goes to the disk."""
    file = os.open(folder / "latency.db", os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)


def grown_to_operators(folder: Path, operators: int) -> Path:
    """`grown_table` with at least so many operators."""
    with sqlite3.connect(folder / "latency.db") as db:
        kernels, own = (db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("kernel", "operator"))
    db.close()
    return grown_table(folder, kernels * -(-operators // own))


def grown_table(folder: Path, kernels: int, spread: bool = False) -> Path:
    """A copy of a folder's table with `kernels` kernel rows (and up to MOST_OPERATORS operators): its own, and copies
    under keys of their own. `spread`: its own lie anywhere among the copies, not one beside the other."""
    target = WORK / f"{folder.name}_{kernels}{'_spread' if spread else ''}"
    database = target / "latency.db"
    if database.exists() and database.stat().st_mtime > (folder / "latency.db").stat().st_mtime:
        return target
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    partial = target / "partial.db"
    shutil.copyfile(folder / "latency.db", partial)
    with sqlite3.connect(partial) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -262144")
        numbers = {
            "kernel": ("kernel_no",),
            "operator": ("operator_no",),
            "kernel_cost": ("kernel_no",),
            "measurement": ("operator_no",),
            "operator_kernel": ("operator_no", "kernel_no"),
            "operator_kernel_time": ("operator_no",),
            "port": ("operator_no",),
            "packed_operator": ("operator_no",),
        }
        step = {f"{name}_no": db.execute(f"SELECT max({name}_no) FROM {name}").fetchone()[0] for name in IDENTITIES}
        own = db.execute("SELECT count(*) FROM kernel").fetchone()[0]
        operators = db.execute("SELECT count(*) FROM operator").fetchone()[0]
        copies = max(0, kernels // own - 1)
        db.execute("CREATE TEMP TABLE copies (n INTEGER)")
        db.executemany("INSERT INTO copies VALUES (?)", ((n + 1,) for n in range(copies)))
        for table, numbered in numbers.items():
            db.execute(f"CREATE TEMP TABLE own_{table} AS SELECT * FROM {table}")
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            values = [
                f"o.{column} + c.n * {step[column]}" if column in numbered
                else "randomblob(16)" if column == IDENTITIES.get(table)
                else f"o.{column}"
                for column in columns
            ]  # fmt: skip
            most = copies if numbered == ("kernel_no",) else MOST_OPERATORS // operators - 1
            chosen = f"copies c CROSS JOIN own_{table} o WHERE c.n <= {most}"
            db.execute(f"INSERT INTO {table} SELECT {', '.join(values)} FROM {chosen}")
        if spread:
            for table, count in (("operator", operators), ("kernel", own)):
                _spread(db, table, count, step[f"{table}_no"])
    db.close()
    partial.rename(database)
    return target
