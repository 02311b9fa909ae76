"""Recordings: labelled time series, checked once, whatever they were read from."""

import itertools
import mmap
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import IO
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from nas_lightning.data.reading import Findings, no_rows
from nas_lightning.data.words import Words
from nas_lightning.errors import brief

_IN_MEMORY_VALUES = 1 << 24
"""Recordings above this many values (64 MiB) lie in a temporary file that is mapped into memory."""

Lists = dict[str, list[tuple[str, int, int | None]]]
"""By split: names of recordings, with the first of their rows and the row behind the last (None: all)."""


@dataclass(frozen=True)
class Recording:
    """One labelled time series as a reader gives it.

    Attributes:
        name: its file, and its place in it; unique within a source, and the line that stands for it in a split's list.
        values: ``[T, C]``, one row a time step; NaN is a missing value.
        label: the class.
        group: what it shares with others (a person, a device); recordings of one group stay together in a split.
        split: ``train`` or ``test`` if the source decides it; ``train`` is still divided into train and val.
        sampling_rate: Hz, if the source says it.
        channels: names of the columns, if the source says them.
        breaks: int64 ``[B]``, rows before which time does not go on as elsewhere; no window reaches over one.
        unit: what a value is, if the reader made it from what the file holds.
    """

    name: str
    values: np.ndarray
    label: str
    group: str | None = None
    split: str | None = None
    sampling_rate: float | None = None
    channels: tuple[str, ...] | None = None
    breaks: np.ndarray = field(default_factory=no_rows)
    unit: str | None = None

    def __len__(self) -> int:
        return 1


@dataclass(frozen=True)
class Block:
    """R recordings of the same channels, one behind the other; see ``Recording``.

    Attributes:
        names: R names.
        values: ``[T, C]``, the rows of all.
        lengths: int64 ``[R]``, time steps of each.
        labels: R classes.
        groups: R groups; None if there are none.
        splits: R splits; None if the source does not decide them.
        sampling_rates: float64 ``[R]``, Hz; NaN, or None for all, where the source does not say it.
        channels: names of the columns, if the source says them.
        breaks: int64 ``[B]``, rows of ``values`` before which time does not go on as elsewhere, in rising order.
        unit: what a value is, if the reader made it from what the file holds.
    """

    names: Sequence[str]
    values: np.ndarray
    lengths: np.ndarray
    labels: Words
    groups: Words | None = None
    splits: Words | None = None
    sampling_rates: np.ndarray | None = None
    channels: tuple[str, ...] | None = None
    breaks: np.ndarray = field(default_factory=no_rows)
    unit: str | None = None

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, recordings: Sequence[Recording]) -> "Block":
        """Recordings of the same channels, at least one of them."""
        if len(recordings) == 1:
            values = recordings[0].values
        else:
            values = np.concatenate([recording.values for recording in recordings])
        rates = [np.nan if recording.sampling_rate is None else recording.sampling_rate for recording in recordings]
        lengths = np.array([len(recording.values) for recording in recordings])
        starts = np.cumsum(lengths) - lengths
        return cls(
            names=tuple(recording.name for recording in recordings),
            values=values,
            lengths=lengths,
            labels=Words.of([recording.label for recording in recordings]),
            groups=Words.of([recording.group for recording in recordings]),
            splits=Words.of([recording.split for recording in recordings]),
            sampling_rates=np.array(rates, dtype=np.float64),
            channels=recordings[0].channels,
            breaks=np.concatenate([start + one.breaks for start, one in zip(starts, recordings, strict=True)]),
            unit=recordings[0].unit,
        )

    def singles(self) -> "Iterator[Block]":
        """Each recording as a block."""
        bounds = np.concatenate([[0], np.cumsum(self.lengths)]).tolist()
        for i, (start, stop) in enumerate(itertools.pairwise(bounds)):
            own = slice(i, i + 1)
            yield replace(
                self,
                names=self.names[own],
                values=self.values[start:stop],
                lengths=self.lengths[own],
                labels=self.labels[own],
                groups=None if self.groups is None else self.groups[own],
                splits=None if self.splits is None else self.splits[own],
                sampling_rates=None if self.sampling_rates is None else self.sampling_rates[own],
                breaks=self.breaks[(self.breaks > start) & (self.breaks < stop)] - start,
            )


