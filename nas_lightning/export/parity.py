"""How far two computations of one network may differ."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-4
"""Largest difference of a logit between the file and the network in float64, as a share of the sample's largest one."""

NOTEWORTHY = 0.01
"""A difference above it, where rounding allows one, can decide between classes: it is said as a warning."""


def relative_difference(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """The largest difference ``[N, ...]``, relative to each sample's largest value if that is above 1."""
    found, expected = found.reshape(len(found), -1), expected.reshape(len(expected), -1)
    scale = np.abs(expected).max(axis=1, keepdims=True).clip(min=1)
    return float((np.abs(found - expected) / scale).max())
