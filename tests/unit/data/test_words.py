import numpy as np
import pytest

from nas_lightning.data import words as module
from nas_lightning.data.words import Numbered, Words, first_repeated, join_names


def test_words_are_joined_in_order():
    joined = Words.join([Words.of(["b", None]), Words(np.array([1, 0, -1]), ["c", "a"])])
    assert list(joined) == ["b", None, "a", "c", None]
    assert joined.words == ("a", "b", "c")
    assert joined.are("c").tolist() == [False, False, False, True, False]
    assert not joined.are("z").any()
    assert joined.taken(np.array([3, 0])).present == {"b", "c"}
    assert list(joined[2:4]) == ["a", "c"]


def test_numbered_names_are_made_when_they_are_asked_for():
    parts = [Numbered("train", range(0, 3)), Numbered("train", range(3, 10**9)), Numbered("test", range(2))]
    names = join_names(parts)
    assert len(names) == 10**9 + 2
    assert [names[0], names[10**9 - 1], names[10**9], names[-1]] == ["train/0", "train/999999999", "test/0", "test/1"]
    assert first_repeated(names) is None
    with pytest.raises(IndexError):
        names[10**9 + 2]


@pytest.mark.parametrize("most", [1, 100])
def test_names_are_the_same_in_every_form(monkeypatch, most):
    """A name of a file can hold bytes that are no UTF-8."""
    monkeypatch.setattr(module, "_MOST_STRINGS", most)
    expected = ["x", "Stärke.csv", "\udcff.csv", "train/0", "train/1", "", "y"]
    names = join_names([("x", "Stärke.csv"), ("\udcff.csv",), Numbered("train", range(2)), ("", "y")])
    assert list(names) == expected
    assert [names[i] for i in range(7)] == expected
    assert (names[-1], list(names[1:4])) == ("y", expected[1:4])
    assert first_repeated(names) is None


def test_a_repeated_name_is_found_in_every_form():
    assert first_repeated(("a", "b", "a")) == "a"
    assert first_repeated(join_names([Numbered("a", range(3)), ("x",), Numbered("a", range(2, 4))])) == "a/2"
    assert join_names([("a",), ("b",)]) == ("a", "b")
