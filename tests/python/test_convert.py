"""Conversion to .mnn: deterministic, quiet, and a converter that dies costs one operator."""

import io
import os
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import nn

from mmt.errors import MmtError
from mmt.torch_side import convert_apart
from mmt.torch_side.convert import contexts_for, model_file_name
from mmt.torch_side.convert_apart import onnx_to_mnn
from mmt.torch_side.converter_process import ConverterProcess
from mmt.torch_side.export import to_onnx
from mmt.torch_side.pool import ConversionTask, ConverterPool, Stopped
from mmt.torch_side.structure import TensorSpec


def onnx_of(module, *inputs):
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), inputs, buffer, dynamo=False, opset_version=17)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def conv_onnx():
    torch.manual_seed(0)
    return onnx_of(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()), torch.zeros(1, 3, 8, 8))


def test_the_same_model_gives_the_same_file_without_a_word(conv_onnx, tmp_path, capfd):
    first = onnx_to_mnn(conv_onnx, tmp_path / "a.mnn")
    second = onnx_to_mnn(conv_onnx, tmp_path / "b.mnn")
    assert first == second
    assert (tmp_path / "a.mnn").read_bytes() == (tmp_path / "b.mnn").read_bytes()
    assert first[0] == (tmp_path / "a.mnn").stat().st_size
    assert sorted(os.listdir(tmp_path)) == ["a.mnn", "b.mnn"]
    print("after")
    assert capfd.readouterr().out == "after\n"


def test_the_fixed_identifier_leaves_a_model_that_loads_and_computes(conv_onnx, tmp_path):
    import MNN

    onnx_to_mnn(conv_onnx, tmp_path / "a.mnn")
    interpreter = MNN.Interpreter(str(tmp_path / "a.mnn"))
    session = interpreter.createSession()
    assert interpreter.runSession(session) == 0
    assert tuple(interpreter.getSessionOutput(session).getShape()) == (1, 8, 6, 6)
    identifiers = re.findall(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}",
                             (tmp_path / "a.mnn").read_bytes())
    assert len(identifiers) == 1


def test_a_refused_model_is_an_error_with_a_reason(tmp_path):
    with pytest.raises(MmtError, match="converter refused") as caught:
        onnx_to_mnn(b"this is no model", tmp_path / "a.mnn")
    assert caught.value.code == "unsupported"
    assert list(tmp_path.iterdir()) == []


def test_contexts_and_file_names():
    assert contexts_for([((1, 3, 8, 8), "float32")]) == ("plain", "packed")
    assert contexts_for([((1, 8), "float32")]) == ("plain",)
    assert contexts_for([((1, 3, 8, 8), "int64")]) == ("plain",)
    assert contexts_for([((1, 8), "float32"), ((1, 3, 8, 8), "float32")]) == ("plain", "packed")
    assert model_file_name("ab", "plain") == "models/ab.mnn"
    assert model_file_name("ab", "packed") == "models/ab.packed.mnn"


def test_what_lies_in_the_working_directory_is_not_touched(tmp_path, monkeypatch):
    """MNN's converter keeps large matrices in a file of this name there, where two would overwrite each other's."""
    scratch = tmp_path / ".__convert_external_data.bin"
    matrix = onnx_of(nn.Linear(512, 256), torch.zeros(1, 512))
    monkeypatch.chdir(tmp_path)
    first = onnx_to_mnn(matrix, "a.mnn")
    assert not scratch.exists()
    scratch.write_bytes(b"of another process")
    assert onnx_to_mnn(matrix, "b.mnn") == first
    with ConverterPool(1) as pool:
        done = pool.submit(task("ab", tmp_path, plain=matrix)).result()
    assert done.models[0].sha256 == first[1]
    assert scratch.read_bytes() == b"of another process"
    assert Path.cwd() == tmp_path


