"""What smoothing over successive windows gains, and how long it makes one wait."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from nas_lightning.tasks.base import Figures
from nas_lightning.tasks.classification import METRICS, ClassificationMetric
from nas_lightning.tasks.confidence import Answers
from nas_lightning.tasks.decisions import Decision, Labels, Smoothing


@dataclass(frozen=True, kw_only=True)
class Smoothed:
    """What one way of smoothing gives on a split.

    Attributes:
        method: ``none`` or one of ``METHODS``.
        windows: that decide together; 1 of ``none``.
        by_window: metrics of what is decided at each window.
        by_recording: metrics of the most frequent decision of each recording, of equally frequent ones the earliest.
        delay_windows: the median over recordings of the windows before the first that is right; of those that have one.
        never_right: recordings without one.
        recordings: of the split.
    """

    method: str
    windows: int
    by_window: Figures
    by_recording: Figures
    delay_windows: float | None
    never_right: int
    recordings: int


def begins_of(recordings: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each window is the first of its recording, ``[N]``, by the recordings of all ``[N]``."""
    return np.diff(recordings, prepend=-1) != 0


def most_frequent(labels: Labels, begins: NDArray[np.bool_]) -> Labels:
    """The most frequent decision of each recording ``[R]`` of N windows, of equally frequent ones the earliest.

    >>> most_frequent(np.array([0, 1, 1, 2, 0]), np.array([True, False, False, True, False]))
    array([1, 2])
    """
    bounds = itertools.pairwise([*np.flatnonzero(begins).tolist(), len(labels)])
    parts = (labels[start:stop].tolist() for start, stop in bounds)
    return np.array([max(own, key=own.count) for own in parts])


def smoothed_figures(answers: Answers, decision: Decision) -> Smoothed:
    """The figures of a decision on the recordings of a split; unknown counts as wrong."""
    assert answers.recordings is not None  # nosec B101 # for mypy: asked of data that know recordings
    begins, count = begins_of(answers.recordings), answers.logits.shape[1]
    labels = decision.smoothed(answers.logits, begins)
    starts = np.flatnonzero(begins)
    delays = []
    for start, stop in itertools.pairwise([*starts.tolist(), len(labels)]):
        own = labels[start:stop].tolist()
        delays.append(own.index(answers.target[start]) if answers.target[start] in own else None)
    known = [delay for delay in delays if delay is not None]
    smoothing = decision.smoothing
    return Smoothed(
        method="none" if smoothing is None else smoothing.method,
        windows=1 if smoothing is None else smoothing.windows,
        by_window=_figures(labels, answers.target, count),
        by_recording=_figures(most_frequent(labels, begins), answers.target[starts], count),
        delay_windows=float(np.median(known)) if known else None,
        never_right=len(delays) - len(known),
        recordings=len(starts),
    )


def _figures(labels: Labels, target: NDArray[np.int64], count: int) -> Figures:
    """All metrics, with unknown as one more class, of which no sample is."""
    metric = ClassificationMetric(count + 1)
    metric.update(torch.from_numpy(np.where(labels < 0, count, labels)), torch.from_numpy(target))
    found = metric.compute()
    return {name: found[name] for name in METRICS}


def ways(decision: Decision, lengths: Sequence[int]) -> list[Decision]:
    """A decision without smoothing and with each method and length, the simplest first: by memory, then by length."""
    order = ("hysteresis", "majority", "mean")
    smoothings = [Smoothing(method, windows) for method in order for windows in sorted(set(lengths))]  # type: ignore[arg-type]
    return [replace(decision, smoothing=each) for each in (None, *smoothings)]


def best_way(tried: Sequence[Smoothed], metric: str) -> int:
    """The place of the first with the largest metric over windows."""
    return max(range(len(tried)), key=lambda place: tried[place].by_window[metric])
