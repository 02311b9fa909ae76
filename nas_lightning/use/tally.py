"""What is counted while recordings pass by; no recording is kept."""

from collections.abc import Sequence

import numpy as np

from nas_lightning.data.collect import group_in, plain_label
from nas_lightning.data.recordings import Recordings
from nas_lightning.errors import InputError, brief
from nas_lightning.export.contract import InputDescription
from nas_lightning.tasks.decisions import UNKNOWN
from nas_lightning.use.evaluation import ChannelDrift
from nas_lightning.use.figures import Counts, Figure, count_windows, share
from nas_lightning.use.outcomes import Outcomes
from nas_lightning.use.parts import Part


class Labels:
    """Finds the class of a label among those that a network knows.

    Args:
        classes: of the network.
        merges: whether labels that differ by case, spaces or the form of a number are one class, as in training.
        unknown: the label of recordings of no class; None if there are none.

    Raises:
        InputError: if that is the label of a class.
    """

    def __init__(self, classes: Sequence[str], merges: bool, unknown: str | None = None) -> None:
        self._classes, self._merges = tuple(classes), merges
        self._numbers = {name: number for number, name in enumerate(classes)}
        if unknown in self._numbers:
            raise InputError(
                f"`unknown`: found {brief(str(unknown))}, a class of the network; allowed: a label that is none"
            )
        if unknown is not None:
            self._numbers[unknown] = UNKNOWN

    def numbers(self, recordings: Recordings) -> np.ndarray:
        """The class of each recording, int64 ``[R]``; ``UNKNOWN`` of no class.

        Raises:
            InputError: naming the first label that the network does not know.
        """
        found = [self._number(name) for name in recordings.label_names]
        strangers = np.array([number is None for number in found])[recordings.labels]
        if strangers.any():
            first = int(strangers.argmax())
            label = recordings.label_names[recordings.labels[first]]
            raise InputError(
                f"{recordings.source}: {brief(recordings.names[first])} has the label {brief(label)!r}, which the "
                f"network does not know; allowed: {brief(', '.join(self._classes))}, and `unknown`=LABEL for one that "
                "is no class"
            )
        numbers: np.ndarray = np.array(found, dtype=np.int64)[recordings.labels]
        return numbers

    def _number(self, label: str) -> int | None:
        if (number := self._numbers.get(label)) is not None or not self._merges:
            return number
        plain = plain_label(label)
        return next((number for name, number in self._numbers.items() if plain_label(name) == plain), None)


class Counted:
    """Counts of windows and recordings by recording, of one way to decide; those of no class apart.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int) -> None:
        self._num_classes = num_classes
        self._counts: list[Counts] = []
        self._accepted: list[np.ndarray] = []
        self._are_right: list[np.ndarray] = []
        self._no_class: list[np.ndarray] = []

    def add(
        self, numbers: np.ndarray, truth: np.ndarray, found: np.ndarray, decided: np.ndarray, recordings: np.ndarray
    ) -> None:
        """Count a part.

        Args:
            numbers: int64 ``[N]``, the recording of each window.
            truth: int64 ``[R]``, the class of each recording, or ``UNKNOWN``.
            found: int64 ``[N]``, the class that each window is taken for, or ``UNKNOWN``.
            decided: int64 ``[N]``, the same behind the threshold.
            recordings: int64 ``[R]``, the class that each recording is taken for, or ``UNKNOWN``.
        """
        are_known, true = truth != UNKNOWN, truth[numbers]
        own, places = are_known[numbers], np.cumsum(are_known) - 1
        shape = int(are_known.sum()), self._num_classes
        self._counts.append(count_windows(true[own], found[own], places[numbers][own], shape))
        self._are_right.append((recordings == truth)[are_known])
        accepted, right, ones = (
            np.bincount(numbers, each, len(truth)).astype(np.int64)
            for each in (decided != UNKNOWN, (decided == true) & own, np.ones(len(own)))
        )
        self._accepted.append(np.stack([accepted, right])[:, are_known])
        self._no_class.append(np.stack([accepted, ones])[:, ~are_known])

    @property
    def counts(self) -> Counts:
        """By recording."""
        return Counts(*(np.concatenate([getattr(p, key) for p in self._counts]) for key in ("true", "found", "right")))

    @property
    def accepted(self) -> np.ndarray:
        """Of each recording the windows that are accepted, and those of them that are right, int64 ``[2, R]``."""
        return np.concatenate(self._accepted, axis=1)

    @property
    def are_right(self) -> np.ndarray:
        """Whether a recording is taken for its class, bool ``[R]``."""
        return np.concatenate(self._are_right)

    @property
    def no_class(self) -> np.ndarray:
        """Of each recording of no class the windows that are accepted, and all, int64 ``[2, others]``."""
        return np.concatenate(self._no_class, axis=1)

    def accepted_of_no_class(self, groups: np.ndarray | None) -> Figure | None:
        """The share of the windows of no class that are accepted; None if there are none.

        Args:
            groups: whole numbers ``[others]``, of the recordings; None if these are independent.
        """
        counts = self.no_class
        if groups is not None:
            counts = np.stack([np.bincount(groups, each).astype(np.int64) for each in counts])
        return share(*counts)


class Tally:
    """What is counted of a network.

    Args:
        classes: K names.

    Attributes:
        alone: of each window by itself, and of the mean scores of each recording.
        decided: of the decision of the run: threshold and several windows together.
        loss: the sum of the cross entropy of the logits as they are, at temperature 1.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.alone, self.decided = Counted(len(classes)), Counted(len(classes))
        self._known: list[np.ndarray] = []
        self.loss = 0.0

    def add(self, part: Part, truth: np.ndarray, windows: Outcomes, recordings: Outcomes) -> None:
        """Count a part.

        Args:
            part: whose windows were looked at.
            truth: int64 ``[R]``, the class of each of its recordings, or ``UNKNOWN``.
            windows: what was said of these.
            recordings: what was said of the recordings.
        """
        assert windows.logits is not None  # nosec B101 # tells the type checker: these are windows
        own = truth[part.numbers] != UNKNOWN
        logits, true = windows.logits[own].astype(np.float64), truth[part.numbers][own]
        logits -= logits.max(1, keepdims=True)
        self.loss += float((np.log(np.exp(logits).sum(1)) - logits[np.arange(len(true)), true]).sum())
        self.alone.add(part.numbers, truth, windows.numbers, windows.alone, recordings.numbers)
        self.decided.add(part.numbers, truth, windows.decided, windows.decided, recordings.decided)
        self._known.append(truth != UNKNOWN)

    @property
    def are_known(self) -> np.ndarray:
        """Whether a recording is of a class, bool ``[all]``."""
        return np.concatenate(self._known)


