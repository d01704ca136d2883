"""Fingerprints: equal for equal operators, different for different ones, and nothing else matters."""

import functools
import importlib.util
import subprocess
import sys
import textwrap
import warnings

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mmt import _core
from mmt.torch_side import fingerprint as fingerprints
from mmt.torch_side.fingerprint import Fingerprints, InputSpec, fingerprint, input_specs

small = st.integers(1, 4)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
shapes = st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple)


def configurations(cls, **choices):
    return st.fixed_dictionaries(choices).map(lambda kwargs: (cls, tuple(sorted(kwargs.items()))))


LAYERS = st.one_of(
    configurations(nn.Conv2d, in_channels=small, out_channels=small, kernel_size=pairs, stride=pairs, padding=pairs,
                   bias=st.booleans(), padding_mode=st.sampled_from(["zeros", "reflect"])),
    configurations(nn.Conv1d, in_channels=small, out_channels=small, kernel_size=st.integers(1, 3).map(lambda k: (k,))),
    configurations(nn.ConvTranspose2d, in_channels=small, out_channels=small, kernel_size=pairs, stride=pairs),
    configurations(nn.Linear, in_features=small, out_features=small, bias=st.booleans()),
    configurations(nn.BatchNorm2d, num_features=small, eps=st.sampled_from([1e-5, 1e-3]), affine=st.booleans()),
    configurations(nn.LayerNorm, normalized_shape=pairs, elementwise_affine=st.booleans()),
    configurations(nn.MaxPool2d, kernel_size=st.one_of(small, pairs), stride=small, ceil_mode=st.booleans()),
    configurations(nn.AvgPool2d, kernel_size=st.one_of(small, pairs), stride=small, ceil_mode=st.booleans()),
    configurations(nn.ReLU, inplace=st.booleans()),
    configurations(nn.ReLU6, inplace=st.booleans()),
    configurations(nn.LeakyReLU, negative_slope=st.sampled_from([0.01, 0.1, 1.0])),
    configurations(nn.GELU, approximate=st.sampled_from(["none", "tanh"])),
    configurations(nn.Softmax, dim=st.sampled_from([None, -1, 0, 1])),
    configurations(nn.GRU, input_size=small, hidden_size=small, num_layers=small, bidirectional=st.booleans()),
    configurations(nn.LSTM, input_size=small, hidden_size=small, num_layers=small, bidirectional=st.booleans()),
    configurations(nn.Embedding, num_embeddings=small, embedding_dim=small),
    configurations(nn.Upsample, scale_factor=st.sampled_from([2.0, 3.0]),
                   mode=st.sampled_from(["nearest", "bilinear"])),
    configurations(nn.Dropout, p=st.sampled_from([0.0, 0.5])),
)
MODULES = st.recursive(
    LAYERS, lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda items: (nn.Sequential, tuple(items))),
    max_leaves=4)


def build(configuration):
    cls, content = configuration
    return cls(*map(build, content)) if cls is nn.Sequential else cls(**dict(content))


@settings(max_examples=300, deadline=None)
@given(MODULES, MODULES, shapes, shapes)
def test_equal_if_and_only_if_configuration_and_inputs_are(first, second, first_shape, second_shape):
    ours = fingerprint(build(first), first_shape)
    assert ours == fingerprint(build(first), first_shape)
    theirs = fingerprint(build(second), second_shape)
    assert (ours == theirs) == (first == second and first_shape == second_shape)


class Holds(nn.Module):
    def __init__(self, value, tensors):
        super().__init__()
        self.value = value
        for name, (kind, shape) in tensors.items():
            self.register_buffer(name, None if kind is None else torch.zeros(shape, dtype=kind))


PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple),
                            st.dictionaries(st.text(max_size=2), inner, max_size=2)),
    max_leaves=5)
TENSORS = st.dictionaries(
    st.sampled_from(["a", "b", "é"]),
    st.tuples(st.sampled_from([None, torch.float32, torch.int64]), st.lists(st.integers(0, 3), max_size=3)))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(PLAIN, TENSORS), min_size=2, max_size=4))
def test_what_is_remembered_of_modules_changes_nothing(contents):
    modules = [Holds(*content) for content in contents]
    modules.append(nn.Sequential(*modules, modules[0]))
    remembered = [Fingerprints().configuration(module) for module in modules for _ in range(2)]
    anew = []
    for module in modules:
        _core.fingerprints.forget()
        anew.append(Fingerprints().configuration(module))
    assert remembered == [digest for digest in anew for _ in range(2)]


@settings(max_examples=100, deadline=None)
@given(LAYERS)
def test_weights_device_mode_and_hooks_do_not_matter(configuration):
    module = build(configuration)
    before = fingerprint(module, [1, 2])
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    module.eval().requires_grad_(False)
    module.register_forward_hook(lambda *_: None)
    assert fingerprint(module, [1, 2]) == before
    assert fingerprint(module.to("meta"), [1, 2]) == before


