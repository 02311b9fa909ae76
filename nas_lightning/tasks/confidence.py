"""How far scores can be trusted: a temperature, what it does to the calibration, and thresholds with their figures.

The temperature is that of Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv 1706.04599), section 4.2:
one number that divides all logits, by maximum likelihood on ``val``. It changes no class of the largest logit.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas_lightning.tasks.decisions import UNKNOWN, Decision, Floats
from nas_lightning.tasks.intervals import wilson

LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.25, 100.0
"""Bounds: on samples that are all right the likelihood grows for ever as the temperature falls."""

NUM_BINS = 15
"""Of scores, for the calibration error; as in the paper."""

FEWEST = 30
"""Samples of ``val`` below which a temperature says little."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a network gives on a split.

    Attributes:
        logits: of its N samples, float32 ``[N, K]``.
        target: their classes, int64 ``[N]``.
        unknown: logits of samples that are of none of the classes, float32 ``[M, K]``.
        recordings: the recording of each sample, int64 ``[N]``; those of one stand together, in order. None if that is
            not known.
    """

    logits: Floats
    target: NDArray[np.int64]
    unknown: Floats
    recordings: NDArray[np.int64] | None = None


@dataclass(frozen=True, kw_only=True)
class Temperature:
    """What was fitted.

    Attributes:
        value: a float32 number.
        bound: ``least`` or ``most`` if the likelihood would have it beyond that bound.
        doubts: why it says little, one sentence each.
    """

    value: float
    bound: str | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of so many samples, and its 95 % interval (Wilson 1927), as if all samples were independent."""

    value: float
    low: float
    high: float
    samples: int

    @classmethod
    def of(cls, hits: int, samples: int) -> "Share | None":
        """None of no samples.

        >>> found = Share.of(8, 10)
        >>> found.value, round(found.low, 3), round(found.high, 3)
        (0.8, 0.49, 0.943)
        """
        if not samples:
            return None
        low, high = wilson(hits / samples, samples)
        return cls(value=hits / samples, low=low, high=high, samples=samples)


@dataclass(frozen=True, kw_only=True)
class CalibrationError:
    """Expected calibration error: the mean distance of score and share of right ones over bins of scores.

    Attributes:
        before: at temperature 1.
        after: at the temperature that was fitted.
    """

    before: float
    after: float


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """What a threshold does on a split.

    Attributes:
        coverage: the share of the samples of known classes that are accepted.
        accuracy: of these; None if there are none.
        unknown_accepted: the share of the samples of no class that are accepted; None without such samples.
    """

    coverage: Share | None
    accuracy: Share | None
    unknown_accepted: Share | None


def fit_temperature(answers: Answers, names: tuple[str, ...]) -> Temperature:
    """The temperature with the least cross entropy, within the bounds, in float64.

    Args:
        answers: on ``val``.
        names: of the classes.
    """
    from scipy.optimize import brentq  # at need: its import takes long

    logits = torch.from_numpy(answers.logits).double()
    own = logits.gather(1, torch.from_numpy(answers.target)[:, None]).squeeze(1)

    def slope(log_temperature: float) -> float:
        """Of the cross entropy in 1 / T, in which it is convex: mean of E[l] - l_y."""
        shares = (logits / math.exp(log_temperature)).softmax(1)
        return float(((shares * logits).sum(1) - own).mean())

    least, most = math.log(LEAST_TEMPERATURE), math.log(MOST_TEMPERATURE)
    doubts = tuple(_doubts(answers, names))
    if slope(least) <= 0:  # a lower temperature would be better still
        return Temperature(value=LEAST_TEMPERATURE, bound="least", doubts=doubts)
    if slope(most) >= 0:
        return Temperature(value=MOST_TEMPERATURE, bound="most", doubts=doubts)
    root = brentq(slope, least, most, xtol=1e-10)
    return Temperature(value=float(np.float32(math.exp(root))), doubts=doubts)


def _doubts(answers: Answers, names: tuple[str, ...]) -> list[str]:
    count = len(answers.target)
    found = [f"val has {count} samples, and a temperature of fewer than {FEWEST} says little"] if count < FEWEST else []
    absent = [name for number, name in enumerate(names) if number not in set(answers.target.tolist())]
    if absent:
        found.append(f"val has no sample of {', '.join(absent)}, so the temperature says nothing of its scores")
    return found


def calibration_error(answers: Answers, temperature: float) -> CalibrationError:
    """Before and after."""
    before, after = (_expected_error(answers, each) for each in (1.0, temperature))
    return CalibrationError(before=before, after=after)


def _expected_error(answers: Answers, temperature: float) -> float:
    from torchmetrics.functional.classification import multiclass_calibration_error  # at need

    logits: Tensor = torch.from_numpy(answers.logits).double() / temperature
    if logits.shape[1] < 2:  # its only score is 1, and right
        return 0.0
    target = torch.from_numpy(answers.target)
    return float(multiclass_calibration_error(logits.softmax(1), target, logits.shape[1], n_bins=NUM_BINS, norm="l1"))


def threshold_for_coverage(scores: Floats, coverage: float) -> float:
    """The largest threshold that accepts at least this share of ``scores [N]``.

    >>> threshold_for_coverage(np.array([0.5, 0.75, 1.0], np.float32), 0.6)
    0.75
    """
    needed = max(1, math.ceil(coverage * len(scores) - 1e-9))
    return float(np.sort(scores)[-needed])


def threshold_for_false_accept(scores: Floats, share: float) -> float:
    """The least threshold that accepts at most this share of ``scores [M]`` of samples of no class.

    >>> threshold_for_false_accept(np.array([0.25, 0.5, 1.0], np.float32), 0.4) > 0.5
    True
    """
    allowed = math.floor(share * len(scores) + 1e-9)
    return float(np.nextafter(np.sort(scores)[::-1][allowed], np.float32(2)))


def rejection(answers: Answers, decision: Decision) -> Rejection:
    """The figures of a threshold, window by window."""
    labels = decision.labels(answers.logits)
    accepted, right = labels != UNKNOWN, labels == answers.target
    unknown = decision.labels(answers.unknown) != UNKNOWN if len(answers.unknown) else np.zeros(0, np.bool_)
    return Rejection(
        coverage=Share.of(int(accepted.sum()), len(labels)),
        accuracy=Share.of(int(right.sum()), int(accepted.sum())),
        unknown_accepted=Share.of(int(unknown.sum()), len(unknown)),
    )
