"""Recordings: labelled time series, checked once, whatever they were read from."""

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from nas_lightning.errors import InputError, brief

MISSING_POLICIES = ("error", "interpolate", "drop")
"""What can be done about missing values: refuse them, fill them on a straight line, or leave their rows out."""

_IN_MEMORY_VALUES = 1 << 26
"""Recordings above this many values (256 MiB) lie in a temporary file that is mapped into memory."""

_VARIABLES = "data_processing_feature_extraction.variables"


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
    """

    name: str
    values: np.ndarray
    label: str
    group: str | None = None
    split: str | None = None
    sampling_rate: float | None = None
    channels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Source:
    """What a reader returns: recordings that are read while they are asked for.

    Attributes:
        name: the path or data set, for messages.
        recordings: the recordings, in an order that only the content of the source decides.
        class_names: the classes in order; None if they follow from the labels.
        lists: the lists of its splits, if it comes with them; see ``annotations.read_lists``.
    """

    name: str
    recordings: Iterable[Recording]
    class_names: Sequence[str] | None = None
    lists: Lists | None = None


@dataclass(frozen=True)
class Recordings:
    """All recordings of a source, one behind the other.

    Attributes:
        source: the path or data set, for messages.
        values: float32 ``[T, C]``, the rows of all R recordings; mapped from a temporary file if they are many.
        starts: int64 ``[R + 1]``; recording r is ``values[starts[r] : starts[r + 1]]``.
        names: R names.
        labels: int64 ``[R]``, 0 to K - 1.
        class_names: K names.
        groups: R names of groups, or None.
        splits: R times ``train`` or ``test``, or None if the source does not say.
        sampling_rates: R rates in Hz; None where the source does not say.
        lists: the splits that the source comes with, or None.
    """

    source: str
    values: Tensor
    starts: np.ndarray
    names: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    groups: tuple[str, ...] | None = None
    splits: tuple[str, ...] | None = None
    sampling_rates: tuple[float | None, ...] = ()
    lists: Lists | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def lengths(self) -> np.ndarray:
        """Time steps of each recording, int64 ``[R]``."""
        return np.diff(self.starts)


class RowStore:
    """Collects rows ``[T, C]``, in memory while they are few and else in a temporary file that vanishes with them."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._parts: list[np.ndarray] = []
        self._held = 0
        self._file: IO[bytes] | None = None
        self.num_rows = 0

    def add(self, rows: np.ndarray) -> None:
        """Append rows of type float32."""
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
            np.ascontiguousarray(rows).tofile(self._file)

    def finish(self) -> Tensor:
        """All rows, ``[T, C]``."""
        if self._file is None:
            return torch.from_numpy(np.concatenate(self._parts))
        with self._file as file:
            file.flush()
            return torch.from_numpy(np.memmap(file, np.float32, "r+", shape=(self.num_rows, self._channels)))


def collect(
    source: Source, variables: Any = None, missing: str = "error", group_pattern: str | None = None
) -> Recordings:
    """Read all recordings of a source, check them, and keep the chosen channels.

    Args:
        source: from a reader.
        variables: None for all channels, n for the first n, or a list of channel numbers from 0 or of names.
        missing: one of ``MISSING_POLICIES``.
        group_pattern: a regular expression whose first group (or whole match) in a recording's name is its group;
            without it the groups of the source hold.

    Raises:
        InputError: naming the source or the recording, what was found and what is allowed.
    """
    store: RowStore | None = None
    kept: list[Recording] = []
    bounds = [0]
    channels, first, names = 0, "", None
    seen: set[str] = set()
    for recording in source.recordings:
        shown = f"{source.name}: {brief(recording.name)}"
        if recording.name in seen:
            raise InputError(f"{shown}: there are two recordings of this name; allowed: each once")
        seen.add(recording.name)
        values = _finite(shown, _select(shown, recording, variables), missing)
        if store is None:
            store, channels, first = RowStore(values.shape[1]), values.shape[1], recording.name
        if values.shape[1] != channels:
            raise InputError(f"{shown} has {values.shape[1]} channels and {first} has {channels}; they must agree")
        names = names or recording.channels
        if not _is_named(variables) and recording.channels not in (None, names):
            raise InputError(
                f"{shown} names its channels {brief(', '.join(recording.channels or ()))} and {first} names them "
                f"{brief(', '.join(names or ()))}; name the ones to take by {_VARIABLES}"
            )
        store.add(values)
        bounds.append(bounds[-1] + len(values))
        kept.append(_without_values(recording, _group(shown, recording, group_pattern)))
    if store is None:
        raise InputError(f"{source.name}: has no recordings; at least 2 are needed, of 2 classes")
    class_names = tuple(source.class_names or _in_order({recording.label for recording in kept}))
    _check_classes(source.name, kept, class_names)
    numbers = {name: number for number, name in enumerate(class_names)}
    return Recordings(
        source=source.name,
        values=store.finish(),
        starts=np.array(bounds),
        names=tuple(recording.name for recording in kept),
        labels=np.array([numbers[recording.label] for recording in kept]),
        class_names=class_names,
        groups=_all_or_none(source.name, "group", [recording.group for recording in kept]),
        splits=_all_or_none(source.name, "split", [recording.split for recording in kept]),
        sampling_rates=tuple(recording.sampling_rate for recording in kept),
        lists=source.lists,
    )


