"""Figures and intervals, against scikit-learn, SciPy and arithmetic."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binomtest, norm, t
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, precision_score, recall_score

from nas_lightning.tasks.intervals import wilson
from nas_lightning.use.figures import count_windows, share
from nas_lightning.use.outcomes import Outcomes, by_recording
from nas_lightning.use.tally import Tally


@pytest.mark.parametrize(("right", "count"), [(0, 5), (5, 5), (3, 10), (97, 100)])
def test_a_share_of_independent_cases_has_the_interval_of_wilson(right, count):
    expected = binomtest(right, count).proportion_ci(method="wilson")
    assert wilson(right / count, count) == pytest.approx((expected.low, expected.high))
    hits = np.arange(count) < right
    assert share(hits.astype(int), np.ones(count, int)).interval == pytest.approx((expected.low, expected.high))


def test_windows_of_a_recording_that_are_all_alike_count_once():
    """Less one recording, because the variance between them is estimated."""
    found = share(np.array([7] * 6 + [0] * 2), np.full(8, 7))
    for end in found.interval:  # where the score test of 7 recordings just rejects
        assert abs(found.value - end) == pytest.approx(norm.ppf(0.975) * np.sqrt(end * (1 - end) / 7))
    assert share(np.full(8, 7), np.full(8, 7)).interval == pytest.approx(
        tuple(binomtest(8, 8).proportion_ci(method="wilson"))
    )
    assert share(np.zeros(0, int), np.zeros(0, int)) is None


def test_figures_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    true = random.integers(0, 3, 400)
    found = np.where(random.random(400) < 0.7, true, random.integers(0, 3, 400))
    units = np.sort(random.integers(0, 40, 400))
    counts = count_windows(true, found, units, (40, 3))
    assert counts.accuracy.value == pytest.approx(accuracy_score(true, found))
    for number in range(3):
        of_class = counts.of_class(number, "name")
        assert of_class.recall == pytest.approx(recall_score(true, found, average=None)[number])
        assert of_class.precision == pytest.approx(precision_score(true, found, average=None)[number])
        assert of_class.f1 == pytest.approx(f1_score(true, found, average=None)[number])
    means = counts.means()
    assert means["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(true, found))
    assert means["macro_f1"].value == pytest.approx(f1_score(true, found, average="macro"))
    for mean in means.values():
        assert mean.interval[0] < mean.value < mean.interval[1]
    merged = counts.merged(np.arange(40) // 4)
    assert merged.true.sum(0).tolist() == np.bincount(true).tolist()
    assert merged.accuracy.value == counts.accuracy.value


def jackknife(true, found, units, metric):
    """The t interval of a figure by leaving out units, by calls of scikit-learn: its middle and half its width."""
    ids = np.unique(units)
    without = np.array([metric(true[units != one], found[units != one]) for one in ids])
    variance = (len(ids) - 1) / len(ids) * ((without - without.mean()) ** 2).sum()
    return metric(true, found), t.ppf(0.975, len(ids) - 1) * np.sqrt(variance)


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1"])
def test_an_interval_of_a_mean_of_classes_is_the_score_interval_of_the_jackknife(name):
    """At each end the figure is as far away as the t quantile of the deviation that the share of that end has."""
    metric = {
        "balanced_accuracy": balanced_accuracy_score,
        "macro_f1": lambda true, found: f1_score(true, found, average="macro"),
    }[name]
    random = np.random.default_rng(3)
    true, units = random.integers(0, 3, 240), np.arange(240) // 20
    found = np.where(random.random(240) < np.linspace(0.4, 1, 12)[units], true, random.integers(0, 3, 240))
    figure = count_windows(true, found, units, (12, 3)).means()[name]
    value, half = jackknife(true, found, units, metric)
    for end in figure.interval:
        assert abs(figure.value - end) == pytest.approx(half * np.sqrt(end * (1 - end) / (value * (1 - value))))


@pytest.mark.parametrize("seed", range(30))
def test_every_figure_lies_within_its_interval_also_of_few_units(seed):
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 6))
    true, units = random.integers(0, 3, 60), random.integers(0, count, 60)
    units = np.unique(units, return_inverse=True)[1]
    found = np.where(random.random(60) < random.random(6)[units], true, 0)
    counts = count_windows(true, found, units, (units.max() + 1, 3))
    details = [counts.of_class(number, "name") for number in range(3)]
    figures = [(each.value, each.interval) for each in (counts.accuracy, *counts.means().values())]
    figures += [
        (getattr(d, key), getattr(d, f"{key}_interval")) for d in details for key in ("precision", "recall", "f1")
    ]
    for value, interval in figures:
        assert value is None or 0 <= interval[0] <= value <= interval[1] <= 1


def test_windows_that_are_taken_for_none_count_as_wrong_and_for_no_class():
    true, found = np.array([0, 0, 1, 1, 2]), np.array([0, -1, 1, -1, -1])
    counts = count_windows(true, found, np.arange(5), (5, 3))
    assert counts.found.sum(0).tolist() == [1, 1, 0]
    assert counts.accuracy.value == 0.4
    assert counts.means()["macro_f1"].value == pytest.approx(f1_score(true, found, labels=[0, 1, 2], average="macro"))


def test_units_that_differ_widen_an_interval():
    total = np.full(8, 10)
    apart, near = (share(np.array(right), total) for right in ([10, 0] * 4, [5, 6, 4, 5, 4, 6, 5, 5]))
    assert apart.value == near.value == 0.5
    assert np.diff(apart.interval) > 2 * np.diff(near.interval)


@pytest.mark.parametrize("groups", [None, np.array([1, 0, 1, 1])])
def test_recordings_of_no_class_are_counted_apart_also_where_a_part_has_no_others(groups):
    """Two parts of two recordings with two windows each: 0 and 2, then two of no class."""
    tally = Tally(("a", "b", "c"))
    for truth, accepted in (([0, 2], [1, 0, 1, 1]), ([-1, -1], [1, 0, 0, 0])):
        zeros, numbers = np.zeros(4), np.array([0, 0, 1, 1])
        scores = np.array([[0.5, 0.25, 0.25]] * 4)
        decided = np.where(np.array(accepted, dtype=bool), 0, -1)
        logits = np.log(scores).astype(np.float32) + 3
        windows = Outcomes(("a", "b", "c"), ["x"] * 4, scores, zeros, zeros, smoothed=decided, logits=logits)
        part = SimpleNamespace(recordings=truth, numbers=numbers)
        tally.add(part, np.array(truth), windows, by_recording(windows, numbers, ["x", "y"]))
    for counts, right, found in ((tally.alone.counts, 2, 2), (tally.decided.counts, 1, 1)):
        assert counts.true.tolist() == [[2, 0, 0], [0, 0, 2]]
        assert counts.right.tolist() == [[right, 0, 0], [0, 0, 0]]
        assert counts.found.tolist() == [[found, 0, 0], [2, 0, 0]]
    assert tally.alone.are_right.tolist() == tally.decided.are_right.tolist() == [True, False]
    assert tally.alone.accepted.tolist() == [[2, 2], [2, 0]]  # no threshold: every window by itself is
    assert tally.decided.accepted.tolist() == [[1, 2], [1, 0]]
    assert tally.loss == pytest.approx(-np.log([0.5, 0.5, 0.25, 0.25]).sum())
    assert tally.alone.accepted_of_no_class(None).value == 1
    found = tally.decided.accepted_of_no_class(None if groups is None else groups[tally.are_known == 0])
    assert found.value == 0.25
    if groups is not None:
        low, high = binomtest(1, 4).proportion_ci(method="wilson")
        assert found.interval[0] <= low
        assert found.interval[1] >= high
