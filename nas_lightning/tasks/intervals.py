"""95 % intervals of shares and of F1, where samples come in units (recordings, persons) that stand or fall together."""

import math

import numpy as np

Interval = tuple[float, float]
"""From, to; both are possible values."""

_Z = 1.959963984540054  # the 97.5 % quantile of the normal distribution

FEW_UNITS = 20
"""Below that intervals are rough, and wide for that reason alone (Cameron and Miller 2015, section VI: 20 to 50)."""


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


def left_out_interval(value: float, without: np.ndarray, samples: int) -> Interval:
    """The 95 % interval of a figure from 0 to 1 that is computed of U units together; it contains the figure.

    The variance is the jackknife's (Efron and Tibshirani 1993, section 11.2). It gives the independent count of a share
    of the same variance, less for few units by the t quantile of U - 1 degrees of freedom (Korn and Graubard 1998), and
    that gives Wilson's interval. Where the units leave no variance to be seen, a unit counts as one sample. Never more
    than there are samples.

    Args:
        value: the figure.
        without: ``[U]``, the figure without each unit; NaN, or nothing at all, where none is left.
        samples: that the figure is of.
    """
    units = len(without)
    spread = float(((without - without.mean()) ** 2).sum()) if units > 1 else math.nan
    if not spread > 0 or not 0 < value < 1:
        return wilson(value, max(1, units))
    from scipy.special import stdtrit  # at need: a run that measures nothing needs none of it

    variance = (units - 1) / units * spread
    count = min(samples, value * (1 - value) / variance)
    return wilson(value, count * (_Z / float(stdtrit(units - 1, 0.975))) ** 2)


def f1_interval(right: np.ndarray, labelled: np.ndarray, predicted: np.ndarray) -> Interval:
    """The 95 % interval of the F1 of a class, by leaving out each unit that has to do with it.

    A class without a mistake, or without a hit, is the same whatever is left out. There F1 = 2 J / (1 + J) with the
    share J of the samples of the class, or taken for it, that are right, and J has an interval of Wilson's.

    Args:
        right: counts ``[U]`` by unit of samples of the class that are taken for it.
        labelled: those of samples of it.
        predicted: those of samples that are taken for it; with the others at least one.
    """
    either, both = labelled + predicted - right, labelled + predicted
    hits, total = int(right.sum()), int(both.sum())
    if not 0 < hits < either.sum():
        low, high = share_interval(right, either)
        return 2 * low / (1 + low), 2 * high / (1 + high)
    has_any = (both > 0) & (both < total)
    without = 2 * (hits - right[has_any]) / (total - both[has_any])
    return left_out_interval(2 * hits / total, without, int(either.sum()))
