"""What is decided by logits: scores, a threshold of them, and several successive windows of a recording together.

All of it is float32 arithmetic of additions, multiplications and divisions in a given order, the exponential included:
so the C of a firmware decides what is decided here, bit for bit, whatever its mathematical library is.
"""

from collections import deque
from dataclasses import dataclass
from math import factorial
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

UNKNOWN = -1
"""In the place of a class: none of them."""

METHODS = ("majority", "mean", "hysteresis")
"""How several windows vote, see ``Smoothing``."""

MOST_WINDOWS = 1024

# Cody and Waite: x is r + n ln 2 with |r| <= ln 2 / 2; n times the first part of ln 2 has no rounding.
LOG2_E, LN2_FIRST, LN2_REST = np.float32(1.4426950408889634), np.float32(0.693359375), np.float32(-2.12194440e-4)
LEAST_EXPONENT = np.float32(-87.0)
"""The exponential of less counts as 0; float32 has no such small number but denormal ones."""

TAYLOR = tuple(np.float32(1 / factorial(n)) for n in range(7, -1, -1))
"""Coefficients of the exponential on ``r``, the highest power first; the next term is below the rounding."""


@dataclass(frozen=True)
class Smoothing:
    """How successive windows of a recording decide together; at its beginning those that there are.

    Attributes:
        method: ``majority``: the most frequent decision, of equally frequent ones the latest; ``mean``: the class of
            the largest mean of the scores of each class, and unknown if that mean is below the threshold;
            ``hysteresis``: the decision before, until another one was made ``windows`` times in a row.
        windows: how many.
    """

    method: Literal["majority", "mean", "hysteresis"]
    windows: Annotated[int, Meta(ge=2, le=MOST_WINDOWS)]


@dataclass(frozen=True)
class Decision:
    """What becomes of logits.

    >>> Decision(threshold=0.9).labels(np.array([[3.0, 0.0], [0.0, 1.0]], np.float32))
    array([ 0, -1])

    Attributes:
        temperature: what divides logits before their softmax.
        threshold: the least largest score of a window that is of a class; None accepts all.
        smoothing: of several windows; None leaves each alone.
    """

    temperature: float = 1.0
    threshold: float | None = None
    smoothing: Smoothing | None = None

    @property
    def has_code(self) -> bool:
        """Whether it is more than the class of the largest logit."""
        return self.threshold is not None or self.smoothing is not None

    def shares(self, logits: Floats) -> Floats:
        """The softmax of logits divided by the temperature, ``[N, K]``."""
        powers, total = self._powers(logits)
        return powers / total[:, None]

    def scores(self, logits: Floats) -> Floats:
        """The largest share of each row, ``[N]``."""
        _, total = self._powers(logits)
        return np.float32(1) / total  # the power of the largest logit is 1

    def labels(self, logits: Floats) -> Labels:
        """The class of the largest logit of each row, or ``UNKNOWN`` if its score is below the threshold, ``[N]``."""
        best: Labels = np.asarray(logits).argmax(1)
        if self.threshold is None:
            return best
        return np.where(self.scores(logits) >= np.float32(self.threshold), best, UNKNOWN)

    def stream(self) -> "Stream":
        """Fresh memory of one stream of windows."""
        return Stream(self)

    def smoothed(self, logits: Floats, begins: NDArray[np.bool_]) -> Labels:
        """What is decided at each window ``[N]``, where a stream begins at some of them.

        Args:
            logits: ``[N, K]``, windows in order.
            begins: ``[N]``, whether a window is the first of its recording.
        """
        labels = self.labels(logits)
        if self.smoothing is None:
            return labels
        stream, shares, found = self.stream(), self.shares(logits), np.empty_like(labels)
        for i, begin in enumerate(begins):
            if begin:
                stream.reset()
            found[i] = stream.push(int(labels[i]), shares[i])
        return found

    def means(self, logits: Floats, begins: NDArray[np.bool_]) -> Floats:
        """The mean shares of the windows that decide together at each window, ``[N, K]``; see ``smoothed``."""
        shares = self.shares(logits)
        if self.smoothing is None:
            return shares
        means, found = Means(self.smoothing.windows), np.empty_like(shares)
        for i, begin in enumerate(begins):
            if begin:
                means = Means(self.smoothing.windows)
            found[i] = means.push(shares[i]) / np.float32(means.count)
        return found

    def _powers(self, logits: Floats) -> tuple[Floats, Floats]:
        """``exp((l - max l) / T)`` ``[N, K]``, and its sum over classes in their order ``[N]``."""
        logits = np.asarray(logits, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # a file may hold logits that are no numbers
            powers = exponential((logits - logits.max(1, keepdims=True)) / np.float32(self.temperature))
        total = np.zeros(len(logits), np.float32)
        for column in powers.T:
            total += column
        return powers, total


class Means:
    """The shares of the last windows of a recording.

    Args:
        windows: how many.
    """

    def __init__(self, windows: int) -> None:
        self._windows = windows
        self._slots: list[Floats] = []
        self._seen = 0

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._slots)

    def push(self, shares: Floats) -> Floats:
        """The sum ``[K]`` with those of one more window.

        It is taken in the order of the places, as in C, and anew each time, so that nothing is carried on.
        """
        if self._seen < self._windows:
            self._slots.append(shares)
        else:
            self._slots[self._seen % self._windows] = shares
        self._seen += 1
        total = np.zeros_like(shares)
        for each in self._slots:
            total += each
        return total


