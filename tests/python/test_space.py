"""Operator spaces from Python: parsing through the bindings, keywords, enumeration algebra, drops, summaries."""

from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mmt.space
from mmt.errors import MmtError


def specs(text: str) -> list[tuple[dict, list[list[int]]]]:
    return [(json.loads(spec.parameters_json), spec.input_shapes) for spec in mmt.space.loads(text, "ops.yaml")]


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False),
    st.text(alphabet=st.characters(min_codepoint=0x20, exclude_categories=["Cs"], exclude_characters="\x7f"),
            max_size=8))
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3))
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True)
SHAPES = st.lists(st.lists(st.integers(1, 64), min_size=1, max_size=4), min_size=1, max_size=4)


@st.composite
def groups(draw: st.DrawFn) -> dict:
    """A valid group: the first parameter as long as input_shape, at any place among the keys."""
    shapes = draw(SHAPES)
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    group = {names[0]: draw(st.lists(VALUES, min_size=len(shapes), max_size=len(shapes)))}
    for name in names[1:]:
        group[name] = draw(st.lists(VALUES, min_size=1, max_size=3))
    return {"input_shape": shapes, **group} if draw(st.booleans()) else {**group, "input_shape": shapes}


def expected(group: dict) -> list[tuple[dict, list[list[int]]]]:
    """The pairing rule, said again in one line of Python: pairs first, others combined, the last one fastest."""
    names = [name for name in group if name != "input_shape"]
    pairs = zip(group[names[0]], group["input_shape"], strict=True)
    return [({names[0]: first} | dict(zip(names[1:], rest, strict=True)), [shape])
            for (first, shape), *rest in product(pairs, *(group[name] for name in names[1:]))]


@settings(deadline=None)
@given(groups())
def test_pairing_and_order_in_both_forms(group: dict) -> None:
    wanted = expected(group)
    text = json.dumps({"module": {"Class": group}}, ensure_ascii=False)  # JSON is YAML in its flow style
    assert specs(text) == wanted
    assert [list(parameters) for parameters, _ in specs(text)] == [list(parameters) for parameters, _ in wanted]
    space = mmt.space.loads(text)
    assert space.count() == len(wanted) == sum(entry.count() for entry in space.entries)
    keywords = mmt.space.from_keywords(torch.nn.Identity, **group)
    assert [json.loads(spec.parameters_json) for spec in keywords] == [parameters for parameters, _ in wanted]


@settings(deadline=None)
@given(st.lists(groups(), min_size=1, max_size=3))
def test_count_is_the_number_of_operators(parts: list[dict]) -> None:
    space = mmt.space.loads(json.dumps({"m": {"A": parts, "B": parts[0]}}, ensure_ascii=False))
    wanted = [len(expected(part)) for part in [*parts, parts[0]]]
    listed = list(space)
    assert space.count() == sum(wanted) == len(listed)
    assert [spec.index for spec in listed] == list(range(len(listed)))
    assert [entry.count() for entry in space.entries] == wanted


@settings(deadline=None)
@given(SHAPES, st.integers(1, 6))
def test_lengths_that_differ_are_refused(shapes: list[list[int]], length: int) -> None:
    text = json.dumps({"m": {"A": {"first": list(range(length)), "input_shape": shapes}}})
    if length == len(shapes):
        assert mmt.space.loads(text).count() == length
        return
    with pytest.raises(MmtError, match=r"t\.yaml:1:\d+: key 'first' of m\.A: the first parameter is paired"):
        mmt.space.loads(text, "t.yaml")


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_space_or_an_error(text: str) -> None:
    code = "parse"
    try:
        assert mmt.space.loads(text).count() >= 1
    except MmtError as error:
        code = error.code
    assert code == "parse"


def test_types_survive() -> None:
    [(parameters, _)] = specs("m:\n  C:\n    a: 1\n    b: 1.0\n    c: '1'\n    d: true\n    e: null\n    f: 1e-5\n"
                              "    g: [[3, 5]]\n    input_shape: [[1]]\n")
    assert parameters == {"a": 1, "b": 1.0, "c": "1", "d": True, "e": None, "f": 1e-5, "g": [3, 5]}
    assert [type(value) for value in parameters.values()] == [int, float, str, bool, type(None), float, list]


