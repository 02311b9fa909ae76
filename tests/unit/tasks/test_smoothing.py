"""Figures of smoothing, by hand."""

import numpy as np
import pytest

from nas_lightning.tasks.confidence import Answers
from nas_lightning.tasks.decisions import Decision, Smoothing
from nas_lightning.tasks.smoothing import begins_of, best_way, smoothed_figures, ways

LABELS = [0, 0, 1, 0, 1, 0, 1, 1]
TARGET = [0, 0, 0, 0, 1, 1, 1, 1]


def answers(labels=LABELS, target=TARGET, recordings=(7, 7, 7, 7, 2, 2, 2, 2), size=9.0):
    logits = (size * np.eye(2)[list(labels)]).astype(np.float32)
    unknown = np.empty((0, 2), np.float32)
    return Answers(logits=logits, target=np.array(target), unknown=unknown, recordings=np.array(recordings))


def test_recordings_begin_where_their_number_changes():
    assert begins_of(np.array([0, 0, 3, 3, 1])).tolist() == [True, False, True, False, True]


def test_figures_of_windows_and_of_recordings():
    found = smoothed_figures(answers(), Decision())
    assert (found.method, found.windows, found.recordings) == ("none", 1, 2)
    assert found.by_window["accuracy"] == 6 / 8
    assert found.by_recording["accuracy"] == 1
    assert (found.delay_windows, found.never_right) == (0, 0)
    smoothed = smoothed_figures(answers(), Decision(smoothing=Smoothing("majority", 3)))
    assert smoothed.by_window["accuracy"] == 7 / 8  # 0 0 0 0 and 1 0 1 1
    assert (smoothed.method, smoothed.windows) == ("majority", 3)


def test_the_delay_is_that_of_the_first_right_window():
    found = smoothed_figures(answers([1, 1, 0, 0, 0, 0, 0, 0]), Decision())
    assert (found.delay_windows, found.never_right) == (2, 1)
    assert found.by_recording["accuracy"] == 0  # of 1 1 0 0 the earlier one
    never = smoothed_figures(answers([1, 1, 1, 1, 0, 0, 0, 0]), Decision())
    assert (never.delay_windows, never.never_right) == (None, 2)


def test_unknown_is_wrong():
    found = smoothed_figures(answers(size=0.5), Decision(threshold=0.9))
    assert found.by_window["accuracy"] == found.by_recording["macro_f1"] == 0


def test_ways_are_all_methods_and_lengths_the_simplest_first():
    found = [each.smoothing for each in ways(Decision(0.5, 0.7), [5, 3])]
    assert found[:3] == [None, Smoothing("hysteresis", 3), Smoothing("hysteresis", 5)]
    assert len(found) == 7
    assert {each.threshold for each in ways(Decision(0.5, 0.7), [5, 3])} == {0.7}


@pytest.mark.parametrize(("labels", "kept"), [([0, 0, 0, 0, 1, 1, 1, 1], 0), ([0, 1, 0, 0, 1, 1, 0, 1], 1)])
def test_the_best_is_kept_and_of_equal_ones_the_simplest(labels, kept):
    tried = [smoothed_figures(answers(labels), each) for each in ways(Decision(), [2])]
    assert best_way(tried, "accuracy") == kept
