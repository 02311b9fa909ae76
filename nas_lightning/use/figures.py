"""How good a classifier is on recordings, with 95 % intervals that respect what belongs together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas_lightning.tasks.details import ClassDetails, class_details
from nas_lightning.tasks.intervals import share_interval, wilson

_DRAWS = 1000


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
        found: whole numbers ``[U, K]``, windows that were taken for each class.
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

    def means(self, seed: int = 0) -> dict[str, Figure]:
        """Balanced accuracy and macro F1 of the classes that occur; intervals by drawing units again and again."""
        sums = np.concatenate([self.true, self.found, self.right], axis=1)
        units, random = len(sums), np.random.default_rng(seed)
        draws = (np.bincount(random.integers(units, size=units), minlength=units) for _ in range(_DRAWS))
        drawn = np.array([_means(weights @ sums) for weights in draws])
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        found = {}
        for place, name in enumerate(("balanced_accuracy", "macro_f1")):
            value = _means(sums.sum(0))[place]
            interval = (float(low[place]), float(high[place]))
            found[name] = Figure(value, interval if interval[0] < interval[1] else wilson(value, units))
        return found


def _means(sums: np.ndarray) -> tuple[float, float]:
    """Balanced accuracy and macro F1 of counts ``[3 K]``."""
    true, found, right = np.split(sums, 3)
    occurs = true > 0
    true, found, right = true[occurs], found[occurs], right[occurs]
    return float((right / true).mean()), float((2 * right / (true + found)).mean())


def count_windows(true: np.ndarray, found: np.ndarray, units: np.ndarray, shape: Sequence[int]) -> Counts:
    """The counts of N windows.

    Args:
        true: int64 ``[N]``, the class of each.
        found: int64 ``[N]``, the class that it was taken for.
        units: int64 ``[N]``, the unit of each.
        shape: ``(U, K)``.
    """

    def counted(classes: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        places = units[chosen] * shape[1] + classes[chosen]
        return np.bincount(places, minlength=shape[0] * shape[1]).reshape(*shape).astype(np.int32)

    everyone = np.ones(len(true), dtype=bool)
    return Counts(counted(true, everyone), counted(found, everyone), counted(true, true == found))
