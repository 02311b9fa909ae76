"""Sets of the UCR/UEA archive that lie inside of aeon, read with and without it."""

import numpy as np
import pytest
from aeon.datasets import load_classification

from nas_lightning.data.readers import arrays
from nas_lightning.errors import InputError


def expected(name):
    for split in ("train", "test"):
        x, y = load_classification(name, split=split)
        for number, (values, label) in enumerate(zip(x, y, strict=True)):
            yield f"{split}/{number}", values.T, str(label), split


@pytest.mark.parametrize("name", ["BasicMotions", "JapaneseVowels", "PickupGestureWiimoteZ"])
def test_they_are_read_as_aeon_reads_them(name):
    found, rows = arrays.read_archive(name).recordings, list(expected(name))
    assert [(one.name, one.label, one.split) for one in found] == [(row[0], row[2], row[3]) for row in rows]
    for one, (_, values, _, _) in zip(found, rows, strict=True):
        np.testing.assert_array_equal(one.values, values)
        assert one.values.dtype == values.dtype


def test_aeon_is_not_asked_for_them(monkeypatch):
    monkeypatch.setattr("aeon.datasets.load_classification", lambda *_, **__: pytest.fail("it was asked"))
    assert len(arrays.read_archive("UnitTest").recordings) == 42


@pytest.mark.parametrize("name", ["Covid3Month", "../BasicMotions", "a/b", None])
def test_aeon_says_why_not_of_all_others(name, monkeypatch):
    def refuse(asked, split):
        raise ValueError(f"no {asked} here")

    monkeypatch.setattr("aeon.datasets.load_classification", refuse)
    with pytest.raises(InputError, match=f"cannot load .* from the UCR/UEA archive .no {name} here"):
        arrays.read_archive(name)
