"""What a classifier says of windows and of recordings."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nas_lightning.tasks.decisions import UNKNOWN
from nas_lightning.tasks.smoothing import begins_of, most_frequent


@dataclass(frozen=True)
class Outcomes:
    """What is decided of N windows, or of N recordings, and the scores that it is decided by.

    ``labels``, ``best`` and ``accepted`` are of one decision, which is that of the device.

    >>> scores, zeros = np.array([[0.9, 0.1], [0.4, 0.6]]), np.zeros(2)
    >>> found = Outcomes(("idle", "wave"), ("a", "b"), scores, zeros, zeros, threshold=0.7)
    >>> found.labels.tolist(), found.accepted.tolist()
    (['idle', 'wave'], [True, False])

    Attributes:
        classes: K names, in the order of the network's outputs.
        names: for each, the name of its recording.
        scores: float64 ``[N, K]``, of the window alone: softmax of the logits by the temperature of the run; of a
            recording their mean over its windows. A row sums to 1.
        rows: int64 ``[N]``, the row of the recording at which each begins.
        seconds: float64 ``[N]``, the same as a time, NaN where no sampling rate is known.
        threshold: the least score of a class that is accepted; None accepts all.
        smoothed: int64 ``[N]``, what several windows decide together, -1 for no class; None where each decides alone.
        means: float64 ``[N, K]``, the mean scores of the windows that decide together; None where each decides alone.
        logits: float32 ``[N, K]``, what the network gave; None of recordings.
    """

    classes: tuple[str, ...]
    names: Sequence[str]
    scores: np.ndarray
    rows: np.ndarray
    seconds: np.ndarray
    threshold: float | None = None
    smoothed: np.ndarray | None = None
    means: np.ndarray | None = None
    logits: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def numbers(self) -> np.ndarray:
        """The place of the class with the largest of ``scores``, int64 ``[N]``: of the window alone."""
        return self.scores.argmax(1)

    @property
    def alone(self) -> np.ndarray:
        """What the threshold makes of that, int64 ``[N]``; -1 for no class."""
        if self.threshold is None:
            return self.numbers
        return np.where(self.scores.max(1) >= np.float32(self.threshold), self.numbers, UNKNOWN)

    @property
    def decided(self) -> np.ndarray:
        """The place of the class that is decided on, int64 ``[N]``; -1 for none."""
        return self.alone if self.smoothed is None else self.smoothed

    @property
    def labels(self) -> np.ndarray:
        """By name ``[N]``, the class that is decided on; where none is, the one of the largest score then."""
        return np.array(self.classes, dtype=object)[self.named]

    @property
    def best(self) -> np.ndarray:
        """The score of that class, float64 ``[N]``: the mean over the windows that decide together."""
        found: np.ndarray = self._together[np.arange(len(self)), self.named]
        return found

    @property
    def accepted(self) -> np.ndarray:
        """Whether a class is decided on, bool ``[N]``."""
        return self.decided != UNKNOWN

    @property
    def _together(self) -> np.ndarray:
        return self.scores if self.means is None else self.means

    @property
    def named(self) -> np.ndarray:
        """The place of the class that ``labels`` names, int64 ``[N]``."""
        return np.where(self.accepted, self.decided, self._together.argmax(1))

    @classmethod
    def join(cls, parts: Sequence["Outcomes"]) -> "Outcomes":
        """One behind the other; there is at least one."""
        first, names = parts[0], [name for part in parts for name in part.names]

        def joined(key: str) -> np.ndarray | None:
            values = [getattr(part, key) for part in parts]
            return None if values[0] is None else np.concatenate(values)

        scores, rows, seconds = (
            np.concatenate([getattr(p, key) for p in parts]) for key in ("scores", "rows", "seconds")
        )
        smoothed, means, logits = (joined(key) for key in ("smoothed", "means", "logits"))
        return cls(first.classes, names, scores, rows, seconds, first.threshold, smoothed, means, logits)


@dataclass(frozen=True)
class Predictions:
    """What a classifier says of some recordings.

    Attributes:
        recordings: an outcome for each recording.
        windows: an outcome for each window.
        notes: what was put right or may well be wrong, one sentence each.
    """

    recordings: Outcomes
    windows: Outcomes
    notes: tuple[str, ...] = field(default=())


def by_recording(windows: Outcomes, numbers: np.ndarray, names: Sequence[str]) -> Outcomes:
    """The mean scores of the windows of each recording, and their most frequent decision where windows are smoothed.

    Args:
        windows: N windows, in the order of their recordings.
        numbers: int64 ``[N]``, the place of the recording of each; each recording has a window at least.
        names: of the recordings.
    """
    first = np.searchsorted(numbers, np.arange(len(names)))
    counts = np.diff(np.append(first, len(numbers)))
    scores = np.add.reduceat(windows.scores, first, axis=0) / counts[:, None]
    smoothed = None if windows.smoothed is None else most_frequent(windows.smoothed, begins_of(numbers))
    rows, seconds = windows.rows[first], windows.seconds[first]
    return Outcomes(windows.classes, list(names), scores, rows, seconds, windows.threshold, smoothed)
