"""Types of constructor arguments, by their annotations."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import torch
from torch import Tensor

from nas_lightning.config.arguments import allowed, argument_types, check_arguments, matches, shown, words
from nas_lightning.errors import InputError

PART = {"_target_": "torch.nn.ReLU"}

MADE = Callable[[], None]
MATCHING = [
    *((1, int), (1, float), (1.5, float), (True, bool), ("a", str), ("a", Path), (None, None | int), (None, Any)),
    *(([1, 2], list), ([1, 2], Sequence[int]), ([0.5, 1], tuple[float, float]), ([1, 2, 3], tuple[int, ...])),
    *(({"a": 1}, Mapping[str, int]), ({}, dict[str, MADE]), ({"a": PART}, dict[str, MADE]), (PART, Tensor)),
    *((PART, MADE), (0.1, float | Tensor), ("a", Literal["a", 3]), (3, Literal["a", 3]), (1, Annotated[int, "text"])),
    *(("warn", bool | Literal["warn"] | None), (torch.ones(1), int), ({"a": {"b": 1}}, Any)),
]
WRONG = [
    *((True, int), (True, float), (1, bool), (0, bool), (1.5, int), ("1", int), ("1", float), (1, str), (None, int)),
    *((None, str), (float("nan"), float), (float("inf"), float | None), (1, list), ([1, "a"], list[int])),
    *(([1.5, True], Sequence[float]), ([1], tuple[int, int]), ("ab", Sequence[str]), ({"a": 1}, list), ([1], dict)),
    *((1, MADE), ({"a": 1}, Tensor), ({"a": 5}, dict[str, MADE]), ([1, 2], float | Tensor), (True, Literal[1])),
    *(("b", Literal["a", 3]), (None, Tensor)),
]


@pytest.mark.parametrize(("value", "hint"), MATCHING)
def test_a_value_of_the_type(value, hint):
    assert matches(value, hint)


@pytest.mark.parametrize(("value", "hint"), WRONG)
def test_a_value_of_another_type(value, hint):
    assert not matches(value, hint)


@pytest.mark.parametrize(
    ("key", "hint", "text"),
    [
        ("seed", int, "a whole number, 0 to 4294967295"),
        ("training.clip_norm", float | None, "a number, more than 0, or null"),
        ("a.b", float | Tensor, "a number"),
        ("a.b", bool | None, "true or false, or null"),
        ("a.b", list[str], "a list of: text"),
        ("a.b", Path | str | None, "text, or null"),
        ("a.b", Tensor, "what a _target_ makes, of the type Tensor"),
        ("a.b", Annotated[int, "text"], "a whole number"),
        ("a.b", list, "a list"),
    ],
)
def test_what_is_allowed_in_words(key, hint, text):
    assert allowed(key, hint) == text


def test_words_and_values_as_they_are_written():
    assert words(None | int) == "a whole number, or null"
    assert [shown(value) for value in (None, True, False, 1.5, "a\nb")] == ["null", "true", "false", "1.5", "a b"]


def test_types_of_a_class_a_function_and_of_what_has_none():
    assert argument_types(torch.nn.Linear)["in_features"] is int
    assert argument_types(argument_types) == {"target": Any}
    assert argument_types(print)["sep"] is Any


ADAM = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.1}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"lr": "fast"}, "^optimizer.lr: found fast; allowed: a number, more than 0$"),
        ({"lr": None}, "^optimizer.lr: found null; allowed: a number, more than 0$"),
        ({"eps": float("nan")}, "^optimizer.eps: found nan; allowed: a number$"),
        ({"amsgrad": 1}, "^optimizer.amsgrad: found 1; allowed: true or false$"),
        ({"speed": 1}, "^optimizer.speed: is unknown; allowed: params, lr, betas, eps"),
        ({"_partial_": 1}, "^optimizer._partial_: found 1; allowed: true or false$"),
        ({"_target_": None}, "^optimizer._target_: found null; allowed: the dotted name of a class$"),
        ({"_target_": "abc"}, "^optimizer._target_: found 'abc'; allowed: the dotted name of a class that can be"),
        ({"_target_": "no.such"}, "^optimizer._target_: found 'no.such'; allowed: the dotted name of a class that"),
    ],
)
def test_a_wrong_argument_is_named(change, text):
    check_arguments("optimizer", ADAM)
    with pytest.raises(InputError, match=text):
        check_arguments("optimizer", ADAM | change)


def test_records_within_records_and_keys_that_follow_others():
    inner = {"_target_": "torch.nn.Linear", "in_features": "x", "out_features": 1}
    with pytest.raises(InputError, match=r"^a.b.0.in_features: found x; allowed: a whole number$"):
        check_arguments("a", {"b": {"0": inner}})
    with pytest.raises(InputError, match=r"^source: found x"):
        check_arguments("a", {"b": inner}, {"a.b.in_features": "source"})


def test_what_takes_any_argument_and_what_is_no_record():
    check_arguments("a", {"_target_": "types.SimpleNamespace", "anything": 1})
    check_arguments("a", None)
