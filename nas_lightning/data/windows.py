"""From recordings and splits to samples: pieces, resampling, windows, and the dataset that hands them out."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from nas_lightning import progress
from nas_lightning.data.augment import Augmentation
from nas_lightning.data.features import FrontEnd
from nas_lightning.data.reading import no_rows
from nas_lightning.data.recordings import Recordings, RowStore, give_back
from nas_lightning.errors import InputError

_BATCH = 256
_LARGEST_RATIO = 100_000
_TOGETHER = 1 << 20
_MOST_CACHED = 2
NEARLY = 1.01
"""Two rates within this ratio are one, and two lengths by such clocks: those of cheap boards are that far apart."""


@dataclass(frozen=True)
class Pieces:
    """The parts of recordings that one split has.

    Attributes:
        values: float32 ``[T, C]``.
        starts: int64 ``[P]``; piece p is ``values[starts[p] : stops[p]]``.
        stops: int64 ``[P]``.
        labels: int64 ``[P]``.
        recordings: int64 ``[P]``, the number of the recording that each piece is from.
    """

    values: Tensor
    starts: np.ndarray
    stops: np.ndarray
    labels: np.ndarray
    recordings: np.ndarray


def pieces_of(recordings: Recordings, segments: np.ndarray, ends_at_breaks: bool) -> Pieces:
    """The rows of ``segments``; nothing is copied.

    Args:
        recordings: R recordings.
        segments: int64 ``[S, 3]`` of recording, first row, row behind the last.
        ends_at_breaks: whether a piece ends where time does not go on, or is a whole segment.
    """
    numbers, first, last = segments.T
    begins, ends = recordings.starts[numbers] + first, recordings.starts[numbers] + last
    breaks = recordings.breaks if ends_at_breaks else no_rows()
    low, high = np.searchsorted(breaks, begins, side="right"), np.searchsorted(breaks, ends, side="left")
    counts = np.maximum(0, high - low) + 1  # two segments of a recording may be apart
    numbers = np.repeat(numbers, counts)
    is_first = np.zeros(len(numbers), dtype=bool)
    is_first[np.cumsum(counts) - counts] = True
    within = np.arange(len(numbers)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = np.where(is_first, np.repeat(begins, counts), _at(breaks, np.repeat(low, counts) + within - 1))
    stops = np.append(starts[1:], 0)
    is_last = np.append(is_first[1:], True)
    stops[is_last] = ends
    return Pieces(recordings.values, starts, stops, recordings.labels[numbers], numbers)


def _at(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The rows at places that are there, 0 for others."""
    return rows[np.clip(places, 0, len(rows) - 1)] if len(rows) else np.zeros(len(places), dtype=np.int64)