class Groups:
    """The group of each recording, as numbers.

    Args:
        pattern: of the training, which finds the group in a name; where it finds none, there are no groups.
    """

    def __init__(self, pattern: str | None = None) -> None:
        self._pattern = pattern
        self._names: dict[str, int] = {}
        self._numbers: list[np.ndarray] = []
        self._num_without = 0
        self.without: str | None = None
        """The first recording in whose name the pattern finds nothing."""

    def add(self, recordings: Recordings) -> None:
        """Keep those of a part."""
        if self._pattern is not None:
            self._add_by_name(self._pattern, recordings.names)
        elif recordings.groups is None:
            self._num_without += len(recordings)
        else:
            places = [self._place(word) for word in recordings.groups.words]
            self._numbers.append(np.array(places)[recordings.groups.numbers])

    def _add_by_name(self, pattern: str, names: Sequence[str]) -> None:
        found = [group_in(name, pattern) for name in names]
        if None in found:
            self.without = self.without or names[found.index(None)]
        self._num_without += found.count(None)
        self._numbers.append(np.array([-1 if word is None else self._place(word) for word in found], dtype=np.int64))

    def _place(self, word: str) -> int:
        return self._names.setdefault(word, len(self._names))

    @property
    def are_known(self) -> bool:
        """Whether each recording has a group."""
        return not self._num_without and bool(self._numbers)

    def of(self, which: np.ndarray) -> tuple[np.ndarray | None, tuple[str, ...]]:
        """The groups of some recordings ``which [all]``, as numbers from 0, and their names; None if some have none."""
        if not self.are_known:
            return None, ()
        present, numbers = np.unique(np.concatenate(self._numbers)[which], return_inverse=True)
        names = list(self._names)
        return numbers, tuple(names[number] for number in present)


class Ranges:
    """The ranges of channels, and the rows outside of those of the training.

    Args:
        description: with the latter.
    """

    def __init__(self, description: InputDescription) -> None:
        self._about = description
        count = len(description.channels)
        self._offsets = np.array(description.offsets or (0.0,) * count)
        self._least, self._most = np.full(count, np.inf), np.full(count, -np.inf)
        self._outside, self._rows = np.zeros(count, dtype=np.int64), 0

    def add(self, part: Part) -> None:
        """Look at the rows of a part."""
        values = part.values.numpy()
        self._least = np.minimum(self._least, values.min(0))
        self._most = np.maximum(self._most, values.max(0))
        low, high = (np.float32(np.array(limits) - self._offsets) for limits in (self._about.least, self._about.most))
        self._outside += ((values < low) | (values > high)).sum(0)
        self._rows += len(values)

    def drift(self) -> tuple[ChannelDrift, ...]:
        """What was found, by channel."""
        rows = zip(
            self._about.channels,
            (self._least + self._offsets).tolist(),
            (self._most + self._offsets).tolist(),
            self._about.least,
            self._about.most,
            (self._outside / self._rows).tolist(),
            strict=True,
        )
        keys = ("name", "least", "most", "trained_least", "trained_most", "outside")
        return tuple(ChannelDrift(**dict(zip(keys, row, strict=True))) for row in rows)
