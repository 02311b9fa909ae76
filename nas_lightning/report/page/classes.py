"""What the page of a run says class by class: bars with intervals, the confusion matrix, and the wrong recordings."""

from dataclasses import dataclass

from nas_lightning.report.page.facts import interval, number
from nas_lightning.tasks import Details

MOST_ROWS = 40
"""Classes of the table; of more those with the smallest F1."""

MOST_CELLS = 16
"""Classes of the matrix; of more a list of what is confused most."""

_MOST_PAIRS = 30
_MOST_RECORDINGS = 25


@dataclass(frozen=True)
class ShareBar:
    """A figure from 0 to 1 as a bar with its interval.

    Attributes:
        text: of the figure.
        words: of the interval.
        percent: length of the bar; None for no bar.
        low: where the interval begins, in percent.
        width: of the interval, in percent.
    """

    text: str
    words: str = ""
    percent: float | None = None
    low: float = 0.0
    width: float = 0.0


@dataclass(frozen=True)
class ClassRow:
    """A class: its name, its samples, and its figures."""

    name: str
    samples: int
    recall: ShareBar
    precision: ShareBar
    f1: ShareBar


@dataclass(frozen=True)
class Cell:
    """A count of the confusion matrix and its share of the row, in percent; whether it is on the diagonal."""

    count: int
    percent: float
    is_right: bool


def class_rows(details: Details) -> list[ClassRow]:
    """The classes in their order, or those with the smallest F1."""
    classes = list(details.classes)
    if len(classes) > MOST_ROWS:
        classes = sorted(classes, key=lambda each: -1.0 if each.f1 is None else each.f1)[:MOST_ROWS]
    return [
        ClassRow(
            each.name,
            each.samples,
            share_bar(each.recall, each.recall_interval),
            share_bar(each.precision, each.precision_interval),
            share_bar(each.f1, each.f1_interval),
        )
        for each in classes
    ]


def share_bar(value: float | None, ends: tuple[float, float] | None) -> ShareBar:
    """A share and its interval; a dash where there is nothing to divide by."""
    if value is None or ends is None:
        return ShareBar("-")
    low, high = ends
    return ShareBar(number(value, 3), interval(ends, 2), 100 * value, 100 * low, 100 * (high - low))


def matrix(details: Details) -> list[list[Cell]]:
    """The confusion matrix; nothing where there are too many classes."""
    if details.confusion is None or len(details.classes) > MOST_CELLS:
        return []
    return [
        [Cell(count, 100 * count / max(1, sum(row)), i == j) for j, count in enumerate(row)]
        for i, row in enumerate(details.confusion)
    ]


def confused_pairs(details: Details) -> list[tuple[str, str, int]]:
    """What is taken for what, and how often, the most frequent first."""
    names = [each.name for each in details.classes]
    pairs = [
        (names[i], names[j], count)
        for i, row in enumerate(details.confusion or ())
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:_MOST_PAIRS]


def wrong_rows(details: Details) -> list[tuple[str, str, str, str]]:
    """Recordings that are wrong: name, class, how many samples, and what they are taken for."""
    rows = []
    for each in (details.wrong_recordings or ())[:_MOST_RECORDINGS]:
        taken = ", ".join(f"{name} {count}" if each.wrong > 1 else name for name, count in each.taken_for.items())
        rows.append((each.name, each.label, f"{each.wrong:,} of {each.samples:,}", taken))
    return rows
