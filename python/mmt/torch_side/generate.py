"""From operators to an operator folder: fingerprints, no work twice, conversion in parallel, the manifest."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch

from mmt._core import space as core
from mmt.errors import mmt_error
from mmt.manifest import Manifest, changing, manifest_state, read_manifest, write_manifest
from mmt.space import ResolvedSpace, check_size, from_keywords, load, resolve
from mmt.space.imports import beside
from mmt.torch_side import quick
from mmt.torch_side.build import Checked, Refused, build_seeded, check, instantiate
from mmt.torch_side.calls import watching
from mmt.torch_side.convert import contexts_for, converter_version
from mmt.torch_side.convert_apart import onnx_to_mnn
from mmt.torch_side.export import ExportResult, glue_to_onnx, to_onnx
from mmt.torch_side.fingerprint import Fingerprints, InputSpec, input_specs
from mmt.torch_side.flops import total_cost
from mmt.torch_side.operators import Failed, Fallback, GenerateReport, Operator
from mmt.torch_side.pool import ConversionTask, Converted, ConverterPool, Stopped

__all__ = ["GenerateReport", "captured_folder", "convert_operators", "export_model", "generate", "generate_class"]

Progress = Callable[[int, int, str], None]

#: Operators with more bytes of weights than this are made by the worker processes, which convert them.
_MOST_BYTES_HERE = 32 << 20
#: From so many operators on, where there are enough workers, it pays that each of them loads PyTorch and exports: this
#: process alone would keep them waiting.
_MANY_OPERATORS, _MANY_WORKERS = 4000, 4


def convert_operators(operators: Iterable[Operator], folder: str | os.PathLike[str], *, total: int = 0,
                      workers: int | None = None, progress: Progress | None = None) -> GenerateReport:
    """Brings `operators` into `folder`: only what is not there yet is converted.

    What is finished survives an interruption; the next call goes on. `progress(done, total, text)` is called for each
    operator. Raises MmtError where the folder cannot be written.
    """
    return _Run(Path(folder), total, workers, progress).run(operators)


class _Run:
    """One call of convert_operators."""

    def __init__(self, folder: Path, total: int, workers: int | None, progress: Progress | None) -> None:
        self._folder = folder
        self._total = total
        self._workers = workers
        self._progress = progress
        self._report = GenerateReport(str(folder))
        self._read_manifest()
        self._order: dict[str, None] = {}  # fingerprints of this run, in its order
        self._fresh: dict[str, dict[str, Any]] = {}
        self._pending: dict[Future[Converted], tuple[Operator, dict[str, Any]]] = {}
        self._stores: dict[Path, Manifest] = {}
        self._saved_at = time.monotonic()
        self._save_cost = 0.0
        self._unsaved = False

    def _read_manifest(self) -> None:
        """Takes in what the folder holds. Models of another converter are not those that this one makes: they are
        converted again when asked for."""
        self._manifest_state = manifest_state(self._folder)
        self._manifest = manifest = read_manifest(self._folder)
        if manifest.converter not in ("", converter_version()):
            for entry in manifest.entries.values():
                entry["models"] = []
                entry["error"] = f"was made by {manifest.converter}; generate it again"
        manifest.converter = converter_version()

    def run(self, operators: Iterable[Operator]) -> GenerateReport:
        start = time.monotonic()
        try:
            (self._folder / "models").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise mmt_error("io", f"{self._folder}: cannot be made: {error.strerror}") from error
        pool: ConverterPool | None = None
        try:
            with watching():
                for operator in operators:
                    self._report.total += 1
                    prepared = self._prepare(operator)
                    if prepared is not None:
                        task, entry = prepared
                        if pool is None:  # a call that finds everything done starts no process
                            pool = ConverterPool(self._workers).__enter__()
                        self._pending[pool.submit(task)] = (operator, entry)
                    self._collect(wait=False)
            self._collect(wait=True)
        except BaseException as error:
            if pool is not None:
                pool.__exit__(type(error))
                pool = None
            self._collect(wait=False)
            raise
        finally:
            if pool is not None:
                pool.__exit__(None)
            self._save(final=True)
        self._report.seconds = time.monotonic() - start
        return self._report

    def _step(self, operator: Operator) -> None:
        if self._progress is not None:
            report = self._report
            done = report.new + report.reused + report.duplicates + len(report.dropped) + len(report.failed)
            self._progress(done, max(self._total, report.total), str(operator))

    def _prepare(self, operator: Operator) -> tuple[ConversionTask, dict[str, Any]] | None:
        """What is to be done for an operator; None where nothing is."""
        if operator.captured_id:
            self._take_captured(operator)
            return None
        try:
            module = operator.module
            if module is None and operator.trace is None:
                assert operator.cls is not None
                module = instantiate(operator.cls, operator.parameters)
            # Modules live for one operator only; a new look, so that their ids are not taken for others'.
            fingerprint = operator.fingerprint
            if not fingerprint:
                assert module is not None
                fingerprint = Fingerprints().fingerprint(module, operator.inputs)
            if fingerprint in self._order:
                self._report.duplicates += 1
                self._step(operator)
                return None
            if self._manifest.has_files(fingerprint):
                self._order[fingerprint] = None
                self._report.reused += 1
                self._step(operator)
                return None
            contexts = contexts_for(operator.inputs)
            written = None
            checked = operator.checked
            if operator.module is None and module is not None and self._made_here(module):
                written = quick.write(module, operator.inputs, fingerprint)
            if written is not None:
                checked = written[1]
            elif checked is None:
                assert module is not None
                checked = check(module, operator.inputs, operator.cls, operator.parameters)
        except Refused as refusal:
            self._report.dropped(operator.dropped(refusal.stage, str(refusal)))
            self._step(operator)
            return None
        self._order[fingerprint] = None
        entry = _entry(operator, module, fingerprint, checked)
        task = ConversionTask(fingerprint, os.path.abspath(self._folder), contexts, operator.inputs)
        if written is not None:
            _hand_over(written[0], task, entry)
            return task, entry
        recipe = _recipe(operator)
        if recipe is not None and not self._made_here(module):
            task.recipe = recipe
            return task, entry
        try:
            exported = _export_here(operator, fingerprint, last_resort=recipe is None)
            if exported.exporter == "torch":  # which is not for several threads: all at once, here
                exported.other = {context: exported.other(context) for context in contexts[1:]}.__getitem__
        except Exception as error:
            if recipe is not None:  # a worker has the last word
                task.recipe = recipe
                return task, entry
            self._fail(operator, entry, f"export failed: {type(error).__name__}: {error}")
            return None
        _hand_over(exported, task, entry)
        if not task.onnx:
            task.recipe = recipe
        elif exported.reason:
            self._report.fallbacks.append(Fallback(str(operator), exported.reason))
        return task, entry

    def _made_here(self, module: torch.nn.Module | None) -> bool:
        """Whether this process exports an operator, so that the workers need not load PyTorch."""
        workers = self._workers or len(os.sched_getaffinity(0))
        if workers >= _MANY_WORKERS and self._total >= _MANY_OPERATORS:
            return False
        weights = () if module is None else module.parameters()
        return sum(weight.numel() * weight.element_size() for weight in weights) <= _MOST_BYTES_HERE

    def _take_captured(self, operator: Operator) -> None:
        """An instance that scan captured: it is here already, or its files are copied."""
        fingerprint = operator.captured_id
        if fingerprint in self._order:
            self._report.duplicates += 1
        elif self._manifest.has_files(fingerprint):
            self._order[fingerprint] = None
            self._report.reused += 1
        else:
            for folder in operator.captured_in:
                store = self._store(folder)
                if store.has_files(fingerprint):
                    self._order[fingerprint] = None
                    self._copy(store, fingerprint)
                    self._report.new += 1
                    break
            else:
                where = " or ".join(str(folder) for folder in (self._folder, *operator.captured_in))
                reason = (f"no captured operator of this id in {where}; run `mmt scan` again with the model that it "
                          "came from")
                self._report.failed.append(Failed(str(operator), fingerprint, reason, operator.place))
        self._step(operator)

    def _store(self, folder: Path) -> Manifest:
        if folder not in self._stores:
            self._stores[folder] = read_manifest(folder)
        return self._stores[folder]

    def _copy(self, store: Manifest, fingerprint: str) -> None:
        entry = store.entries[fingerprint]
        for model in entry["models"]:
            target = self._folder / model["file"]
            partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
            try:
                shutil.copyfile(store.folder / model["file"], partial)
                os.replace(partial, target)
            except OSError as error:
                partial.unlink(missing_ok=True)
                raise mmt_error("io", f"{target}: cannot be written: {error.strerror}") from error
        self._fresh[fingerprint] = entry
        self._unsaved = True

    def _collect(self, wait: bool) -> None:
        """Takes in what is finished; with `wait`, everything."""
        while self._pending:
            done = [future for future in self._pending if future.done()]
            for future in done:
                operator, entry = self._pending.pop(future)
                if not future.cancelled() and not isinstance(future.exception(), Stopped):
                    self._take(operator, entry, future.result())
            self._save()
            if not wait:
                return
            if not done:
                time.sleep(0.005)

    def _take(self, operator: Operator, entry: dict[str, Any], converted: Converted) -> None:
        if converted.error:
            self._fail(operator, entry, converted.error)
            return
        entry["models"] = [vars(model) for model in converted.models]
        entry["exporter"] = entry["exporter"] or converted.exporter
        if entry["flops"] < 0:
            entry["flops"] = converted.flops
        if converted.reason:
            self._report.fallbacks.append(Fallback(str(operator), converted.reason))
        self._fresh[entry["fingerprint"]] = entry
        self._unsaved = True
        self._report.new += 1
        self._step(operator)

    def _fail(self, operator: Operator, entry: dict[str, Any], reason: str) -> None:
        entry["error"] = reason
        self._fresh[entry["fingerprint"]] = entry
        self._unsaved = True
        self._report.failed.append(Failed(str(operator), entry["fingerprint"], reason, operator.place))
        self._step(operator)

    def _save(self, final: bool = False) -> None:
        """Writes the manifest: at the end, and every two seconds (less often where writing itself takes long)."""
        now = time.monotonic()
        if not self._unsaved or (not final and now - self._saved_at < max(2.0, 20 * self._save_cost)):
            return
        with changing(self._folder):
            if manifest_state(self._folder) != self._manifest_state:
                before = self._manifest.entries
                self._read_manifest()  # another process has brought operators into the folder, too
                self._manifest.entries = before | self._manifest.entries
            kept = self._manifest.entries
            known = kept | {key: entry for key, entry in self._fresh.items()
                            if not entry["error"] or not self._manifest.has_files(key)}
            ordered = {key: entry for key, entry in kept.items() if key not in self._order}
            ordered.update((key, known[key]) for key in self._order if key in known)
            write_manifest(Manifest(self._folder, self._manifest.converter, ordered))
            self._manifest_state = manifest_state(self._folder)
        self._saved_at = time.monotonic()
        self._save_cost = self._saved_at - now
        self._unsaved = False


def _entry(operator: Operator, module: torch.nn.Module | None, fingerprint: str, checked: Checked) -> dict[str, Any]:
    ranges = operator.ranges or checked.ranges
    count = total_cost(operator.trace).parameters if module is None and operator.trace is not None else 0
    if module is not None:
        count = sum(parameter.numel() for parameter in module.parameters())
    return {
        "fingerprint": fingerprint,
        "kind": operator.kind,
        "class": operator.class_name,
        "parameters": operator.parameters,
        "inputs": [{"shape": list(shape), "dtype": dtype, **dict(zip(("low", "high", "shared"), values, strict=False))}
                   for (shape, dtype), values in zip(operator.inputs, ranges, strict=True)],
        "output_shapes": checked.output_shapes,
        "output_dtypes": checked.output_dtypes,
        "parameter_count": count,
        "flops": -1,
        "exporter": "",
        "origin": operator.origin,
        "models": [],
        "error": "",
    }


def _hand_over(exported: ExportResult, task: ConversionTask, entry: dict[str, Any]) -> None:
    task.onnx, task.other = exported.onnx_bytes, exported.other
    entry["exporter"], entry["flops"] = exported.exporter, exported.flops


def _recipe(operator: Operator) -> dict[str, Any] | None:
    """How a worker builds the operator; None where only this process can."""
    cls = operator.cls
    if cls is None or operator.module is not None or cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
        return None
    return {"module": cls.__module__, "class": cls.__qualname__, "parameters": operator.parameters,
            "search_path": operator.search_path}


def _export_here(operator: Operator, fingerprint: str, last_resort: bool) -> ExportResult:
    if operator.trace is not None:
        return glue_to_onnx(operator.trace)
    module = operator.module
    if module is None:
        assert operator.cls is not None
        module = build_seeded(operator.cls, operator.parameters, fingerprint)
    return to_onnx(module, operator.inputs, last_resort=last_resort)


def generate(space: str | os.PathLike[str] | core.Space, ops_dir: str | os.PathLike[str], *, yes: bool = False,
             workers: int | None = None, progress: Progress | None = None) -> GenerateReport:
    """Brings all operators of a space (a YAML file or a loaded space) into the folder `ops_dir`.

    `yes` confirms a space of more than 100,000 operators. Raises MmtError for mistakes in the space.
    """
    loaded = space if isinstance(space, core.Space) else load(space)
    resolved = resolve(loaded)
    check_size(loaded, yes)
    with beside(resolved.folder):
        return convert_operators(_from_space(resolved, yes), ops_dir, total=resolved.count(), workers=workers,
                                 progress=progress)


def generate_class(cls: type[torch.nn.Module], ops_dir: str | os.PathLike[str], space: dict[str, Any], *,
                   yes: bool = False, workers: int | None = None, progress: Progress | None = None) -> GenerateReport:
    """The keyword form: operators of one class, added to `ops_dir`."""
    loaded = from_keywords(cls, **space)
    resolved = resolve(loaded, cls=cls)
    check_size(loaded, yes)
    return convert_operators(_from_space(resolved, yes, "register"), ops_dir, total=resolved.count(), workers=workers,
                             progress=progress)


def export_model(model: torch.nn.Module, inputs: Any, path: Path, dtype: str | Sequence[str] = "float32") -> Path:
    """Converts a whole model as it is. Raises MmtError naming the file that it was to become."""
    specs = input_specs(inputs, dtype if isinstance(dtype, str) else "float32")
    if not isinstance(dtype, str):
        specs = [InputSpec(spec.shape, name) for spec, name in zip(specs, dtype, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        onnx_to_mnn(to_onnx(model.eval(), specs).onnx_bytes, path)
    except Exception as error:
        raise mmt_error(getattr(error, "code", "unsupported"), f"{path}: {error}") from error
    return path


def _from_space(resolved: ResolvedSpace, yes: bool, origin: str = "yaml") -> Iterator[Operator]:
    source = Path(resolved.space.source)
    for found in resolved.operators(yes):
        inputs = [InputSpec(shape, dtype) for shape, dtype in zip(found.input_shapes, found.input_dtypes, strict=True)]
        yield Operator(
            inputs, found.class_name, found.cls, found.parameters, found.search_path, captured_id=found.captured_id,
            captured_in=[captured_folder(source)] if found.captured_id else [],
            ranges=list(found.input_ranges) or None, origin=origin, place=found.place)


def captured_folder(yaml_path: Path) -> Path:
    """Where scan keeps captured operators that a YAML file refers to: `ops.captured/` beside `ops.yaml`."""
    return yaml_path.with_suffix(".captured")
