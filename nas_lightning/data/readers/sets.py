"""Arrays of series ``[samples, channels, length]`` with their labels, one set of them a split."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nas_lightning.data.readers import axes
from nas_lightning.data.readers.stored import StoredArray
from nas_lightning.data.readers.targets import groups_of, labels_of, words_by_number, words_of
from nas_lightning.data.reading import Findings, Reading
from nas_lightning.data.recordings import Block, Recording, Source
from nas_lightning.data.words import Numbered, Words
from nas_lightning.errors import InputError

PART_VALUES = 1 << 20
"""Arrays are read in parts of about this many values."""

_SHORTEST = 16
"""Rows of an array ``[N, L]`` that are shorter may as well be the channels of one long recording."""

Series = np.ndarray | StoredArray | list[np.ndarray]
"""``[N, C, L]``, or N arrays of two axes."""


@dataclass(frozen=True)
class Part:
    """Series that stand together.

    Attributes:
        split: ``train``, ``val`` or ``test``; None if that is not decided.
        x: N series; a list may hold such of different lengths.
        y: N labels.
        groups: N groups, if there are some.
        suffix: of the names of the arrays in messages, for example ``_train``.
    """

    split: str | None
    x: Series
    y: np.ndarray
    groups: np.ndarray | None = None
    suffix: str = ""


@dataclass(frozen=True)
class ArraySet:
    """All arrays of a source.

    Attributes:
        source: the file, for messages.
        parts: the first of them has all classes.
        channels: names of the C channels, if they are known.
        label_names: see ``targets.words_by_number``.
        sampling_rate: Hz, if it is known.
        key: what says the order of the axes.
    """

    source: str
    parts: Sequence[Part]
    channels: np.ndarray | None = None
    label_names: Sequence[str] | None = None
    sampling_rate: float | None = None
    key: str = axes.KEY


def read_set(arrays: ArraySet, reading: Reading, findings: Findings) -> Source:
    """Check arrays, and give their series as recordings.

    Raises:
        InputError: naming the source, the array, what was found and what is allowed.
    """
    source, parts = arrays.source, arrays.parts
    for part in parts:
        _check_series(source, part, [len(_axes(other.x)) for other in parts])
    _check_shapes(source, parts)
    y = [labels_of(source, f"y{part.suffix}", _one_each(source, part), findings) for part in parts]
    words = words_by_number(source, [f"y{part.suffix}" for part in parts], y, arrays.label_names)
    groups = _groups(source, parts)
    order = None if isinstance(parts[0].x, list) else _order(arrays, reading, findings)
    channels = _channel_names(arrays, order)
    pieces = [
        _Piece(part, words[i], None if groups is None else groups[i], channels, arrays.sampling_rate)
        for i, part in enumerate(parts)
    ]
    if order is None:
        turned = axes.Orientation(source, reading.axes, "channels_first", findings, arrays.key)
        recordings: Iterator[Recording | Block] = _singles(pieces, turned)
    else:
        recordings = (block for piece in pieces for block in _blocks(piece, order))
    names = None if arrays.label_names is None else [str(name) for name in arrays.label_names]
    return Source(source, recordings, names, total=sum(len(part.x) for part in parts), findings=findings)


@dataclass(frozen=True)
class _Piece:
    """A part after its checks."""

    part: Part
    labels: Words
    groups: Words | None
    channels: tuple[str, ...] | None
    sampling_rate: float | None


def _axes(x: Series) -> list[int]:
    """The shape; of a list its length."""
    return [len(x)] if isinstance(x, list) else list(x.shape)


def _check_series(source: str, part: Part, num_axes: Sequence[int]) -> None:
    x, name = part.x, f"X{part.suffix}"
    if isinstance(x, list):
        return
    is_flat = x.ndim == 2 and set(num_axes) == {2}
    if not (x.ndim == 3 or is_flat) or 0 in x.shape:
        raise InputError(
            f"{source}: {name} has shape {list(x.shape)}; allowed: [samples, channels, length], none of them 0"
        )
    if x.dtype.kind not in "iufb":
        kind = "real numbers" if x.dtype.kind == "c" else "numbers"
        raise InputError(f"{source}: {name} has type {x.dtype}; allowed: {kind}")
    if is_flat and x.shape[1] < _SHORTEST:
        raise InputError(
            f"{source}: {name} has shape {list(x.shape)}, which may be {x.shape[0]} series of one channel, or one "
            f"recording of {x.shape[1]} channels; allowed: [samples, channels, length], so [{x.shape[0]}, 1, "
            f"{x.shape[1]}] for the former, and a table with a column of labels for the latter"
        )


def _check_shapes(source: str, parts: Sequence[Part]) -> None:
    one, shape = parts[0], _axes(parts[0].x)[1:]
    for other in parts[1:]:
        if (found := _axes(other.x)[1:]) != shape:
            what = "[channels, length]" if len(shape) == 2 else "length"
            raise InputError(f"{source}: X{one.suffix} has {what} {shape} and X{other.suffix} {found}; they must agree")


def _one_each(source: str, part: Part) -> np.ndarray:
    """The labels, if there is one for each series."""
    if part.y.shape[:1] != (len(part.x),):
        raise InputError(
            f"{source}: y{part.suffix} has shape {list(part.y.shape)}; X{part.suffix} asks for [{len(part.x)}]"
        )
    return part.y


def _order(arrays: ArraySet, reading: Reading, findings: Findings) -> str:
    """How the last two axes of all arrays are read, one of ``reading.AXES``; rows of one channel count as time first.

    Raises:
        InputError: if there would be more channels than time steps, and nobody said so.
    """
    first = arrays.parts[0]
    name, shape = f"X{first.suffix}", _axes(first.x)
    if len(shape) == 2:
        findings.decide("each row of an array is a series of one channel", f"{name} {shape}")
        return "time_first"
    if reading.axes is not None:
        return reading.axes
    _, channels, steps = shape
    if arrays.channels is not None and channels != steps and len(arrays.channels) in (channels, steps):
        order = "channels_first" if len(arrays.channels) == channels else "time_first"
        findings.decide("the names of the channels say which axis they are", f"{name} {shape}", arrays.key)
        return order
    if channels > steps:
        raise axes.ask(f"{arrays.source}: {name}", shape, "channels_first", arrays.key)
    findings.decide("arrays are [samples, channels, length]", f"{name} {shape}", arrays.key)
    return "channels_first"


def _channel_names(arrays: ArraySet, order: str | None) -> tuple[str, ...] | None:
    if arrays.channels is None:
        return None
    names = tuple(words_of(arrays.source, "channel_names", arrays.channels).tolist())
    if order is not None:
        shape = _axes(arrays.parts[0].x)
        _check_names(arrays.source, names, 1 if len(shape) == 2 else shape[2 if order == "time_first" else 1])
    return names


def _check_names(source: str, names: tuple[str, ...] | None, count: int) -> None:
    if names is not None and len(names) != count:
        raise InputError(f"{source}: found {len(names)} names of channels; allowed: {count}, one for each")


def _groups(source: str, parts: Sequence[Part]) -> list[Words] | None:
    """The groups by part; one that says nothing is a group of its own."""
    if all(part.groups is None for part in parts):
        return None
    return [
        Words(np.zeros(len(part.x), dtype=np.int64), [str(part.split)])
        if part.groups is None
        else groups_of(source, f"groups{part.suffix}", part.groups, len(part.x))
        for part in parts
    ]


def _blocks(piece: _Piece, order: str) -> Iterator[Block]:
    start, split = 0, piece.part.split
    for part in _chunks(piece.part.x):
        values = part.transpose(0, 2, 1) if part.ndim == 3 and order == "channels_first" else part
        values = values if values.ndim == 3 else values[:, :, None]
        count, length, channels = values.shape
        here = slice(start, start + count)
        yield Block(
            names=Numbered(split or "all", range(start, start + count)),
            values=_as_numbers(values.reshape(-1, channels)),
            lengths=np.full(count, length),
            labels=piece.labels[here],
            groups=None if piece.groups is None else piece.groups[here],
            splits=None if split is None else Words(np.zeros(count, dtype=np.int64), [split]),
            sampling_rates=None if piece.sampling_rate is None else np.full(count, piece.sampling_rate),
            channels=piece.channels,
        )
        start += count


def _chunks(x: Series) -> Iterator[np.ndarray]:
    rows = max(1, PART_VALUES // math.prod(_axes(x)[1:]))
    if isinstance(x, StoredArray):
        return x.parts(rows)
    return (np.asarray(x[i : i + rows]) for i in range(0, len(x), rows))


def _as_numbers(values: np.ndarray) -> np.ndarray:
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def _singles(pieces: Sequence[_Piece], turned: axes.Orientation) -> Iterator[Recording]:
    """Series of a list, one by one."""
    for piece in pieces:
        part = piece.part
        assert isinstance(part.x, list)  # nosec B101 # tells the type checker
        for number, values in enumerate(part.x):
            name = f"{part.split or 'all'}/{number}"
            rows = turned.turned(f"X{part.suffix}[{number}]", values) if values.ndim == 2 else values[:, None]
            _check_names(turned.source, piece.channels, rows.shape[1])
            label = piece.labels[number]
            assert label is not None  # nosec B101 # tells the type checker: labels_of gives one for each
            yield Recording(
                name,
                _as_numbers(rows),
                label,
                group=None if piece.groups is None else piece.groups[number],
                split=part.split,
                sampling_rate=piece.sampling_rate,
                channels=piece.channels,
            )
    turned.end()
