"""95 % intervals of shares and of F1, where samples come in units (recordings, persons) that stand or fall together."""

import math

import numpy as np

Interval = tuple[float, float]
"""From, to; both are possible values."""

_Z = 1.959963984540054  # the 97.5 % quantile of the normal distribution
_RESAMPLES = 1000
_MOST_DRAWS = 4_000_000


def wilson(share: float, count: float) -> Interval:
    """Wilson's 95 % interval of a share of ``count`` independent samples (Wilson 1927).

    >>> [round(end, 4) for end in wilson(0.8, 10)]
    [0.4902, 0.9433]
    """
    shrink = 1 / (1 + _Z**2 / count)
    middle = shrink * (share + _Z**2 / (2 * count))
    half = shrink * _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return max(0.0, middle - half) if share > 0 else 0.0, min(1.0, middle + half) if share < 1 else 1.0


def independent_count(hits: np.ndarray, totals: np.ndarray) -> float:
    """How many independent samples would say as much of a share as these units do.

    The variance of the share between units (linearised, as of a ratio) is held against that of independent samples;
    their ratio is the design effect, by which the samples are divided (Korn and Graubard 1998). Where all samples agree
    there is no variance to be seen, and a unit counts as one sample. Never more than there are samples.

    Args:
        hits: ``[U]``, samples of each unit that count for the share.
        totals: ``[U]``, samples of each unit; at least one is above 0.
    """
    has_any = totals > 0
    hits, totals = hits[has_any].astype(np.float64), totals[has_any].astype(np.float64)
    units, count = len(totals), float(totals.sum())
    if totals.max() <= 1:
        return count
    share = float(hits.sum()) / count
    if units < 2 or share in (0.0, 1.0):
        return float(units)
    variance = units / (units - 1) * float(((hits - share * totals) ** 2).sum()) / count**2
    return count if variance == 0 else min(count, max(1.0, share * (1 - share) / variance))


def share_interval(hits: np.ndarray, totals: np.ndarray) -> Interval:
    """Wilson's interval of the share of all hits, with the independent count of the units ``[U]``."""
    return wilson(float(hits.sum()) / float(totals.sum()), independent_count(hits, totals))


def f1_interval(right: np.ndarray, labelled: np.ndarray, predicted: np.ndarray) -> Interval:
    """The 95 % interval of the F1 of a class, by drawing units again with replacement, always from one seed.

    A class without a mistake, or without a hit, is the same in every draw. There F1 = 2 J / (1 + J) with the share J of
    the samples of the class, or taken for it, that are right, and J has an interval of Wilson's.

    Args:
        right: counts ``[U]`` by unit of samples of the class that are taken for it.
        labelled: those of samples of it.
        predicted: those of samples that are taken for it; with the others at least one.
    """
    either = labelled + predicted - right
    if not 0 < right.sum() < either.sum():
        low, high = share_interval(right, either)
        return 2 * low / (1 + low), 2 * high / (1 + high)
    low, high = np.percentile(_resampled_f1(right, labelled + predicted), [2.5, 97.5]).tolist()
    return low, high


def _resampled_f1(right: np.ndarray, both: np.ndarray) -> np.ndarray:
    """F1 of each draw, but for draws in which there is nothing of the class."""
    base = int(both.max()) + 1
    kinds, times = np.unique(right * base + both, return_counts=True)  # equal units are drawn together
    draws = max(200, min(_RESAMPLES, _MOST_DRAWS // len(kinds)))
    weights = np.random.default_rng(0).multinomial(len(both), times / len(both), size=draws)  # [R, kinds]
    hits, total = weights @ (kinds // base), weights @ (kinds % base)
    found: np.ndarray = 2 * hits[total > 0] / total[total > 0]
    return found