def test_the_working_directory_may_be_gone(conv_onnx, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr(convert_apart, "_converter", convert_apart._Converter())
    size, _ = onnx_to_mnn(conv_onnx, tmp_path / "a.mnn")
    assert (tmp_path / "a.mnn").stat().st_size == size
    with pytest.raises(FileNotFoundError):
        onnx_to_mnn(conv_onnx, "b.mnn")


def test_a_file_that_cannot_be_written_is_named(conv_onnx, tmp_path):
    with pytest.raises(MmtError, match=r"none/a\.mnn: cannot be written: No such file") as caught:
        onnx_to_mnn(conv_onnx, tmp_path / "none" / "a.mnn")
    assert caught.value.code == "io"


def test_threads_convert_at_once_and_what_they_print_meanwhile_arrives(conv_onnx, tmp_path, capfd):
    def work(number):
        found = onnx_to_mnn(conv_onnx, tmp_path / f"{number}.mnn")
        os.write(1, f"{number}\n".encode())
        return found

    with ThreadPoolExecutor(6) as threads:
        results = list(threads.map(work, range(12)))
    assert set(results) == {onnx_to_mnn(conv_onnx, tmp_path / "alone.mnn")}
    assert sorted(map(int, capfd.readouterr().out.split())) == list(range(12))


def test_a_converter_that_dies_costs_one_model_and_not_this_process(conv_onnx, tmp_path, monkeypatch, fake_worker):
    converter = convert_apart._Converter()
    converter._process = ConverterProcess(module=fake_worker)
    monkeypatch.setattr(convert_apart, "_converter", converter)
    with pytest.raises(MmtError, match="killed by SIGSEGV") as caught:
        onnx_to_mnn(conv_onnx, tmp_path / "crash")
    assert caught.value.code == "crashed"
    converter.close()
    assert onnx_to_mnn(conv_onnx, tmp_path / "a.mnn")[0] > 0


def test_a_forked_process_has_a_converter_of_its_own(conv_onnx, tmp_path):
    first = onnx_to_mnn(conv_onnx, tmp_path / "a.mnn")
    child = os.fork()
    if child == 0:
        try:
            same = onnx_to_mnn(conv_onnx, tmp_path / "b.mnn") == first
            convert_apart._converter.close()
            os._exit(0 if same else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert onnx_to_mnn(conv_onnx, tmp_path / "c.mnn") == first


def test_a_large_model_leaves_no_process_behind(conv_onnx, tmp_path, monkeypatch):
    onnx_to_mnn(conv_onnx, tmp_path / "a.mnn")
    assert convert_apart._converter._process is not None
    monkeypatch.setattr(convert_apart, "_MOST_BYTES_KEPT", 10)
    onnx_to_mnn(conv_onnx, tmp_path / "a.mnn")
    assert convert_apart._converter._process is None


def task(fingerprint, folder="", **onnx):
    """`onnx`: the bytes of each context."""
    return ConversionTask(fingerprint, str(folder), tuple(onnx), [((1, 3, 8, 8), "float32")],
                          onnx=next(iter(onnx.values())), other=onnx.__getitem__)


@pytest.fixture
def fake_worker(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    return "fake_convert_worker"


def test_a_worker_that_dies_or_hangs_costs_one_operator(fake_worker):
    with ConverterPool(1, timeout_s=2.0, worker_module=fake_worker) as pool:
        orders = ["fine", "exit", "fine", "crash", "hang", "fine"]
        results = [pool.submit(task(order, plain=b"12")).result() for order in orders]
    assert [bool(result.error) for result in results] == [False, True, False, True, True, False]
    assert "exit code 3: Not supported operator: Frobnicate" in results[1].error
    assert "SIGSEGV" in results[3].error
    assert "within 2 s" in results[4].error
    assert results[0].exporter == "fake"
    assert results[0].models[0].sha256 == "12"
    processes = [result.models[0].file for result in results if result.models]
    assert len(set(processes)) == 3  # each failure brought a new process


def test_workers_share_the_tasks_and_leaving_early_ends_them(fake_worker):
    with ConverterPool(2, timeout_s=30.0, worker_module=fake_worker) as pool:
        futures = [pool.submit(task(f"fine {i}", plain=b"1", packed=b"23")) for i in range(20)]
        results = [future.result() for future in futures]
    assert [[model.size_bytes for model in result.models] for result in results] == [[1, 2]] * 20
    pool = ConverterPool(1, worker_module=fake_worker).__enter__()
    futures = [pool.submit(task(order, plain=b"1")) for order in ("hang", "fine")]
    pool.__exit__(KeyboardInterrupt)
    assert all(future.cancelled() or isinstance(future.exception(), Stopped) for future in futures)


def test_an_operator_is_converted_whole_or_not_at_all(conv_onnx, tmp_path):
    with ConverterPool(1) as pool:
        done = pool.submit(task("ab", tmp_path, plain=conv_onnx, packed=conv_onnx)).result()
        half = pool.submit(task("cd", tmp_path, plain=conv_onnx, packed=b"?")).result()
    assert [file.file for file in done.models] == ["models/ab.mnn", "models/ab.packed.mnn"]
    assert "context packed" in half.error
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["ab.mnn", "ab.packed.mnn"]


def test_what_cannot_be_finished_leaves_no_files(conv_onnx, tmp_path):
    def no_onnx(context):
        raise ValueError(f"no {context}")

    lost = task("ab", tmp_path, plain=conv_onnx, packed=b"")
    lost.other = no_onnx
    with ConverterPool(1) as pool:
        assert pool.submit(lost).result().error == "context packed: export failed: ValueError: no packed"
    assert list((tmp_path / "models").iterdir()) == []


def test_the_packed_model_is_made_from_the_plain_one_where_that_shows_it(tmp_path):
    def files(module):
        """What the converter was asked for, the plain and the packed model, and that of the packed ONNX."""
        exported = to_onnx(module.eval(), [TensorSpec((1, 8, 7, 7))])
        asked = []

        def other(context):
            asked.append(context)
            return exported.other(context)

        inputs = [((1, 8, 7, 7), "float32")]
        with ConverterPool(1) as pool:
            for name, contexts, onnx in (("both", ("plain", "packed"), exported.onnx_bytes),
                                         ("alone", ("packed",), exported.other("packed"))):
                done = pool.submit(ConversionTask(name, str(tmp_path), contexts, inputs, onnx, other)).result()
                assert not done.error
        models = tmp_path / "models"
        return asked, *((models / name).read_bytes() for name in ("both.mnn", "both.packed.mnn", "alone.packed.mnn"))

    asked, plain, made, converted = files(nn.Sequential(nn.Conv2d(8, 4, 3), nn.Hardswish()))
    assert asked == []
    assert made != converted
    assert made.endswith(plain)
    asked, _, made, converted = files(nn.ReLU())  # runs unpacked when it reads the input itself
    assert asked == ["packed"]
    assert made == converted


def test_real_workers_convert(conv_onnx, tmp_path):
    with ConverterPool(1) as pool:
        done = pool.submit(task("ab", tmp_path, plain=conv_onnx)).result()
        refused = pool.submit(task("cd", tmp_path, plain=b"no model")).result()
    assert done.error == ""
    assert (tmp_path / done.models[0].file).stat().st_size == done.models[0].size_bytes
    assert "converter" in refused.error
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["ab.mnn"]
