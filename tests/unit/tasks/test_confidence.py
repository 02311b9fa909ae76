"""Temperature, calibration error, thresholds and intervals, against computations of another kind."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from nas_lightning.tasks.confidence import (
    LEAST_TEMPERATURE,
    MOST_TEMPERATURE,
    Answers,
    Share,
    calibration_error,
    fit_temperature,
    rejection,
    threshold_for_coverage,
    threshold_for_false_accept,
)
from nas_lightning.tasks.decisions import Decision

NAMES = ("a", "b", "c")


def answers_of(logits, target, unknown=None):
    logits = np.asarray(logits, np.float32)
    unknown = np.empty((0, logits.shape[1]), np.float32) if unknown is None else np.asarray(unknown, np.float32)
    return Answers(logits=logits, target=np.asarray(target), unknown=unknown)


def drawn(temperature, count=4000, seed=0):
    """Logits whose labels are drawn from the softmax at a temperature: the one that calibrates them."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(count, 3, generator=generator)
    target = torch.multinomial((logits / temperature).softmax(1), 1, generator=generator).flatten()
    return answers_of(logits.numpy(), target.numpy())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_is_that_of_a_fine_grid(temperature):
    answers = drawn(temperature)
    logits, target = torch.from_numpy(answers.logits).double(), torch.from_numpy(answers.target)
    grid = np.exp(np.linspace(math.log(0.25), math.log(10), 801))
    losses = [float(torch.nn.functional.cross_entropy(logits / t, target)) for t in grid]
    found = fit_temperature(answers, NAMES)
    assert found.value == pytest.approx(grid[np.argmin(losses)], rel=5e-3)
    assert found.value == pytest.approx(temperature, rel=0.1)
    assert found.bound is None
    assert found.doubts == ()
    assert np.float32(found.value) == found.value


def test_samples_that_are_all_right_lead_to_the_least_temperature():
    target = np.arange(60) % 3
    found = fit_temperature(answers_of(5 * np.eye(3)[target], target), NAMES)
    assert (found.value, found.bound) == (LEAST_TEMPERATURE, "least")


def test_samples_that_are_all_wrong_lead_to_the_most():
    target = np.arange(60) % 3
    found = fit_temperature(answers_of(5 * np.eye(3)[(target + 1) % 3], target), NAMES)
    assert (found.value, found.bound) == (MOST_TEMPERATURE, "most")


def test_few_samples_and_a_missing_class_are_said():
    found = fit_temperature(answers_of([[2.0, 1, 0], [0, 2.0, 1]], [0, 0]), NAMES)
    assert found.doubts == (
        "val has 2 samples, and a temperature of fewer than 30 says little",
        "val has no sample of b, c, so the temperature says nothing of its scores",
    )


def plain_error(answers, temperature, bins=15):
    """Of Guo et al., equation 3: bins ((m - 1) / M, m / M]."""
    powers = np.exp(answers.logits.astype(np.float64) / temperature)
    scores = powers.max(1) / powers.sum(1)
    is_right = answers.logits.argmax(1) == answers.target
    place = np.ceil(scores * bins)
    return sum(
        abs(is_right[place == m].mean() - scores[place == m].mean()) * (place == m).mean()
        for m in range(1, bins + 1)
        if (place == m).any()
    )


def test_the_calibration_error_is_that_of_the_paper():
    answers = drawn(2.5)
    found = calibration_error(answers, 2.5)
    assert found.before == pytest.approx(plain_error(answers, 1.0), abs=1e-5)
    assert found.after == pytest.approx(plain_error(answers, 2.5), abs=1e-5)
    assert found.after < 0.03 < 0.1 < found.before


@pytest.mark.parametrize(("hits", "samples"), [(0, 7), (7, 7), (3, 10), (99, 100), (500, 1000)])
def test_intervals_are_those_of_scipy(hits, samples):
    expected = binomtest(hits, samples).proportion_ci(0.95, "wilson")
    found = Share.of(hits, samples)
    assert found.value == hits / samples
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.low <= found.value <= found.high


def test_of_nothing_there_is_no_share():
    assert Share.of(0, 0) is None


@pytest.mark.parametrize("coverage", [0.01, 0.5, 0.93, 0.95, 1.0])
def test_the_threshold_of_a_coverage_is_the_largest_that_reaches_it(coverage):
    scores = np.random.default_rng(0).random(40).astype(np.float32)
    found = threshold_for_coverage(scores, coverage)
    assert (scores >= np.float32(found)).mean() >= coverage
    assert (scores >= np.nextafter(np.float32(found), np.float32(2))).mean() < coverage


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5])
def test_the_threshold_of_a_false_accept_is_the_least_that_keeps_it(share):
    scores = np.random.default_rng(0).random(40).astype(np.float32)
    found = threshold_for_false_accept(scores, share)
    assert (scores >= np.float32(found)).mean() <= share
    assert (scores >= np.nextafter(np.float32(found), np.float32(0))).mean() > share


def test_rejection_by_hand():
    """Scores of a pair of logits 0 and d are 1 / (1 + exp(-d)): 0.88, 0.73, 0.62 and 0.95."""
    answers = answers_of([[2.0, 0], [0, 1.0], [0, 0.5], [3.0, 0]], [0, 1, 1, 1], unknown=[[0, 0.1], [4.0, 0]])
    found = rejection(answers, Decision(threshold=0.7))
    assert (found.coverage.value, found.coverage.samples) == (0.75, 4)
    assert (found.accuracy.value, found.accuracy.samples) == (2 / 3, 3)
    assert (found.unknown_accepted.value, found.unknown_accepted.samples) == (0.5, 2)
    assert rejection(answers_of([[0.0, 0]], [0]), Decision(threshold=0.9)).accuracy is None
