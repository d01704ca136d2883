"""ONNX to `.mnn` with MNN's own converter, called in process.

The converter prints, keeps state of its own, and a model that it cannot digest may end the process: these functions are
for worker processes (`mmt.torch_side.converter_process`). Files are written under a temporary name and renamed, so a
file that exists is complete.

While it works the converter puts large matrices into a file of a fixed name in the working directory, where converters
of other processes overwrite them: files with wrong numbers. Where it cannot make that file it keeps them in memory; so
it works in a directory that was removed.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mmt._core import kernel
from mmt.errors import mmt_error

CONTEXTS = ("plain", "packed")

# Lines that the converter prints about every model.
_CHATTER = ("Start to ", "inputTensors", "outputTensors", "Converted Success", "The device supports", "ONNX Model ",
            "Convert failed")

_NET_UUID_FIELD = 11  # position of mnn_uuid in the table at the root of a .mnn file


@dataclass(frozen=True)
class ModelFile:
    """One converted file: `context` ("plain", "packed"), `file` relative to the operator folder, size, SHA-256."""

    context: str
    file: str
    size_bytes: int
    sha256: str


def converter_version() -> str:
    """The converter's name and version as manifests hold it: "MNN 3.6.1"."""
    from importlib.metadata import version

    return f"MNN {version('MNN')}"


def model_file_name(fingerprint: str, context: str) -> str:
    """Where an operator's model lies in its folder: `models/<fingerprint>.mnn`, `models/<fingerprint>.packed.mnn`."""
    return f"models/{fingerprint}.mnn" if context == "plain" else f"models/{fingerprint}.{context}.mnn"


def contexts_for(inputs: list[tuple[tuple[int, ...], str]]) -> tuple[str, ...]:
    """The contexts that make sense for these (shape, dtype) inputs; "packed" needs a float input of rank 4."""
    packed = any(len(shape) == 4 and dtype.startswith(("float", "bfloat")) for shape, dtype in inputs)
    return CONTEXTS if packed else CONTEXTS[:1]


class OutputLog:
    """What was printed into a file since `mark()`, for the reason of a failure."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start = 0

    def mark(self) -> None:
        _flush()
        self._start = os.fstat(self._file.fileno()).st_size

    def reason(self) -> str:
        """The telling lines of the output since `mark()`, at most 400 characters; "" where there are none."""
        _flush()
        size = os.fstat(self._file.fileno()).st_size - self._start
        return telling_lines(os.pread(self._file.fileno(), max(0, size), self._start))


def telling_lines(output: bytes) -> str:
    """Condenses converter output to the lines that say what is wrong."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines()]
    kept = [line for line in lines if line and not any(chatter in line for chatter in _CHATTER)]
    text = "; ".join(dict.fromkeys(kept))
    return text if len(text) <= 400 else f"{text[:200]} … {text[-190:]}"


_libc = ctypes.CDLL(None)


def load_converter() -> Any:
    """The module that converts. Raises ImportError."""
    with contextlib.suppress(ImportError):
        return importlib.import_module("_tools")
    importlib.import_module("MNN")  # loads a library that the converter may need in other builds, and NumPy with it
    return importlib.import_module("_tools")


def keep_memory() -> None:
    """Memory that this process freed stays with it: a converter takes and gives back several times the size of every
    model, and most of its time would go into getting pages from the system and returning them."""
    if hasattr(_libc, "mallopt"):
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
        _libc.mallopt(mmap_threshold, 32 << 20)
        _libc.mallopt(trim_threshold, 256 << 20)


def _flush() -> None:
    """Empties the buffers of C's output streams."""
    _libc.fflush(None)


@functools.cache
def _removed_directory() -> int:
    """A descriptor of a directory that is gone: nothing can be made there, by nobody."""
    path = tempfile.mkdtemp()
    try:
        return os.open(path, os.O_RDONLY)
    finally:
        os.rmdir(path)


@contextlib.contextmanager
def _nowhere() -> Iterator[None]:
    """The working directory is one that was removed."""
    before = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))
    try:
        os.fchdir(_removed_directory())
        yield
    finally:
        os.fchdir(before)
        os.close(before)


