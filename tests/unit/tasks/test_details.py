"""Figures by class and their intervals, against SciPy, scikit-learn and sums by hand."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from nas_lightning.tasks import Classification, Origins
from nas_lightning.tasks.intervals import f1_interval, independent_count, share_interval, wilson

NAMES = ("idle", "walk", "run")


def outputs_of(predicted, sure=4.0):
    """Logits whose largest is that of the class."""
    return sure * torch.nn.functional.one_hot(torch.tensor(predicted), len(NAMES)).float()


def details(target, predicted, origins=None):
    task = Classification(1, 8, len(NAMES), NAMES)
    return task.details(outputs_of(predicted), torch.tensor(target), origins)


@pytest.fixture
def labels():
    random = np.random.default_rng(0)
    target = random.integers(0, 3, 200)
    return target, np.where(random.random(200) < 0.7, target, random.integers(0, 3, 200))


@pytest.mark.parametrize(("hits", "count"), [(0, 5), (5, 5), (3, 7), (80, 100)])
def test_wilson_is_that_of_scipy(hits, count):
    expected = stats.binomtest(hits, count).proportion_ci(method="wilson")
    assert wilson(hits / count, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_figures_and_matrix_are_those_of_scikit_learn(labels):
    target, predicted = labels
    found = details(target, predicted)
    precision, recall, f1, samples = precision_recall_fscore_support(target, predicted)
    assert [each.name for each in found.classes] == list(NAMES)
    np.testing.assert_allclose([each.precision for each in found.classes], precision)
    np.testing.assert_allclose([each.recall for each in found.classes], recall)
    np.testing.assert_allclose([each.f1 for each in found.classes], f1)
    assert [each.samples for each in found.classes] == samples.tolist()
    assert np.array_equal(found.confusion, confusion_matrix(target, predicted))
    assert (found.unit, found.units, found.samples) == ("samples", 200, 200)
    assert found.right == (target == predicted).sum()
    assert found.wrong_recordings is None
    expected = stats.binomtest(int(found.right), 200).proportion_ci(method="wilson")
    assert found.accuracy_interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_windows_that_agree_within_a_recording_count_once(labels):
    """Each recording seven times over says no more than once, and groups are larger units still."""
    target, predicted = (np.repeat(part, 7) for part in labels)
    once = details(*labels)
    recordings = np.arange(1400) // 7
    names = [f"r{number}" for number in range(200)]
    found = details(target, predicted, Origins(recordings, names))
    assert (found.unit, found.units, found.samples) == ("recordings", 200, 1400)
    assert found.accuracy_interval == pytest.approx(once.accuracy_interval, abs=2e-3)
    for each, alone in zip(found.classes, once.classes, strict=True):
        assert each.recall_interval == pytest.approx(alone.recall_interval, abs=6e-3)
        assert each.f1_interval == pytest.approx(alone.f1_interval, abs=0.02)
    grouped = details(target, predicted, Origins(recordings, names, recordings // 50))
    assert (grouped.unit, grouped.units) == ("groups", 4)
    of_no_group = details(target, predicted, Origins(recordings, names, np.full(1400, -1)))
    assert of_no_group.units == 200


def test_the_independent_count_is_between_one_and_all_samples():
    totals = np.full(10, 6)
    assert independent_count(totals, totals) == 10  # nothing to be seen of a variance
    assert independent_count(np.tile([6, 0], 5), totals) == pytest.approx(9, rel=0.02)  # all or nothing
    assert independent_count(np.full(10, 3), totals) == 60  # more even than chance
    assert independent_count(np.array([4]), np.array([6])) == 1
    assert share_interval(np.array([0, 0]), np.array([1, 0])) == pytest.approx(wilson(0.0, 1))


def test_the_interval_of_f1_is_about_that_of_drawing_units_again():
    """By a loop that shares no code; of 40 units both agree, of few ones the draws vary too little."""
    random = np.random.default_rng(5)
    right, labelled, predicted = (random.integers(low, high, 40) for low, high in ((0, 4), (4, 7), (4, 8)))
    drawn = []
    for _ in range(4000):
        units = random.integers(0, 40, 40)
        drawn.append(2 * right[units].sum() / (labelled[units].sum() + predicted[units].sum()))
    expected = np.percentile(drawn, [2.5, 97.5])
    assert f1_interval(right, labelled, predicted) == pytest.approx(expected, abs=0.01)


def test_the_interval_of_f1_holds_the_truth_in_19_of_20_samples_of_8_units():
    """Drawing units again held it in 0.88 of these."""
    random = np.random.default_rng(0)

    def units(count):
        labelled = np.where(random.random(count) < 0.5, 10, 0)
        right = random.binomial(labelled, random.beta(6, 1.5, count))
        return right, labelled, right + random.binomial(10 - labelled, random.beta(1, 6, count))

    right, labelled, predicted = units(200_000)
    truth = 2 * right.sum() / (labelled.sum() + predicted.sum())
    intervals = [f1_interval(*units(8)) for _ in range(600)]
    assert 0.93 <= np.mean([low <= truth <= high for low, high in intervals]) <= 0.99


def test_a_class_without_a_mistake_has_an_interval_all_the_same():
    found = details([0, 0, 0, 0, 1], [0, 0, 0, 0, 1]).classes
    low, high = wilson(1.0, 4)
    assert found[0].f1_interval == pytest.approx((2 * low / (1 + low), high))
    assert found[2].f1 is None
    assert (found[2].recall, found[2].precision_interval, found[2].f1_interval) == (None, None, None)


def test_wrong_recordings_say_what_they_are_taken_for():
    origins = Origins(np.array([2, 2, 2, 0, 0, 1]), ["a", "b", "c"])
    found = details([0, 0, 0, 1, 1, 2], [1, 2, 1, 1, 0, 2], origins)
    assert found.num_wrong_recordings == 2
    first, second = found.wrong_recordings
    assert (first.name, first.label, first.samples, first.wrong) == ("c", "idle", 3, 3)
    assert list(first.taken_for.items()) == [("walk", 2), ("run", 1)]
    assert (second.name, second.label, second.samples, second.wrong) == ("a", "walk", 2, 1)


def test_at_most_a_hundred_recordings_are_listed_and_all_are_counted():
    origins = Origins(np.arange(130), [str(number) for number in range(130)])
    found = details(np.zeros(130, int), np.ones(130, int), origins)
    assert (found.num_wrong_recordings, len(found.wrong_recordings)) == (130, 100)
    assert found.wrong_recordings[0].name == "0"


def test_the_mistakes_begin_with_the_one_that_the_network_is_most_sure_of():
    outputs = torch.cat([outputs_of([1], 1.0), outputs_of([1], 3.0), outputs_of([0], 9.0), outputs_of([2], 2.0)])
    target = torch.tensor([0, 0, 0, 1])
    found = Classification(1, 8, 3, NAMES).mistakes(outputs, target, 2)
    assert [(each.sample, each.label, each.taken_for) for each in found] == [(1, "idle", "walk"), (3, "walk", "run")]
    assert found[0].score == pytest.approx(np.exp(3) / (np.exp(3) + 2))


def test_the_matrix_of_many_classes_is_left_out():
    many = Classification(1, 8, 101)
    found = many.details(torch.eye(101), torch.arange(101), None)
    assert found.confusion is None
    assert len(found.classes) == 101