def test_what_compilers_leave_on_a_module_does_not_matter():
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Linear(6, 4), nn.ReLU())).eval()
    before = fingerprint(module, [1, 3, 8, 8])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripting is deprecated
        torch.jit.script(module)
    torch.compile(module[1])
    module[1].compile()
    assert vars(module[1]).keys() >= {"__overloads__", "_compiled_call_impl"}
    assert fingerprint(module, [1, 3, 8, 8]) == before


def test_is_32_hexadecimal_digits_and_reads_inputs_in_every_form():
    layer = nn.Linear(2, 3)
    forms = [[1, 2], [[1, 2]], [((1, 2), "float32")], [((1, 2), torch.float32)], torch.zeros(1, 2), [torch.zeros(1, 2)],
             [InputSpec((1, 2))]]
    assert len({fingerprint(layer, form) for form in forms}) == 1
    assert len(fingerprint(layer, [1, 2])) == 32
    assert set(fingerprint(layer, [1, 2])) <= set("0123456789abcdef")
    assert fingerprint(layer, [((1, 2), "int64")]) != fingerprint(layer, [1, 2])
    assert fingerprint(layer, [[1, 2], [1, 2]]) != fingerprint(layer, [1, 2])
    with pytest.raises(TypeError, match="no input"):
        input_specs(["three"])


def test_a_changed_module_is_another_operator():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    prints = [fingerprint(model, [1, 3, 8, 8])]
    model[0].stride = (2, 2)
    prints.append(fingerprint(model, [1, 3, 8, 8]))
    model[1] = nn.Hardswish()
    prints.append(fingerprint(model, [1, 3, 8, 8]))
    model[0].weight = nn.Parameter(torch.zeros(8, 3, 5, 5))
    prints.append(fingerprint(model, [1, 3, 8, 8]))
    model[0].bias = None
    prints.append(fingerprint(model, [1, 3, 8, 8]))
    assert len(set(prints)) == 5


class Act(nn.Module):
    def __init__(self, act, **extra):
        super().__init__()
        self.act = act
        for name, value in extra.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.act(x)


def test_stored_callables_count_by_what_they_do():
    def scaled(x, factor=2):
        return x * factor

    def closure(k):
        return lambda x: x * k

    acts = [F.relu, F.relu6, torch.relu, torch.sigmoid, scaled, closure(1), closure(2), lambda x: x + 1,
            lambda x: x + 2,
            functools.partial(F.leaky_relu, negative_slope=0.1), functools.partial(F.leaky_relu, negative_slope=0.2),
            nn.ReLU(), nn.ReLU6(), F.max_pool2d, F.adaptive_max_pool2d]
    assert len({fingerprint(Act(act), [1]) for act in acts}) == len(acts)
    assert fingerprint(Act(closure(1)), [1]) == fingerprint(Act(closure(1)), [1])
    pair = (lambda x: x + 1, lambda x: x + 2)
    assert fingerprint(Act(pair), [1]) != fingerprint(Act(pair[::-1]), [1])


def test_values_keep_their_type_lists_are_tuples_and_order_of_attributes_does_not_matter():
    values = [1, 1.0, True, "1", None, [1], {"a": 1}, {"a": 1.0}, {1}, b"1", torch.float32, torch.zeros(1),
              torch.zeros(2), slice(1), range(1), [[1], 2], [1, [2]]]
    assert len({fingerprint(Act(None, value=value), [1]) for value in values}) == len(values)
    assert fingerprint(Act(None, value=(1, [2])), [1]) == fingerprint(Act(None, value=[1, (2,)]), [1])
    assert fingerprint(Act(None, a=1, b=2), [1]) == fingerprint(Act(None, b=2, a=1), [1])
    assert fingerprint(Act(None, a=1, b=2), [1]) != fingerprint(Act(None, a=2, b=1), [1])
    assert fingerprint(Act(None, a={1, 2, 3}), [1]) == fingerprint(Act(None, a={3, 2, 1}), [1])


def test_plain_objects_count_by_class_and_state_and_cycles_end():
    class Config:
        def __init__(self, width):
            self.width = width

    assert fingerprint(Act(None, c=Config(1)), [1]) == fingerprint(Act(None, c=Config(1)), [1])
    assert fingerprint(Act(None, c=Config(1)), [1]) != fingerprint(Act(None, c=Config(2)), [1])
    parent = Act(None)
    parent.child = Act(nn.ReLU())
    parent.child.parent = [parent]
    assert fingerprint(parent, [1]) == fingerprint(parent, [1])
    loop = []
    loop.append(loop)
    assert fingerprint(Act(None, loop=loop), [1])


