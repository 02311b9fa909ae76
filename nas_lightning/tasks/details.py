"""How good a classifier is class by class, how sure that is, and which recordings it is wrong about."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas_lightning.tasks.intervals import Interval, f1_interval, share_interval

MOST_WRONG = 100
"""Recordings that are listed."""

MOST_CLASSES = 100
"""For which the confusion matrix is kept: it grows with their square."""


@dataclass(frozen=True)
class Origins:
    """Where the samples of a split are from, in the order of its loader.

    Attributes:
        recordings: int64 ``[N]``, the number of the recording that each sample was cut from.
        names: of the recordings, by number.
        groups: int64 ``[N]``, the number of its group (a person, a device), -1 for none; None if there are no groups.
    """

    recordings: np.ndarray
    names: Sequence[str]
    groups: np.ndarray | None = None

    @property
    def unit(self) -> str:
        """What samples stand or fall together by: ``groups`` or ``recordings``."""
        return "recordings" if self.groups is None else "groups"

    @property
    def units(self) -> np.ndarray:
        """int64 ``[N]``, a number for each unit; a recording without a group is one of its own."""
        if self.groups is None:
            return self.recordings
        return np.where(self.groups < 0, -1 - self.recordings, self.groups)


@dataclass(frozen=True, kw_only=True)
class ClassDetails:
    """One class: counts, and figures with 95 % intervals; None where there is nothing to divide by.

    Attributes:
        name: of the class.
        samples: of this class.
        predicted: samples that are taken for it.
        precision: share of those that are taken for it that are of it.
        recall: share of its samples that are taken for it.
        f1: their harmonic mean.
        precision_interval: by Wilson, for the independent count of the units.
        recall_interval: the same.
        f1_interval: by leaving each unit out.
    """

    name: str
    samples: int
    predicted: int
    precision: float | None
    precision_interval: Interval | None
    recall: float | None
    recall_interval: Interval | None
    f1: float | None
    f1_interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class WrongRecording:
    """A recording with samples that are taken for another class.

    Attributes:
        name: of the recording.
        label: its class.
        samples: of it in this split.
        wrong: how many of them are wrong.
        taken_for: how many of these by the class that they are taken for.
    """

    name: str
    label: str
    samples: int
    wrong: int
    taken_for: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Details:
    """What the figures of a split are made of; a section of ``metrics.json`` behind the name of the split.

    Attributes:
        unit: what intervals take as independent: ``groups``, ``recordings``, or ``samples`` where these are not known.
        units: how many of them there are.
        samples: of the split.
        right: samples that are taken for their class.
        accuracy_interval: 95 % interval of the share of right samples.
        classes: one by one.
        confusion: counts ``[K][K]``, rows the true class, columns the predicted one; None above 100 classes.
        num_wrong_recordings: with at least one wrong sample; None where recordings are not known.
        wrong_recordings: those with the most wrong samples, up to 100.
    """

    unit: str
    units: int
    samples: int
    right: int
    accuracy_interval: Interval
    classes: tuple[ClassDetails, ...]
    confusion: tuple[tuple[int, ...], ...] | None = None
    num_wrong_recordings: int | None = None
    wrong_recordings: tuple[WrongRecording, ...] | None = None


@dataclass(frozen=True)
class Mistake:
    """A sample that is taken for another class.

    Attributes:
        sample: its place in the split.
        label: its class.
        taken_for: the class that it is taken for.
        score: how sure the network is of that, the largest of its softmax.
    """

    sample: int
    label: str
    taken_for: str
    score: float


def details_of(target: np.ndarray, predicted: np.ndarray, names: Sequence[str], origins: Origins | None) -> Details:
    """All of it for labels ``[N]`` and predictions ``[N]``, whole numbers that ``names`` are the names of."""
    units = np.arange(len(target)) if origins is None else origins.units
    present, unit_of = np.unique(units, return_inverse=True)

    def by_unit(which: np.ndarray) -> np.ndarray:
        return np.bincount(unit_of[which], minlength=len(present))

    is_right = target == predicted
    counts = np.bincount(target * len(names) + predicted, minlength=len(names) ** 2).reshape(len(names), len(names))
    classes = (
        class_details(name, by_unit(is_right & (target == k)), by_unit(target == k), by_unit(predicted == k))
        for k, name in enumerate(names)
    )
    num_wrong, wrong = (None, None) if origins is None else _wrong_recordings(target, predicted, names, origins)
    return Details(
        unit="samples" if origins is None else origins.unit,
        units=len(present),
        samples=len(target),
        right=int(is_right.sum()),
        accuracy_interval=share_interval(by_unit(is_right), np.bincount(unit_of)),
        classes=tuple(classes),
        confusion=tuple(map(tuple, counts.tolist())) if len(names) <= MOST_CLASSES else None,
        num_wrong_recordings=num_wrong,
        wrong_recordings=wrong,
    )


def class_details(name: str, right: np.ndarray, labelled: np.ndarray, taken: np.ndarray) -> ClassDetails:
    """A class from counts by unit.

    >>> found = class_details("idle", np.array([2, 1]), np.array([2, 2]), np.array([2, 1]))
    >>> found.samples, found.recall, found.precision
    (4, 0.75, 1.0)

    Args:
        name: of the class.
        right: whole numbers ``[U]``, its samples that are taken for it.
        labelled: its samples.
        taken: samples that are taken for it.
    """
    hits, samples, predicted = int(right.sum()), int(labelled.sum()), int(taken.sum())
    return ClassDetails(
        name=name,
        samples=samples,
        predicted=predicted,
        precision=hits / predicted if predicted else None,
        precision_interval=share_interval(right, taken) if predicted else None,
        recall=hits / samples if samples else None,
        recall_interval=share_interval(right, labelled) if samples else None,
        f1=2 * hits / (samples + predicted) if samples + predicted else None,
        f1_interval=f1_interval(right, labelled, taken) if samples + predicted else None,
    )


def _wrong_recordings(
    target: np.ndarray, predicted: np.ndarray, names: Sequence[str], origins: Origins
) -> tuple[int, tuple[WrongRecording, ...]]:
    """How many recordings have wrong samples, and those with the most of them, of equal ones in their order."""
    is_wrong = target != predicted
    numbers, counts = np.unique(origins.recordings[is_wrong], return_counts=True)
    found = []
    for place in np.lexsort((numbers, -counts))[:MOST_WRONG].tolist():
        own = origins.recordings == numbers[place]
        taken_for = Counter(predicted[own & is_wrong].tolist())
        found.append(
            WrongRecording(
                name=origins.names[int(numbers[place])],
                label=names[int(target[own][0])],
                samples=int(own.sum()),
                wrong=int(counts[place]),
                taken_for={names[k]: count for k, count in sorted(taken_for.items(), key=lambda item: -item[1])},
            )
        )
    return len(numbers), tuple(found)
