"""The engine on MNN's wheel (and on an SDK build, where MMT_TEST_SDK_PLUGIN names its plugin), on real models."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mmt._core import MmtError
from mmt._core import engine as core_engine
from mmt.engine import Engine, EngineConfig, InputSpec, default_engine, plugin_path, wheel_info
from mmt.engine.default import PLUGIN_VARIABLE, worker_command, worker_environment


class Joined(nn.Module):
    """relu(conv(a)) + b: two inputs, a convolution with a fused activation, a binary operator."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(a)) + b


MODULES: dict[str, tuple[nn.Module, tuple[torch.Tensor, ...]]] = {}


def make_modules() -> None:
    torch.manual_seed(0)
    image = torch.randn(1, 3, 12, 10)
    MODULES.update(
        conv_relu=(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()), (image,)),
        head=(nn.Sequential(nn.Conv2d(3, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)), (image,)),
        joined=(Joined(), (image, torch.randn(1, 8, 12, 10))),
        embedding=(nn.Embedding(10, 4), (torch.tensor([[1, 2, 3, 9, 0]]),)),
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with <name>.mnn for every entry of MODULES."""
    import MNN  # noqa: F401  (the converter module needs it loaded first)

    import _tools  # isort: skip

    make_modules()
    folder = tmp_path_factory.mktemp("models")
    for name, (module, inputs) in MODULES.items():
        onnx = folder / f"{name}.onnx"
        names = [f"in{i}" for i in range(len(inputs))]
        torch.onnx.export(module.eval(), inputs, onnx, dynamo=False, input_names=names)
        mnn = folder / f"{name}.mnn"
        _tools.mnnconvert(["", "-f", "ONNX", "--modelFile", str(onnx), "--MNNModel", str(mnn), "--bizCode", "mmt"])
        assert mnn.is_file()
    return folder


@pytest.fixture(scope="module", params=["wheel", "sdk"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "wheel":
        return default_engine()
    plugin = os.environ.get("MMT_TEST_SDK_PLUGIN")
    if not plugin:
        pytest.skip("MMT_TEST_SDK_PLUGIN does not name an engine plugin built with -DMNN_ROOT=…")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PLUGIN_VARIABLE, plugin)
        return default_engine()


def worker_pids() -> set[int]:
    """Worker processes of this process."""
    pids = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            command = (stat.parent / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue  # It ended meanwhile.
        if parent == os.getpid() and b"mmt.engine.worker" in command:
            pids.add(int(stat.parent.name))
    return pids


def start_alone(config: EngineConfig | None = None, **options: float) -> tuple[Engine, int]:
    """A new engine and the process behind it."""
    before = worker_pids()
    engine = default_engine(config, **options)
    (pid,) = worker_pids() - before
    return engine, pid


@pytest.mark.parametrize("name", ["conv_relu", "head", "joined", "embedding"])
def test_numbers_are_those_of_torch(engine: Engine, models: Path, name: str) -> None:
    module, inputs = MODULES[name]
    session = engine.open(str(models / f"{name}.mnn"))
    values = [np.ascontiguousarray(value.numpy(), dtype=np.float32) for value in inputs]
    (result,) = session.compute(values)
    with torch.no_grad():
        expected = module(*inputs).numpy()
    assert session.desc.outputs[0].shape == list(expected.shape)
    np.testing.assert_allclose(result.reshape(expected.shape), expected, atol=1e-4)


def test_schedule_is_the_one_that_mnn_executes(models: Path) -> None:
    import MNN

    path = str(models / "joined.mnn")
    executed = []

    def after(tensors: list, info: object) -> bool:
        executed.append((info.getName(), info.getType(), [list(tensor.getShape()) for tensor in tensors]))
        return True

    interpreter = MNN.Interpreter(path)
    session = interpreter.createSession({"numThread": 1})
    interpreter.runSessionWithCallBackInfo(session, lambda tensors, info: True, after)
    kernels = default_engine().open(path).desc.kernels
    assert [(k.name, k.type, [t.shape for t in k.outputs]) for k in kernels] == executed


def test_layouts_and_copies_are_described(engine: Engine, models: Path) -> None:
    desc = engine.open(str(models / "conv_relu.mnn")).desc
    assert [kernel.type for kernel in desc.kernels] == ["Raster", "Convolution", "Raster"]
    pack, conv, unpack = desc.kernels
    assert [conv.inputs[0].layout, conv.outputs[0].layout] == ["nc4hw4", "nc4hw4"]
    assert desc.inputs[0].layout == desc.outputs[0].layout == "nchw"
    assert pack.regions[0].origin == desc.inputs[0].id == pack.inputs[0].id
    assert pack.outputs[0].id == conv.inputs[0].id
    assert unpack.regions[0].origin == conv.outputs[0].id
    assert np.prod(unpack.regions[0].size) == 8 * 12 * 10
    assert (desc.inputs[0].name, desc.inputs[0].dtype) == ("in0", "float32")
    assert desc.mflops > 0


def test_constants_are_marked(engine: Engine, models: Path) -> None:
    desc = engine.open(str(models / "embedding.mnn")).desc
    tensors = [tensor for kernel in desc.kernels for tensor in kernel.inputs]
    assert any(tensor.constant and tensor.shape == [10, 4] for tensor in tensors)
    assert desc.inputs[0].dtype == "int32"


def test_two_hundred_runs_do_not_fail(engine: Engine, models: Path) -> None:
    session = engine.open(str(models / "head.mnn"))
    samples = session.run(runs=200)
    assert samples["run_us"].shape == (200,)
    assert (samples["run_us"] > 0).all()
    assert samples["timed_us"] == pytest.approx(samples["run_us"].sum())
    assert samples["overhead_us"] > 0
    assert -1 <= samples["steal_share"] <= 1
    assert samples["migrations"] >= -1
    assert "kernel_us" not in samples


def test_profiles_have_a_column_per_kernel(engine: Engine, models: Path) -> None:
    session = engine.open(str(models / "head.mnn"))
    samples = session.run(runs=10, profile=True)
    assert samples["kernel_us"].shape == (10, len(session.desc.kernels))
    assert (samples["kernel_us"].sum(axis=1) <= samples["run_us"] + 0.1).all()


@pytest.mark.parametrize("name", ["conv_relu", "head", "joined", "embedding"])
@pytest.mark.parametrize("profile", [False, True])
def test_runs_in_the_caches_of_a_model_change_nothing_else(
    engine: Engine, models: Path, name: str, profile: bool
) -> None:
    session = engine.open(str(models / f"{name}.mnn"))
    values = [np.ascontiguousarray(value.numpy(), dtype=np.float32) for value in MODULES[name][1]]
    (before,) = session.compute(values)
    for _ in range(2):  # the first call also finds the activations' memory
        samples = session.run(5, profile, displace_bytes=3 << 20)
        assert samples["run_us"].shape == (5,)
        assert not profile or samples["kernel_us"].shape == (5, len(session.desc.kernels))
    (after,) = session.compute(values)
    np.testing.assert_array_equal(after, before)


def test_integer_inputs_are_indices(engine: Engine, models: Path) -> None:
    path = str(models / "embedding.mnn")
    assert engine.open(path, [InputSpec(low=0, high=10)]).run(50)["run_us"].size == 50
    assert engine.open(path).run(50)["run_us"].size == 50
    with pytest.raises(MmtError, match="range") as caught:
        engine.open(path, [InputSpec(low=3, high=2)])
    assert caught.value.code == "invalid_argument"


def test_other_shapes(engine: Engine, models: Path) -> None:
    path = str(models / "conv_relu.mnn")
    assert engine.open(path, [InputSpec(shape=[2, 3, 9, 9])]).desc.outputs[0].shape == [2, 8, 9, 9]
    with pytest.raises(MmtError, match=r"conv_relu\.mnn.*in0 \[1,5,12,10\]") as caught:
        engine.open(path, [InputSpec(name="in0", shape=[1, 5, 12, 10])])
    assert caught.value.code == "engine"
    with pytest.raises(MmtError, match="number of dimensions"):
        engine.open(path, [InputSpec(shape=[3, 12, 10])])
    with pytest.raises(MmtError, match="none is called 'image'"):
        engine.open(path, [InputSpec(name="image", shape=[1, 3, 12, 10])])
    session = engine.open(path)
    with pytest.raises(MmtError, match="360 elements, given 7"):
        session.compute([np.zeros(7, np.float32)])


def test_damaged_files_are_named(engine: Engine, models: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.mnn"
    damaged.write_bytes((models / "head.mnn").read_bytes()[:300])
    for path, code in ((damaged, "engine"), (tmp_path / "absent.mnn", "not_found")):
        with pytest.raises(MmtError, match=str(path)) as caught:
            engine.open(str(path))
        assert caught.value.code == code
    assert engine.open(str(models / "head.mnn")).run(1)["run_us"].size == 1


def test_two_threads_are_read_back(models: Path) -> None:
    engine = default_engine(EngineConfig(threads=2))
    assert engine.facts.threads == 2
    module, inputs = MODULES["conv_relu"]
    (result,) = engine.open(str(models / "conv_relu.mnn")).compute([inputs[0].numpy()])
    with torch.no_grad():
        np.testing.assert_allclose(result, module(*inputs).numpy().ravel(), atol=1e-4)


def test_facts_and_wheel() -> None:
    facts = default_engine().facts
    info = wheel_info()
    assert (facts.name, facts.backend, facts.threads, facts.per_kernel) == ("mnn", "cpu", 1, True)
    assert facts.version == info["version"]
    assert info["supported"]
    assert facts.build.startswith("wheel ")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"backend": "opencl"}, "unsupported"),
        ({"backend": "abacus"}, "invalid_argument"),
        ({"threads": 1000}, "unsupported"),
        ({"cpus": [100000]}, "invalid_argument"),
    ],
)
def test_configurations_that_cannot_be_served(options: dict, code: str) -> None:
    with pytest.raises(MmtError) as caught:
        default_engine(EngineConfig(**options))
    assert caught.value.code == code


def test_killed_worker_is_a_crash_and_restart_goes_on(models: Path) -> None:
    engine, pid = start_alone()
    path = str(models / "head.mnn")
    session = engine.open(path)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(MmtError, match="SIGKILL") as caught:
        session.run(1)
    assert caught.value.code == "crashed"
    engine.restart()
    with pytest.raises(MmtError, match="started again"):
        session.run(1)
    assert engine.open(path).run(3)["run_us"].size == 3


def test_hanging_worker_is_ended(models: Path) -> None:
    engine, pid = start_alone(call_timeout_s=0.5)
    session = engine.open(str(models / "head.mnn"))
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(MmtError, match="500 ms") as caught:
        session.run(1)
    assert caught.value.code == "timeout"
    assert pid not in worker_pids()


def test_worker_stays_on_its_processors(models: Path) -> None:
    allowed = min(os.sched_getaffinity(0))
    engine, pid = start_alone(EngineConfig(cpus=[allowed], threads=2))
    threads = {int(path.name): os.sched_getaffinity(int(path.name)) for path in Path(f"/proc/{pid}/task").iterdir()}
    assert threads[pid] == {allowed}
    assert engine.open(str(models / "head.mnn")).run(20)["migrations"] == 0


def test_worker_ends_with_its_engine() -> None:
    engine, pid = start_alone()
    assert engine.resident_mib > 1
    del engine
    assert pid not in worker_pids()


def test_missing_plugins_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(PLUGIN_VARIABLE, str(tmp_path / "absent.so"))
    with pytest.raises(MmtError, match=PLUGIN_VARIABLE) as caught:
        default_engine()
    assert caught.value.code == "not_found"


def test_plugin_without_mnn_says_what_is_missing() -> None:
    command = [part for part in worker_command(EngineConfig()) if part != "--wheel"]
    with pytest.raises(MmtError, match="undefined symbol") as caught:
        core_engine.start_worker_engine(command, env=worker_environment())
    assert caught.value.code == "unsupported"


def test_other_versions_of_mnn_are_refused(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler to pretend another version of MNN")
    source = tmp_path / "version.c"
    source.write_text('const char* _ZN3MNN10getVersionEv(void) { return "9.8.7"; }\n')
    library = tmp_path / "version.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    env = [*worker_environment(), f"LD_PRELOAD={library}"]
    with pytest.raises(MmtError, match=r"MNN 9\.8\.7 is not supported.*3\.6\.1") as caught:
        core_engine.start_worker_engine(worker_command(EngineConfig()), env=env)
    assert caught.value.code == "unsupported"


def test_configuration_as_json() -> None:
    config = EngineConfig(backend="vulkan", threads=3, precision="low", memory="high", power="low", cpus=[0, 1])
    back = EngineConfig.from_json(config.to_json())
    assert back.to_json() == config.to_json()
    assert back.cpus == [0, 1]
    assert plugin_path()[0].is_file()
