"""What is decided by logits, against the textbook in float64 and by hand."""

from collections import Counter

import numpy as np
import pytest
import torch

from nas_lightning.tasks.decisions import METHODS, UNKNOWN, Decision, Smoothing, exponential


def logits_of(seed, count=400, classes=4):
    """Runs of 10 windows of one class, with noise."""
    random = np.random.default_rng(seed)
    centres = 3 * np.eye(classes)[np.repeat(random.integers(0, classes, count // 10), 10)]
    return (centres + 2 * random.normal(size=(count, classes))).astype(np.float32)


def test_the_exponential_is_within_two_roundings_of_the_exact_one():
    x = -np.linspace(0, 87, 100_001, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    assert np.abs(exponential(x) / exact - 1).max() < 2 * 2.0**-24
    assert exponential(x).dtype == np.float32
    assert exponential(np.array([-87.01, -1e30, -np.inf], np.float32)).tolist() == [0, 0, 0]
    assert np.isnan(exponential(np.array([np.nan], np.float32))).all()


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.7])
def test_shares_are_the_softmax_of_torch(temperature):
    logits = logits_of(0)
    decision = Decision(temperature)
    expected = (torch.from_numpy(logits).double() / temperature).softmax(1).numpy()
    np.testing.assert_allclose(decision.shares(logits), expected, rtol=2e-6, atol=1e-30)
    np.testing.assert_allclose(decision.scores(logits), expected.max(1), rtol=2e-6)


def test_a_window_below_the_threshold_is_unknown():
    logits = np.array([[2.0, 0, 0], [0, 0.5, 0], [0, 0, 9.0]], np.float32)
    assert Decision().labels(logits).tolist() == [0, 1, 2]
    score = float(Decision(2.0).scores(logits)[0])
    assert Decision(2.0, score).labels(logits).tolist() == [0, UNKNOWN, 2]  # equal is accepted
    assert Decision(2.0, np.nextafter(np.float32(score), np.float32(2))).labels(logits).tolist() == [-1, -1, 2]


def test_logits_that_are_no_numbers_are_unknown():
    wrong = np.array([[np.nan, 1], [1, np.nan], [np.inf, 1], [3e38, -3e38]], np.float32)
    assert Decision(1.0, 0.5).labels(wrong).tolist() == [UNKNOWN, UNKNOWN, UNKNOWN, 0]


def plain_majority(labels, windows):
    for i in range(len(labels)):
        last = labels[max(0, i + 1 - windows) : i + 1][::-1]
        most = max(Counter(last).values())
        yield next(label for label in last if Counter(last)[label] == most)


@pytest.mark.parametrize("windows", [3, 5])
@pytest.mark.parametrize("threshold", [None, 0.7])
def test_a_majority_is_counted(windows, threshold):
    logits, begins = logits_of(1), np.arange(400) == 0
    decision = Decision(1.3, threshold, Smoothing("majority", windows))
    expected = list(plain_majority(decision.labels(logits).tolist(), windows))
    assert decision.smoothed(logits, begins).tolist() == expected
    assert expected != decision.labels(logits).tolist()


@pytest.mark.parametrize("threshold", [None, 0.6])
def test_a_mean_is_that_of_the_last_shares(threshold):
    logits, begins = logits_of(2), np.arange(400) == 0
    decision = Decision(1.3, threshold, Smoothing("mean", 4))
    shares = (torch.from_numpy(logits).double() / 1.3).softmax(1).numpy()
    means = np.array([shares[max(0, i - 3) : i + 1].mean(0) for i in range(400)])
    expected = np.where(means.max(1) >= (threshold or 0), means.argmax(1), UNKNOWN)
    assert decision.smoothed(logits, begins).tolist() == expected.tolist()
    assert threshold is None or UNKNOWN in expected


def test_hysteresis_by_hand():
    one_hot = 9 * np.eye(3, dtype=np.float32)
    labels = [0, 1, 0, 1, 1, 2, 2, 1, 1, 2, 2, 2, 0]
    decision = Decision(smoothing=Smoothing("hysteresis", 2))
    found = decision.smoothed(one_hot[labels], np.arange(len(labels)) == 0)
    assert found.tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("method", METHODS)
def test_a_recording_starts_from_nothing(method):
    logits, begins = logits_of(3), np.arange(400) % 40 == 0
    decision = Decision(smoothing=Smoothing(method, 5))
    together = decision.smoothed(logits, begins)
    alone = [decision.smoothed(part, np.arange(40) == 0) for part in np.split(logits, 10)]
    assert together.tolist() == np.concatenate(alone).tolist()
    assert together.tolist() != decision.smoothed(logits, np.arange(400) == 0).tolist()


@pytest.mark.parametrize("method", METHODS)
def test_a_stream_decides_window_by_window_what_is_decided_of_all(method):
    logits = logits_of(4)
    decision = Decision(0.8, 0.5, Smoothing(method, 3))
    stream = decision.stream()
    assert [stream(row) for row in logits] == decision.smoothed(logits, np.arange(400) == 0).tolist()


def test_without_smoothing_a_stream_decides_each_window_alone():
    logits = logits_of(5)
    decision = Decision(0.8, 0.5)
    assert not Decision(0.8).has_code
    assert decision.has_code
    stream = decision.stream()
    assert [stream(row) for row in logits] == decision.labels(logits).tolist()
    assert decision.smoothed(logits, np.arange(400) == 0).tolist() == decision.labels(logits).tolist()