@dataclass(frozen=True)
class Source:
    """What a reader returns: recordings that are read while they are asked for.

    Attributes:
        name: the path or data set, for messages.
        recordings: the recordings, one by one or many at once, in an order that only the content of the source decides.
        label_names: the classes in order; None if they follow from the labels.
        lists: the lists of its splits, if it comes with them; see ``annotations.read_lists``.
        total: how many recordings (or rows) there are, if that is known before they are read.
        unit: what ``total`` counts, ``recording`` or ``row``.
        is_chosen: whether the recordings hold the chosen variables only.
        findings: what the reader decides; complete when all recordings are read.
    """

    name: str
    recordings: Iterable[Recording | Block]
    label_names: Sequence[str] | None = None
    lists: Lists | None = None
    total: int | None = None
    unit: str = "recording"
    is_chosen: bool = False
    findings: Findings = field(default_factory=Findings)


@dataclass(frozen=True)
class Recordings:
    """All recordings of a source, one behind the other.

    Attributes:
        source: the path or data set, for messages.
        values: float32 ``[T, C]``, the rows of all R recordings; mapped from a temporary file if they are many.
        starts: int64 ``[R + 1]``; recording r is ``values[starts[r] : starts[r + 1]]``.
        names: R names.
        labels: int64 ``[R]``, 0 to K - 1.
        label_names: K names.
        groups: R names of groups, or None.
        splits: R times ``train``, ``val`` or ``test``, or None if the source does not say.
        sampling_rates: float64 ``[R]``, Hz; NaN where the source does not say.
        lists: the splits that the source comes with, or None.
        channels: names of the C channels, or None.
        breaks: int64 ``[B]``, rows before which time does not go on as elsewhere, in rising order.
        offsets: float64 ``[C]``, what was subtracted before the values became float32; None for nothing.
        unit: what a value is, if the reader made it from what a file holds.
        has_unknown: whether the last of the label names is that of recordings of no class.
    """

    source: str
    values: Tensor
    starts: np.ndarray
    names: Sequence[str]
    labels: np.ndarray
    label_names: tuple[str, ...]
    groups: Words | None
    splits: Words | None
    sampling_rates: np.ndarray
    lists: Lists | None = None
    channels: tuple[str, ...] | None = None
    breaks: np.ndarray = field(default_factory=no_rows)
    offsets: np.ndarray | None = None
    unit: str | None = None
    has_unknown: bool = False

    def __len__(self) -> int:
        return len(self.names)

    @property
    def known_names(self) -> tuple[str, ...]:
        """The label names of what is a class."""
        return self.label_names[:-1] if self.has_unknown else self.label_names

    def are_unknown(self, numbers: np.ndarray) -> np.ndarray:
        """Whether recordings ``[S]`` by their numbers are of no class, ``[S]``."""
        return self.labels[numbers] >= len(self.known_names)

    @property
    def lengths(self) -> np.ndarray:
        """Time steps of each recording, int64 ``[R]``."""
        return np.diff(self.starts)

    def channel(self, number: int) -> str:
        """A channel in messages: its number, and its name if it has one."""
        return f"channel {number}" + (f" ({brief(self.channels[number])})" if self.channels else "")


class RowStore:
    """Collects rows ``[T, C]``, in memory while they are few and else in a temporary file that vanishes with them."""

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._parts: list[np.ndarray] = []
        self._held = 0
        self._file: IO[bytes] | None = None
        self.num_rows = 0

    def add(self, rows: np.ndarray) -> None:
        """Append rows of type float32."""
        rows = np.ascontiguousarray(rows)
        self.num_rows += len(rows)
        if self._file is None and self._held + rows.size > _IN_MEMORY_VALUES:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is mapped
            for part in self._parts:
                part.tofile(self._file)
            self._parts = []
        if self._file is None:
            self._parts.append(rows)
            self._held += rows.size
        else:
            rows.tofile(self._file)

    def finish(self) -> Tensor:
        """All rows, ``[T, C]``."""
        if self._file is None:
            return torch.from_numpy(np.concatenate(self._parts))
        with self._file as file:
            file.flush()
            mapping = mmap.mmap(file.fileno(), 0)
        values = torch.from_numpy(np.frombuffer(mapping, np.float32).reshape(self.num_rows, self.channels))
        _mappings[values.data_ptr()] = mapping
        return values


_mappings: WeakValueDictionary[int, mmap.mmap] = WeakValueDictionary()
"""By the address of their first value: the mappings of the rows that lie in temporary files."""


def give_back(values: Tensor) -> None:
    """Let go of the memory in which rows of a temporary file lie; what is asked for again is read again.

    A pass over all rows would else keep all of them in memory beside what the pass needs itself.
    """
    mapping = _mappings.get(values.data_ptr())
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)