def test_load_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ops.yaml"
    path.write_text("m:\n  C:\n    a: [1, 2]\n    input_shape: [[1]]\n")
    with pytest.raises(MmtError) as caught:
        mmt.space.load(path)
    assert str(caught.value).startswith(f"{path}:3:5: key 'a' of m.C: ")
    assert caught.value.code == "parse"
    with pytest.raises(MmtError, match="no such file") as caught:
        mmt.space.load(tmp_path / "none.yaml")
    assert caught.value.code == "not_found"


def test_an_iterator_keeps_its_space() -> None:
    iterator = iter(mmt.space.loads("m:\n  C: {a: [1, 2], input_shape: [[1], [2]]}\n"))
    assert [json.loads(spec.parameters_json)["a"] for spec in iterator] == [1, 2]


def test_keywords_take_tuples_and_refuse_what_yaml_cannot_hold() -> None:
    space = mmt.space.from_keywords(torch.nn.Conv2d, in_channels=(3,), kernel_size=[(3, 5)], input_shape=[(1, 3, 8, 8)])
    [spec] = space
    assert json.loads(spec.parameters_json) == {"in_channels": 3, "kernel_size": [3, 5]}
    assert spec.class_name == "Conv2d"
    with pytest.raises(MmtError, match=r"register\(Conv2d\): key 'act': a value of type type"):
        mmt.space.from_keywords(torch.nn.Conv2d, act=[torch.nn.ReLU], input_shape=[[1]])
    with pytest.raises(MmtError, match="not a finite number"):
        mmt.space.from_keywords(torch.nn.Conv2d, eps=math.inf, input_shape=[[1]])


def test_large_spaces_ask_first() -> None:
    text = "m:\n  C:\n    a: 1\n    input_shape: [[1]]\n" + "".join(f"    p{i}: {list(range(10))}\n" for i in range(5))
    assert mmt.space.loads(text).count() == 100_000
    mmt.space.check_size(mmt.space.loads(text))
    larger = mmt.space.loads(text + "    q: [1, 2]\n", "ops.yaml")
    with pytest.raises(MmtError, match=r"ops\.yaml: the space holds 200,000 operators, more than 100,000.*--yes"):
        mmt.space.operators(larger)
    mmt.space.check_size(larger, yes=True)
    huge = mmt.space.loads(text + "".join(f"    r{i}: {list(range(10))}\n" for i in range(20)))
    assert huge.count() == 2**64 - 1
    with pytest.raises(MmtError, match="at least 18,446,744,073,709,551,615"):
        mmt.space.check_size(huge)


def dropped(reason: str, name: str = "m.A") -> mmt.space.Dropped:
    return mmt.space.Dropped(name, {"kernel": 4}, [[1, 8]], ["float32"], "constructor", reason, "ops.yaml:2:3")


def test_drops_are_counted_grouped_and_listed() -> None:
    report = mmt.space.DropReport()
    assert report.lines(True) == []
    for drop in (dropped("other"), dropped("even kernel 4"), dropped("even kernel 6"), dropped("other", "m.B")):
        report(drop)
    assert len(report) == 4
    assert list(map(len, report.by_reason().values())) == [2, 1, 1]
    short = report.lines()
    assert short[0] == "4 combinations dropped (--show-dropped lists them)"
    assert short[1] == "  2 × m.A: constructor: even kernel 4"
    assert len(short) == 4
    assert "    ops.yaml:2:3: m.A(kernel=4) on [1,8]: constructor: even kernel 6" in report.lines(show_all=True)
    assert report.to_json()["count"] == 4
    assert len(report.to_json()["dropped"]) == 4
    json.dumps(report.to_json())


def test_summary_counts_without_importing() -> None:
    space = mmt.space.loads("nowhere.at_all:\n  C:\n    - {a: [1, 2], b: [1, 2, 3], input_shape: [[1], [2]]}\n"
                            "    - {a: 1, input_shape: [[1]]}\n  D: {no_params: true, input_shape: [[1]]}\n")
    summary = mmt.space.summary(space)
    assert summary["operators"] == 8
    assert summary["classes"][0] == {"name": "nowhere.at_all.C", "operators": 7, "groups": 2, "shapes": 3,
                                     "parameters": {"a": 3, "b": 3}}
    assert summary["classes"][1]["operators"] == 1
