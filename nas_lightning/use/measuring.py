"""From what was counted to the records of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas_lightning.tasks.decisions import Decision
from nas_lightning.use.evaluation import Decided, GroupFigures
from nas_lightning.use.figures import Counts, Figure, share
from nas_lightning.use.tally import Counted, Tally


@dataclass(frozen=True)
class Units:
    """What windows stand or fall together by.

    Attributes:
        groups: int64 ``[R]``, the group of each recording; None if each recording is a unit.
        names: of the groups.
    """

    groups: np.ndarray | None
    names: Sequence[str]

    @property
    def word(self) -> str:
        """``group`` or ``recording``."""
        return "recording" if self.groups is None else "group"

    def of(self, counts: Counts) -> Counts:
        """Counts of recordings by unit."""
        return counts if self.groups is None else counts.merged(self.groups)

    def share(self, right: np.ndarray, total: np.ndarray) -> Figure | None:
        """The share of ``right [R]`` in ``total [R]``; None if there is none."""
        if self.groups is None:
            return share(right, total)
        return share(*(np.bincount(self.groups, each).astype(np.int64) for each in (right, total)))


def alone(tally: Tally, units: Units, decision: Decision) -> dict[str, Any]:
    """The figures of windows alone, by the names that ``Evaluation`` gives them."""
    found = _figures(tally.alone, units)
    windows, (accepted, right) = int(tally.alone.counts.true.sum()), tally.alone.accepted.sum(1).tolist()
    rejects = decision.threshold is not None
    return found | {
        "loss": tally.loss / windows,
        "accepted": accepted / windows if rejects else None,
        "accuracy_of_accepted": right / accepted if rejects and accepted else None,
    }


def decided(tally: Tally, units: Units, decision: Decision, classes: Sequence[str]) -> Decided | None:
    """The figures of what is delivered; None where that is what each window says alone."""
    if not decision.has_code:
        return None
    counted, rejects = tally.decided, decision.threshold is not None
    (accepted, right), counts = counted.accepted, units.of(counted.counts)
    return Decided(
        **_figures(counted, units),
        accepted=units.share(accepted, counted.counts.true.sum(1)) if rejects else None,
        accuracy_of_accepted=units.share(right, accepted) if rejects else None,
        classes=tuple(counts.of_class(number, name) for number, name in enumerate(classes)),
    )


def _figures(counted: Counted, units: Units) -> dict[str, Figure]:
    counts, are_right = units.of(counted.counts), counted.are_right.astype(np.int64)
    accuracy, of_recordings = counts.accuracy, units.share(are_right, np.ones_like(are_right))
    assert accuracy is not None  # nosec B101 # for mypy, as below: there is a window
    assert of_recordings is not None  # nosec B101
    return {"accuracy": accuracy, **counts.means(), "of_recordings": of_recordings}


def by_group(tally: Tally, units: Units, decision: Decision) -> tuple[GroupFigures, ...] | None:
    """The figures of each group, by name; None if there are none."""
    if units.groups is None:
        return None
    order = np.argsort(units.groups, kind="stable")
    bounds = np.searchsorted(units.groups[order], np.arange(len(units.names) + 1))
    found, counts, delivered = [], tally.alone.counts, tally.decided.counts
    for number, name in enumerate(units.names):
        chosen = order[bounds[number] : bounds[number + 1]]
        own = counts.taken(chosen)
        sizes = {"recordings": len(own.true), "windows": int(own.true.sum())}
        of_decision = delivered.taken(chosen).accuracy if decision.has_code else None
        found.append(GroupFigures(name=name, **sizes, accuracy=own.accuracy, decided=of_decision))
    return tuple(sorted(found, key=lambda each: each.name))


def in_words(decision: Decision) -> str | None:
    """What a run decides by beyond the largest logit.

    >>> in_words(Decision(threshold=0.5)), in_words(Decision())
    ('accepted from a score of 0.5 on', None)
    """
    smoothing, threshold = decision.smoothing, decision.threshold
    parts = [f"{smoothing.method} of {smoothing.windows} windows"] if smoothing is not None else []
    parts += [f"accepted from a score of {threshold:.4g} on"] if threshold is not None else []
    return ", ".join(parts) or None