class Stream:
    """Windows of one recording, one after the other; call it with the logits ``[K]`` of each.

    Args:
        decision: what is decided.
    """

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.reset()

    def reset(self) -> None:
        """A recording begins."""
        windows = self.decision.smoothing.windows if self.decision.smoothing else 1
        self._votes: deque[int] = deque(maxlen=windows)
        self._means = Means(windows)
        self._held: int | None = None
        self._other, self._run = UNKNOWN, 0

    def __call__(self, logits: Floats) -> int:
        """What is decided now: a class, or ``UNKNOWN``."""
        row = np.asarray(logits, np.float32)[None]
        return self.push(int(self.decision.labels(row)[0]), self.decision.shares(row)[0])

    def push(self, label: int, shares: Floats) -> int:
        """The same from what is decided of the window alone, and its shares ``[K]``."""
        if self.decision.smoothing is None:
            return label
        match self.decision.smoothing.method:
            case "majority":
                return self._majority(label)
            case "mean":
                return self._mean(shares)
            case _:
                return self._hysteresis(label, self.decision.smoothing.windows)

    def _majority(self, label: int) -> int:
        self._votes.appendleft(label)
        return max(self._votes, key=self._votes.count)  # the first, which is the latest, of equal ones

    def _mean(self, shares: Floats) -> int:
        total = self._means.push(shares)
        best, threshold = int(total.argmax()), self.decision.threshold
        is_known = threshold is None or total[best] / np.float32(self._means.count) >= np.float32(threshold)
        return best if is_known else UNKNOWN

    def _hysteresis(self, label: int, windows: int) -> int:
        if self._held is None or label == self._held:
            self._held, self._run = label, 0
            return label
        self._run = self._run + 1 if self._run and label == self._other else 1
        self._other = label
        if self._run == windows:
            self._held, self._run = label, 0
        return self._held


def exponential(x: Floats) -> Floats:
    """Of values up to 0, in float32 steps that C repeats; NaN stays NaN.

    >>> exponential(np.array([0.0, -1.0, -1000.0], np.float32)).round(4)
    array([1.    , 0.3679, 0.    ], dtype=float32)
    """
    is_normal = x >= LEAST_EXPONENT
    kept = np.where(is_normal, x, np.float32(0))
    n = (kept * LOG2_E - np.float32(0.5)).astype(np.int32)  # to the nearest: it is cut off towards 0
    steps = n.astype(np.float32)
    r = (kept - steps * LN2_FIRST) - steps * LN2_REST
    value = np.full_like(r, TAYLOR[0])
    for coefficient in TAYLOR[1:]:
        value = value * r + coefficient
    power = ((n + 127) << 23).astype(np.int32).view(np.float32)  # 2 to the n, by the bits of a float
    return np.where(is_normal, value * power, np.where(x < 0, np.float32(0), x))
