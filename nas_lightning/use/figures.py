"""How good a classifier is on recordings, with 95 % intervals that respect what belongs together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas_lightning.tasks.details import ClassDetails, class_details
from nas_lightning.tasks.intervals import left_out_interval, share_interval

_AT_ONCE = 4096
"""Units that are left out in one sum."""


@dataclass(frozen=True)
class Figure:
    """A figure from 0 to 1, and its 95 % interval."""

    value: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.4f} ({low:.3f} to {high:.3f})"


def share(right: np.ndarray, total: np.ndarray) -> Figure | None:
    """The share of windows that are right, with an interval for windows that belong together in units.

    Args:
        right: whole numbers ``[U]``, windows of each unit that are right.
        total: whole numbers ``[U]``, windows of each unit.

    Returns:
        None if there is no window.
    """
    count = int(total.sum())
    return Figure(float(right.sum() / count), share_interval(right, total)) if count else None


@dataclass(frozen=True)
class Counts:
    """What was counted of U units that are independent of each other.

    Attributes:
        true: whole numbers ``[U, K]``, windows of each class.
        found: whole numbers ``[U, K]``, windows that were taken for each class; the others were taken for none.
        right: whole numbers ``[U, K]``, those of both.
    """

    true: np.ndarray
    found: np.ndarray
    right: np.ndarray

    def merged(self, units: np.ndarray) -> "Counts":
        """The sums by unit; ``units`` ``[U]`` are their numbers from 0."""
        count = int(units.max(initial=-1)) + 1

        def summed(values: np.ndarray) -> np.ndarray:
            made = np.zeros((count, values.shape[1]), dtype=np.int64)
            np.add.at(made, units, values)
            return made

        return Counts(summed(self.true), summed(self.found), summed(self.right))

    def taken(self, chosen: np.ndarray) -> "Counts":
        """Those of some units."""
        return Counts(self.true[chosen], self.found[chosen], self.right[chosen])

    @property
    def accuracy(self) -> Figure | None:
        """The share of windows whose class is found."""
        return share(self.right.sum(1), self.true.sum(1))

    def of_class(self, number: int, name: str) -> ClassDetails:
        """What is said of one class."""
        return class_details(name, *(values[:, number] for values in (self.right, self.true, self.found)))

    def means(self) -> dict[str, Figure]:
        """Balanced accuracy and macro F1 of the classes that occur, with intervals by leaving each unit out."""
        sums = np.concatenate([self.true, self.found, self.right], axis=1)
        total, units = sums.sum(0), len(sums)
        parts = (total - sums[start : start + _AT_ONCE] for start in range(0, units if units > 1 else 0, _AT_ONCE))
        without = np.concatenate([np.empty((0, 2)), *map(_means, parts)])
        names = ("balanced_accuracy", "macro_f1")
        return {
            name: Figure(value, left_out_interval(value, without[:, place], int(self.true.sum())))
            for place, (name, value) in enumerate(zip(names, _means(total).tolist(), strict=True))
        }


def _means(sums: np.ndarray) -> np.ndarray:
    """Balanced accuracy and macro F1 ``[..., 2]`` of counts ``[..., 3 K]``; NaN where no class occurs."""
    true, found, right = np.split(sums, 3, axis=-1)
    occurs = true > 0
    shares = right / np.maximum(true, 1), 2 * right / np.maximum(true + found, 1)
    with np.errstate(invalid="ignore"):
        return np.stack([np.where(occurs, each, 0).sum(-1) / occurs.sum(-1) for each in shares], axis=-1)


def count_windows(true: np.ndarray, found: np.ndarray, units: np.ndarray, shape: Sequence[int]) -> Counts:
    """The counts of N windows.

    Args:
        true: int64 ``[N]``, the class of each.
        found: int64 ``[N]``, the class that it was taken for, -1 for none.
        units: int64 ``[N]``, the unit of each.
        shape: ``(U, K)``.
    """

    def counted(classes: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        places = units[chosen] * shape[1] + classes[chosen]
        return np.bincount(places, minlength=shape[0] * shape[1]).reshape(*shape).astype(np.int32)

    everyone = np.ones(len(true), dtype=bool)
    return Counts(counted(true, everyone), counted(found, found >= 0), counted(true, true == found))