def _without_values(recording: Recording, group: str | None) -> Recording:
    return replace(recording, values=np.empty(0), group=group, channels=None)


def _group(shown: str, recording: Recording, pattern: str | None) -> str | None:
    if pattern is None:
        return recording.group
    match = re.search(pattern, recording.name)
    found = next((part for part in (match.groups() or (match[0],)) if part is not None), None) if match else None
    if found is None:
        raise InputError(
            f"dataset.group_pattern: {pattern!r} finds nothing in the name of {shown}; allowed: a pattern that "
            "is found in every name, or null"
        )
    return found


def _select(shown: str, recording: Recording, variables: Any) -> np.ndarray:
    """The chosen columns."""
    values, num_channels = recording.values, recording.values.shape[1]
    if variables is None:
        return values
    chosen = list(range(min(variables, num_channels + 1))) if type(variables) is int else variables
    if _is_named(chosen):
        return values[:, _by_name(shown, recording.channels, chosen)]
    is_list = isinstance(chosen, list) and all(type(channel) is int for channel in chosen)
    if not is_list or not chosen or min(chosen) < 0 or max(chosen) >= num_channels:
        raise InputError(
            f"{_VARIABLES}: found {variables}; {shown} has {num_channels} channels: allowed are 1 to "
            f"{num_channels}, a list of numbers from 0 to {num_channels - 1}, or a list of names"
        )
    return values[:, chosen]


def _is_named(variables: Any) -> TypeGuard[list[str]]:
    return isinstance(variables, list) and bool(variables) and all(isinstance(name, str) for name in variables)


def _by_name(shown: str, channels: tuple[str, ...] | None, chosen: list[str]) -> list[int]:
    if channels is None:
        raise InputError(f"{_VARIABLES}: found {chosen}; {shown} does not name its channels: use numbers")
    unknown = [name for name in chosen if name not in channels]
    if unknown:
        raise InputError(f"{_VARIABLES}: found {unknown}; {shown} has the channels {brief(', '.join(channels))}")
    return [channels.index(name) for name in chosen]


def _finite(shown: str, values: np.ndarray, missing: str) -> np.ndarray:
    """The values as float32, with the policy for missing ones applied."""
    if values.size == 0:
        raise InputError(f"{shown} has {len(values)} rows of {values.shape[1]} channels; at least 1 is needed")
    with np.errstate(over="ignore"):  # what float32 cannot hold is named below
        values = values.astype(np.float32)
    infinite = np.isinf(values)
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        raise InputError(
            f"{shown}: row {row} of channel {column} is infinite or too large; allowed: what float32 holds"
        )
    absent = np.isnan(values)
    if not absent.any():
        return values
    if missing == "error":
        row, column = np.argwhere(absent)[0]
        raise InputError(
            f"{shown}: row {row} of channel {column} is missing, the first of {int(absent.sum())} values that are; "
            "dataset.missing=interpolate fills them, dataset.missing=drop leaves their rows out"
        )
    if missing == "drop":
        values = values[~absent.any(1)]
        if not len(values):
            raise InputError(f"{shown} has a missing value in every row; dataset.missing=drop would leave nothing")
        return values
    for channel in range(values.shape[1]):
        gaps = absent[:, channel]
        if gaps.all():
            raise InputError(f"{shown}: channel {channel} has no value at all; it cannot be interpolated")
        values[gaps, channel] = np.interp(np.flatnonzero(gaps), np.flatnonzero(~gaps), values[~gaps, channel])
    return values


def _check_classes(source: str, recordings: list[Recording], class_names: tuple[str, ...]) -> None:
    found = {recording.label for recording in recordings}
    unknown = sorted(found - set(class_names))
    if unknown:
        raise InputError(f"{source}: has the labels {brief(unknown)} beside its classes {brief(list(class_names))}")
    trained = {recording.label for recording in recordings if recording.split != "test"}
    if len(trained) < 2:
        raise InputError(f"{source}: has the one class {brief(sorted(trained))} to train on; at least 2 are needed")
    empty = [name for name in class_names if name not in found]
    if empty:
        raise InputError(f"{source}: the classes {brief(empty)} have no recording; leave them out or give them some")
    unseen = [name for name in class_names if name not in trained]
    if unseen:
        raise InputError(f"{source}: the test split has classes that the train split lacks: {brief(unseen)}")


def _all_or_none(source: str, what: str, values: Sequence[str | None]) -> tuple[str, ...] | None:
    given = tuple(value for value in values if value is not None)
    if given and len(given) < len(values):
        raise InputError(f"{source}: {len(given)} of {len(values)} recordings have a {what}; allowed: all or none")
    return given or None


def _in_order(labels: Iterable[str]) -> list[str]:
    """Numbers by value, else by name."""
    labels = sorted(labels)
    try:
        return sorted(labels, key=float)
    except ValueError:
        return labels
