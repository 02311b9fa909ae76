"""What is counted while recordings pass by; no recording is kept."""

from collections.abc import Sequence

import numpy as np

from nas_lightning.data.collect import plain_label
from nas_lightning.data.recordings import Recordings
from nas_lightning.errors import InputError, brief
from nas_lightning.export.contract import InputDescription
from nas_lightning.use.evaluation import ChannelDrift
from nas_lightning.use.figures import Counts, count_windows
from nas_lightning.use.outcomes import Outcomes
from nas_lightning.use.parts import Part


class Labels:
    """Finds the class of a label among those that a network knows.

    Args:
        classes: of the network.
        merges: whether labels that differ by case, spaces or the form of a number are one class, as in training.
    """

    def __init__(self, classes: Sequence[str], merges: bool) -> None:
        self._classes, self._merges = tuple(classes), merges
        self._numbers = {name: number for number, name in enumerate(classes)}

    def numbers(self, recordings: Recordings) -> np.ndarray:
        """The class of each recording, int64 ``[R]``.

        Raises:
            InputError: naming the first label that the network does not know.
        """
        own = np.array([self._number(name) for name in recordings.label_names], dtype=np.int64)
        numbers: np.ndarray = own[recordings.labels]
        if len(unknown := np.flatnonzero(numbers < 0)):
            label = recordings.label_names[recordings.labels[unknown[0]]]
            raise InputError(
                f"{recordings.source}: {brief(recordings.names[unknown[0]])} has the label {brief(label)!r}, which the "
                f"network does not know; allowed: {brief(', '.join(self._classes))}"
            )
        return numbers

    def _number(self, label: str) -> int:
        if (number := self._numbers.get(label)) is not None or not self._merges:
            return -1 if number is None else number
        return next((i for i, name in enumerate(self._classes) if plain_label(name) == plain_label(label)), -1)


class Tally:
    """Counts of recordings and their windows, by recording.

    Args:
        classes: K names.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = tuple(classes)
        self._parts: list[Counts] = []
        self._whole: list[np.ndarray] = []
        self.loss = self.accepted = self.right_and_accepted = 0.0

    def add(self, part: Part, truth: np.ndarray, windows: Outcomes, recordings: Outcomes) -> None:
        """Count a part.

        Args:
            part: whose windows were looked at.
            truth: int64 ``[R]``, the class of each of its recordings.
            windows: what was said of these.
            recordings: what was said of the recordings.
        """
        true, found = truth[part.numbers], windows.numbers
        shape = len(part.recordings), len(self._classes)
        self._parts.append(count_windows(true, found, part.numbers, shape))
        self._whole.append(recordings.numbers == truth)
        with np.errstate(divide="ignore"):
            self.loss -= float(np.log(windows.scores[np.arange(len(true)), true]).sum())
        self.accepted += int(windows.accepted.sum())
        self.right_and_accepted += int((windows.decided == true).sum())

    @property
    def counts(self) -> Counts:
        """By recording."""
        return Counts(*(np.concatenate([getattr(p, key) for p in self._parts]) for key in ("true", "found", "right")))

    @property
    def are_right(self) -> np.ndarray:
        """Whether the mean scores of a recording are right, bool ``[R]``."""
        return np.concatenate(self._whole)


class Groups:
    """The group of each recording, as numbers."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self._numbers: list[np.ndarray] = []
        self._num_without = 0

    def add(self, recordings: Recordings) -> None:
        """Keep those of a part."""
        if recordings.groups is None:
            self._num_without += len(recordings)
            return
        places = [self.names.setdefault(word, len(self.names)) for word in recordings.groups.words]
        self._numbers.append(np.array(places)[recordings.groups.numbers])

    @property
    def numbers(self) -> np.ndarray | None:
        """Int64 ``[R]``; None if not all recordings have one."""
        return None if self._num_without or not self._numbers else np.concatenate(self._numbers)


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