def test_the_training_flag_is_left_out_and_repr_is_not_used():
    class Loud(nn.Linear):
        def __repr__(self):
            raise AssertionError("the fingerprint must not print modules")

    assert fingerprint(Loud(2, 2), [1, 2]) == fingerprint(Loud(2, 2).eval(), [1, 2])


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SOURCE = """
from torch import nn

def helper(x):
    return x + {constant}

SCALE = {scale}

class Block(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.fc = nn.Linear(width, width)

    {decorator}
    def forward(self, x):
        {body}

    def __repr__(self):
        return "{name}"
"""


def variant(tmp_path, number, **changes):
    values = {"constant": 1, "scale": 2, "body": "return helper(self.fc(x)) * SCALE", "name": "Block", "decorator": ""}
    folder = tmp_path / str(number)
    folder.mkdir()
    path = folder / "blocks.py"
    path.write_text(textwrap.dedent(SOURCE).format(**{**values, **changes}))
    return fingerprint(load(path, "blocks").Block(), [1, 4])


def test_the_source_of_a_custom_class_and_of_what_it_uses_counts(tmp_path):
    base = variant(tmp_path, 0)
    assert variant(tmp_path, 1) == base
    assert variant(tmp_path, 2, name="another text") == base
    assert variant(tmp_path, 3, body="return helper(self.fc(x)) * SCALE  # a comment") == base
    changed = [variant(tmp_path, 4, constant=3), variant(tmp_path, 5, scale=3),
               variant(tmp_path, 6, body="return self.fc(helper(x)) * SCALE"),
               variant(tmp_path, 7, body="return helper(self.fc(x)).relu() * SCALE")]
    assert len({base, *changed}) == 5


def test_classes_without_source_are_told_apart_by_their_code():
    def make(expression):
        names = {"nn": nn}
        exec(f"class Made(nn.Module):\n    def forward(self, x):\n        return {expression}\n", names)
        return names["Made"]()

    assert fingerprint(make("x + 1"), [1]) == fingerprint(make("x + 1"), [1])
    assert fingerprint(make("x + 1"), [1]) != fingerprint(make("x + 2"), [1])
    assert fingerprint(make("x.relu()"), [1]) != fingerprint(make("x.sigmoid()"), [1])


def test_classes_that_use_each_other_end():
    class First(nn.Module):
        def forward(self, x):
            return x if isinstance(self, Second) else x + 1

    class Second(nn.Module):
        def forward(self, x):
            return x if isinstance(self, First) else x + 2

    assert fingerprint(First(), [1]) != fingerprint(Second(), [1])
    assert fingerprint(First(), [1]) == fingerprint(First(), [1])


def test_another_process_finds_the_same(tmp_path):
    (tmp_path / "blocks.py").write_text(textwrap.dedent(SOURCE).format(
        constant=1, scale=2, body="return helper(self.fc(x)) * SCALE", name="Block", decorator=""))
    program = textwrap.dedent("""
        import sys
        sys.path[:0] = sys.argv[1:]
        from torch import nn
        import blocks
        from mmt.torch_side.fingerprint import fingerprint
        layer = nn.TransformerEncoderLayer(4, 2, activation=nn.functional.gelu)
        model = nn.Sequential(blocks.Block(), layer, nn.GRU(4, 4))
        model.choices = {"b", "a", "c"}
        print(fingerprint(model, [1, 4]))
    """)
    results = {subprocess.run([sys.executable, "-c", program, str(tmp_path), *sys.path], text=True, check=True,
                              capture_output=True, env={"PYTHONHASHSEED": seed}).stdout for seed in ("1", "2")}
    assert len(results) == 1


def test_one_look_reads_every_module_once(monkeypatch):
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Linear(2, 3))
    reads = []
    text_of = fingerprints._Rules.value_text
    monkeypatch.setattr(fingerprints._Rules, "value_text",
                        staticmethod(lambda walk, value: reads.append(value) or text_of(walk, value)))
    for number, module in enumerate(model.modules()):
        module.marks = frozenset({number})  # what the walk asks Python for
    look = Fingerprints()
    look.configuration(model)
    assert len(reads) == 5
    expected = [fingerprint(module, [1, 2]) for module in model.modules()]
    reads.clear()
    assert [look.fingerprint(module, [InputSpec((1, 2))]) for module in model.modules()] == expected
    assert reads == []


def test_a_script_ends_without_anything_left(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent("""
        import torch
        from mmt.engine import EngineConfig
        from mmt.torch_side.fingerprint import fingerprint

        class Net(torch.nn.Module):
            def forward(self, x):
                return x

        kept = EngineConfig()  # lives in the module of a class that was looked at
        fingerprint(Net(), [1, 3])
    """))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