def resample(pieces: Pieces, rates: np.ndarray, new_rate: float, anti_alias: bool) -> Pieces:
    """Each piece at ``new_rate`` Hz: through a low-pass filter, or by leaving rows out.

    Args:
        pieces: the pieces.
        rates: Hz, of each piece.
        new_rate: Hz.
        anti_alias: whether what the new rate cannot hold is filtered out first (a polyphase FIR filter); without it
            every k-th row is kept, k being the whole part of the ratio, and the rest folds into lower frequencies.
    """

    def at_new_rate(rows: np.ndarray, rate: float) -> np.ndarray:
        if not anti_alias:
            return rows[:, :: max(1, int(rate // new_rate))]
        from scipy.signal import resample_poly  # at need: its import takes long

        ratio = (Fraction(new_rate).limit_denominator(1000) / Fraction(rate).limit_denominator(1000)).limit_denominator(
            _LARGEST_RATIO
        )
        resampled = resample_poly(rows, ratio.numerator, ratio.denominator, axis=1, padtype="line")
        return resampled.astype(np.float32, copy=False)

    return _copied(pieces, rates, at_new_rate, "resampling")


def pad(pieces: Pieces, rows: int, hop: int) -> Pieces:
    """Each piece with zeros behind it, so that windows cover all of it."""
    lengths = pieces.stops - pieces.starts
    last = -(-np.maximum(0, lengths - rows) // hop) * hop  # where the window begins that reaches the end
    absent = np.where(last < lengths, last + rows - lengths, 0)  # none where the end lies between two windows
    if not absent.any():
        return pieces

    def filled(values: np.ndarray, more: float) -> np.ndarray:
        return np.pad(values, ((0, 0), (0, int(more)), (0, 0)))

    return _copied(pieces, absent, filled, "filling up")


def _copied(
    pieces: Pieces, arguments: np.ndarray, function: Callable[[np.ndarray, float], np.ndarray], text: str
) -> Pieces:
    """The pieces as ``function`` makes them, given ``[n, T, C]`` of some that follow each other, and their argument."""
    channels = pieces.values.shape[1]
    store, lengths = RowStore(channels), []
    runs = _alike(pieces.stops - pieces.starts, arguments, channels)
    for some in progress.track(runs, text, len(pieces.starts), "recording", lambda run: run.stop - run.start):
        bounds = zip(pieces.starts[some], pieces.stops[some], strict=True)
        made = function(np.stack([pieces.values[start:stop].numpy() for start, stop in bounds]), arguments[some.start])
        store.add(np.ascontiguousarray(made).reshape(-1, channels))
        lengths.append(np.full(len(made), made.shape[1]))
    stops = np.cumsum(np.concatenate(lengths))
    return Pieces(store.finish(), stops - np.concatenate(lengths), stops, pieces.labels, pieces.recordings)


def _alike(lengths: np.ndarray, arguments: np.ndarray, channels: int) -> Iterator[slice]:
    """Runs of the same length and argument, of up to ``_TOGETHER`` values or one piece."""
    changes = np.flatnonzero((np.diff(lengths) != 0) | (np.diff(arguments) != 0)) + 1
    for start, stop in itertools.pairwise([0, *changes.tolist(), len(lengths)]):
        step = max(1, _TOGETHER // (int(lengths[start]) * channels))
        yield from (slice(i, min(i + step, stop)) for i in range(start, stop, step))


class DifferentLengths(InputError):
    """Recordings that were to be whole samples differ in length.

    Attributes:
        frame_sizes: windows that may do, the largest first.
    """

    def __init__(self, source: str, least: int, most: int, rate: float | None) -> None:
        def in_seconds(rows: int) -> str:
            return f" ({rows / rate:.3g} s)" if rate else ""

        highest = max(1, least.bit_length() - 1)
        self.frame_sizes = tuple(2**power for power in range(highest, max(0, highest - 3), -1))
        proposed = ", ".join(f"{size:,}{in_seconds(size)}" for size in self.frame_sizes)
        super().__init__(
            f"{source}: the recordings have from {least:,}{in_seconds(least)} to {most:,}{in_seconds(most)} rows; "
            f"`frame_size`=N cuts them into samples of N rows, for example {proposed}"
        )


def common_length(
    pieces: Sequence[Pieces], new_rate: float | None, source: str, rate: float | None = None
) -> tuple[int, list[str]]:
    """The rows that all pieces of all splits have, and what a user should know of that.

    Args:
        pieces: of the splits.
        new_rate: that they were brought to.
        source: for messages.
        rate: in Hz; None if it is not known.

    Raises:
        DifferentLengths: if they differ by more than the clocks of cheap boards explain.
    """
    lengths = np.concatenate([piece.stops - piece.starts for piece in pieces])
    least, most = int(lengths.min()), int(lengths.max())
    if least == most:
        return least, []
    if new_rate is not None and most <= NEARLY * least + 1:
        return least, [f"the recordings have {least} to {most} rows at {new_rate:g} Hz; the first {least} count"]
    raise DifferentLengths(source, least, most, rate)


@dataclass(frozen=True)
class Windows:
    """Samples as places in rows; nothing is copied until a batch is asked for.

    Attributes:
        values: float32 ``[T, C]``.
        starts: int64 ``[N]``, the first row of each sample.
        labels: int64 ``[N]``.
        recordings: int64 ``[N]``, the number of the recording that each sample is from.
        rows: rows of a sample.
        short: numbers of the recordings that are too short for one sample.
        pieces: int64 ``[N]``, the number of the piece that each sample is from.
    """

    values: Tensor
    starts: Tensor
    labels: Tensor
    recordings: np.ndarray
    rows: int
    short: tuple[int, ...]
    pieces: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def gather(self, indices: Tensor) -> Tensor:
        """Raw samples ``[B, C, rows]``."""
        return self.values.unfold(0, self.rows, 1)[self.starts[indices]]


def cut(pieces: Pieces, rows: int, hop: int) -> Windows:
    """Windows of ``rows`` rows that begin ``hop`` rows apart; none reaches over the end of a piece."""
    lengths = pieces.stops - pieces.starts
    counts = np.maximum(0, (lengths - rows) // hop + 1)
    numbers = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = pieces.starts[numbers] + within * hop
    short = tuple(np.setdiff1d(pieces.recordings, pieces.recordings[counts > 0]).tolist())
    places, labels = torch.from_numpy(starts), torch.from_numpy(pieces.labels[numbers])
    return Windows(pieces.values, places, labels, pieces.recordings[numbers], rows, short, numbers)


def left_out(recordings: Recordings, pieces: Pieces, windows: Windows, split: str) -> list[str]:
    """What a user should know of the recordings of a split that are too short for a window.

    Raises:
        InputError: if that leaves nothing of the split, or of a class of ``train``.
    """
    absent = np.setdiff1d(pieces.labels, windows.labels.numpy()).tolist()
    if absent and (split == "train" or not len(windows)):
        classes = [recordings.label_names[label] for label in absent]
        raise InputError(
            f"{recordings.source}: no recording of {classes} in {split} has the {windows.rows} rows of a sample; "
            f"`keep_short_tails`=true fills them up with zeros"
        )
    if not windows.short:
        return []
    return [
        f"{len(windows.short)} recordings of {split} are shorter than a sample of {windows.rows} rows and are left "
        f"out, the first {recordings.names[windows.short[0]]}; `keep_short_tails`=true keeps them, filled up with zeros"
    ]


UNKNOWN_SPLITS = ("val", "test")
"""Where samples of no class are kept: nothing learns from them."""


def unknown_notes(recordings: Recordings, samples: Mapping[str, Sized]) -> list[str]:
    """What a user should know of the samples of no class, by split, if there can be any."""
    if not recordings.has_unknown:
        return []
    counts = " and ".join(f"{len(samples.get(split, ()))} of {split}" for split in UNKNOWN_SPLITS)
    return [f"samples of {recordings.label_names[-1]} are of no class: {counts}, none of train"]


class Samples(Dataset):
    """What the network sees: windows through the front end, a whole batch at a time.

    Without augmentation the front end runs once, unless it hands the rows through or windows overlap much. With it,
    each batch is scaled, augmented and then goes through the steps; what is drawn follows from the seed, the epoch and
    the batch alone.

    Args:
        windows: the samples.
        front_end: from raw rows to the network's input.
    """

    def __init__(self, windows: Windows, front_end: FrontEnd) -> None:
        self.windows, self.front_end, self.labels = windows, front_end, windows.labels
        self._augmentation: Augmentation | None = None
        self._seed = 0
        self._sampler: DistributedSampler | None = None
        self._cache: Tensor | None = None

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        x, y = self.__getitems__([index])
        return x[0], y[0]

    def __getitems__(self, indices: Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        return self._inputs(chosen), self.labels[chosen]

    def augmented(self, augmentation: Augmentation, seed: int, sampler: DistributedSampler) -> "Samples":
        """The same samples, drawn anew in each epoch of ``sampler``."""
        samples = Samples(self.windows, self.front_end)
        samples._augmentation, samples._seed, samples._sampler = augmentation, seed, sampler
        return samples

    def raw_batches(self, text: str = "") -> Iterator[Tensor]:
        """Raw samples ``[B, C, rows]`` in order, before the front end; with a bar if a text says what they are for."""
        parts = torch.arange(len(self)).split(_BATCH)
        for part in progress.track(parts, text, len(self), "sample", len) if text else parts:
            yield self.windows.gather(part)
            give_back(self.windows.values)

    def _inputs(self, indices: Tensor) -> Tensor:
        if self._augmentation is not None:
            epoch = self._sampler.epoch if self._sampler is not None else 0
            seed = np.random.SeedSequence((self._seed, epoch, int(indices[0]))).generate_state(1, np.uint64)[0]
            generator = torch.Generator().manual_seed(int(seed >> 1))
            scaled = self.front_end.scaled(self.windows.gather(indices))
            return self.front_end.extract(self._augmentation(scaled, generator))
        if not self._is_cached:
            return self.front_end(self.windows.gather(indices))
        if self._cache is None:
            self._cache = torch.empty(len(self), *self.front_end(self.windows.gather(torch.zeros(1).long()))[0].shape)
            parts = torch.arange(len(self)).split(_BATCH)
            for part in progress.track(parts, "features", len(self), "sample", len):
                self._cache[part] = self.front_end(self.windows.gather(part))
        return self._cache[indices]

    @cached_property
    def _is_cached(self) -> bool:
        """Features of windows that overlap much would fill memory; they are computed for each batch."""
        if self.front_end.is_raw:
            return False
        of_one = self.front_end(self.windows.gather(torch.zeros(1).long())).numel()
        return len(self) * of_one <= _MOST_CACHED * self.windows.values.numel()


def rate_decisions(rates: np.ndarray, given: float | None) -> list[str]:
    """What recordings say of their sampling rates, where the user says nothing."""
    key = "[`sampling_rate`]"
    if given is not None:
        return []
    known = rates[~np.isnan(rates)]
    if not len(known):
        return [f"the recordings do not say their sampling rate {key}"]
    span = f"{known.min():.6g}" if known.min() == known.max() else f"{known.min():.6g} to {known.max():.6g}"
    of = "" if len(known) == len(rates) else f" of {len(known):,} of {len(rates):,} recordings"
    return [f"the sampling rate{of} is {span} Hz {key}"]


def check_rate(rates: np.ndarray, sampling_rate: float | None, new_rate: float | None) -> np.ndarray:
    """The sampling rate of each piece: the configured one, else its own, NaN where it is not known.

    Raises:
        InputError: if rates are needed and not known, or differ although nothing makes them equal.
    """
    known = np.full(len(rates), float(sampling_rate)) if sampling_rate else np.asarray(rates, dtype=np.float64)
    said = known[~np.isnan(known)]
    if new_rate is None:
        if len(said) and said.max() > NEARLY * said.min():
            raise InputError(
                f"`new_sr`: is null, and the recordings have sampling rates from {said.min():g} to "
                f"{said.max():g} Hz; new_sr=RATE brings them to one, sampling_rate={float(np.median(said)):.3g} takes "
                "them as of one"
            )
        return known
    if len(said) < len(known):
        who = f"{len(known) - len(said):,} of {len(known):,}" if len(said) else "the"
        raise InputError(f"`sampling_rate`: is null, and {who} recordings do not say it; new_sr needs it")
    if not 0 < said.max() < math.inf:
        raise InputError(f"`sampling_rate`: found {sampling_rate}; allowed: more than 0, and finite")
    slowest = float(said.min())
    if not slowest / _LARGEST_RATIO < new_rate <= NEARLY * slowest:
        unit = "" if slowest >= 1 else "; if their times are milliseconds, `time_unit`=ms says so"
        raise InputError(
            f"`new_sr`: found {new_rate:g}; allowed: more than 0, up to the rate of the recordings, "
            f"{slowest:g} Hz, and {NEARLY - 1:.0%} above it{unit}"
        )
    return known


def common_rate(rates: np.ndarray, new_rate: float | None, anti_alias: bool) -> float | None:
    """Rows a second of the samples from the rates of the recordings; None if they are not known."""
    known = rates[~np.isnan(rates)]
    if not len(known):
        return None
    rate = float(np.median(known))
    if new_rate is None:
        return rate
    return new_rate if anti_alias else rate / max(1, int(rate // new_rate))  # every k-th row was kept


def as_is(batch: Any) -> Any:
    """For a DataLoader whose data set gives whole batches."""
    return batch


def batch_size_of(samples: int) -> int:
    """Samples per batch of training where nobody has said it, by those of ``train``.

    >>> [batch_size_of(samples) for samples in (10, 500, 5_000, 100_000)]
    [10, 16, 32, 64]
    """
    return min(samples, next((size for size, most in ((16, 1000), (32, 10_000)) if samples <= most), 64))
