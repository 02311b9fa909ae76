"""Ranges of numbers, and their words."""

import math

import pytest

from nas_lightning.config.ranges import ANY, RANGES, Range, check_ranges, numbers, range_of
from nas_lightning.errors import InputError

CASES = [
    (Range(1), [1, 1e30], [0.99, -1, math.inf, math.nan], "1 or more"),
    (Range(0, above=True), [1e-300, 1e30], [0, -1, math.inf, math.nan], "more than 0"),
    (Range(0, 1), [0, 0.5, 1], [-1e-9, 1.01, math.nan], "0 to 1"),
    (Range(0, 1, above=True), [1e-9, 1], [0, 1.01], "more than 0, up to 1"),
    (Range(0, 1, below=True), [0, 0.99], [1, -0.1], "0 to less than 1"),
    (Range(0.001), [0.001], [0.0009], "0.001 or more"),
    (Range(choices=(8, 16, 32)), [8, 32], [9, math.nan], "8, 16, 32"),
    (Range(choices=(1, 2)), [1, 2], [3], "1 or 2"),
    (Range(is_nonzero=True), [-1, 1e-9], [0, math.inf, math.nan], "a number other than 0"),
    (ANY, [0, -1e30], [math.inf, -math.inf, math.nan], "a finite number"),
]


@pytest.mark.parametrize(("allowed", "good", "bad", "text"), CASES)
def test_a_range(allowed, good, bad, text):
    assert all(number in allowed for number in good)
    assert not any(number in allowed for number in bad)
    assert str(allowed) == text


def test_a_star_stands_for_any_name():
    assert range_of("search.penalties.mine.weight") == RANGES["search.penalties.*.weight"]
    assert range_of("search.name") == ANY


def test_numbers_are_found_in_lists_and_sections():
    content = {"a": {"b": 1, "c": [2, "x", 3.5]}, "d": True, "e": None}
    assert list(numbers(content)) == [("a.b", 1), ("a.c", 2), ("a.c", 3.5)]


def test_the_first_number_out_of_its_range_is_named():
    content = {"seed": 0, "training": {"nas_layers": 0, "clip_norm": -1.0}}
    with pytest.raises(InputError, match=r"^training.nas_layers: found 0; allowed: 3 to 200$"):
        check_ranges(content, frozenset(), frozenset())
    with pytest.raises(InputError, match=r"^training.clip_norm: found -1.0; allowed: more than 0, or null$"):
        check_ranges(content, frozenset({"training.clip_norm"}), frozenset({"training.nas_layers"}))
    check_ranges({"mine": {"number": math.nan}}, frozenset(), frozenset())