def onnx_to_file(onnx: bytes, out_path: str | os.PathLike[str], log: OutputLog) -> tuple[int, str]:
    """Converts an ONNX model and writes it to `out_path`. Returns (size in bytes, SHA-256 of the file).

    The same bytes give the same file. `log`: where this process's output goes. Raises MmtError("unsupported") with what
    the converter said.
    """
    return write_model(converted(onnx, log), Path(os.path.abspath(out_path)))


def converted(onnx: bytes, log: OutputLog) -> bytes:
    """The `.mnn` bytes of an ONNX model; the same for the same bytes. `log`, errors: see onnx_to_file."""
    tools = load_converter()
    log.mark()
    with _scratch_file() as source, _scratch_file() as result:
        source.write(onnx)
        source.flush()
        with _nowhere():
            done = tools.mnnconvert(["mmt", "-f", "ONNX", "--modelFile", _path_of(source), "--MNNModel",
                                      _path_of(result), "--bizCode", "mmt", "--useOriginRNNImpl"])
        data = Path(_path_of(result)).read_bytes()
    if done is False or not data:
        raise mmt_error("unsupported", f"the converter refused the model: {log.reason() or 'no reason given'}")
    return _with_fixed_uuid(data, hashlib.sha256(b"%d %d" % (len(onnx), zlib.crc32(onnx))).hexdigest())


def write_model(data: bytes, target: Path) -> tuple[int, str]:
    """Writes a whole file or none. Returns (size in bytes, SHA-256). Raises MmtError("io") naming it."""
    digest = hashlib.sha256(data).hexdigest()
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(data)
        os.replace(partial, target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise mmt_error("io", f"{target}: cannot be written: {error.strerror}") from error
    return len(data), digest


def _scratch_file() -> BinaryIO:
    """An empty file that vanishes with this process, in memory where the system can do that."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("mmt"), "w+b")
    return tempfile.NamedTemporaryFile()


def _path_of(file: BinaryIO) -> str:
    return f"/proc/self/fd/{file.fileno()}" if hasattr(os, "memfd_create") else file.name


def _with_fixed_uuid(model: bytes, digest: str) -> bytes:
    """Replaces the random identifier that the converter writes by one made from `digest`."""
    root = struct.unpack_from("<I", model, 0)[0]
    table = root - struct.unpack_from("<i", model, root)[0]
    entry = 4 + 2 * _NET_UUID_FIELD
    if struct.unpack_from("<H", model, table)[0] <= entry:
        return model
    offset = struct.unpack_from("<H", model, table + entry)[0]
    if offset == 0:
        return model
    field = root + offset
    text = field + struct.unpack_from("<I", model, field)[0]
    length = struct.unpack_from("<I", model, text)[0]
    fixed = f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}".encode()
    if length != len(fixed):
        return model
    return model[: text + 4] + fixed + model[text + 4 + length :]


def convert_contexts(onnx: bytes, contexts: Sequence[str], fingerprint: str, folder: str | os.PathLike[str],
                     log: OutputLog, other: Callable[[str], bytes] | None = None) -> tuple[list[ModelFile], list[str]]:
    """Converts an operator into `folder`/models: `onnx` is that of the first of `contexts`, which are in the order of
    CONTEXTS.

    The packed context's model is made from the plain one's where that is possible (mmt/packed_model.h), which takes a
    tenth of the time; where not, `other` makes its ONNX. Returns the files, and the contexts that are missing because
    there is no `other`. Raises MmtError naming the context that failed; no files are left then.
    """
    (Path(folder) / "models").mkdir(parents=True, exist_ok=True)
    files: list[ModelFile] = []
    missing: list[str] = []
    plain = b""
    for context in contexts:
        name = model_file_name(fingerprint, context)
        try:
            if context == contexts[0]:
                data = plain = converted(onnx, log)
            elif (packed := kernel.packed_model(plain)) is not None:
                data = packed
            elif other is not None:
                data = converted(other(context), log)
            else:
                missing.append(context)
                continue
            files.append(ModelFile(context, name, *write_model(data, Path(folder) / name)))
        except RuntimeError as error:
            remove_models(folder, files)
            raise mmt_error(getattr(error, "code", "unsupported"), f"context {context}: {error}") from error
    return files, missing


def remove_models(folder: str | os.PathLike[str], files: Sequence[ModelFile]) -> None:
    """Takes away what was made of an operator that cannot be finished."""
    for file in files:
        (Path(folder) / file.file).unlink(missing_ok=True)
