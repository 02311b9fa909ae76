"""From the numbers of a source to float32: what is missing, what is infinite, and what float32 would lose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nas_lightning.data.reading import Findings
from nas_lightning.errors import InputError

MISSING_POLICIES = ("error", "interpolate", "drop")
"""What can be done about missing values: refuse them, fill them on a straight line, or leave their rows out."""

_FINEST = 256
"""Steps of float32 that a deviation must hold; fewer would add noise of more than a thousandth of it."""

Shown = Callable[[str], str]
"""The name of a recording in messages."""


@dataclass(frozen=True)
class Rows:
    """Rows of R recordings, one behind the other.

    Attributes:
        values: ``[T, C]``.
        lengths: int64 ``[R]``.
        breaks: int64 ``[B]``, rows before which time does not go on as elsewhere.
    """

    values: np.ndarray
    lengths: np.ndarray
    breaks: np.ndarray


class Float32:
    """Makes float32 of the values of one source after the other.

    Args:
        missing: one of ``MISSING_POLICIES``.
        offset: what is subtracted before, a number or one a channel; None: a constant for the channels in which
            float32 would lose the signal, as far as the first recordings show it.
        shown: the name of a recording in messages.
        findings: for what is decided.
    """

    def __init__(self, missing: str, offset: float | list[float] | None, shown: Shown, findings: Findings) -> None:
        self._missing, self._given, self._shown, self._findings = missing, offset, shown, findings
        self.offsets: np.ndarray | None = None

    def __call__(self, names: Sequence[str], rows: Rows, channels: Sequence[str] | None) -> Rows:
        """The rows as float32 without the offsets, with the policy for missing values applied.

        Raises:
            InputError: for a value that is missing or infinite, or offsets that do not fit.
        """
        if self.offsets is None:
            self.offsets = self._first_offsets(names[0], rows, channels)
        values = rows.values if not self.offsets.any() else rows.values - self.offsets
        single = _single(values)
        self._warn_of_steps(names, values, single, rows.lengths, channels)
        return self._finite(names, Rows(single, rows.lengths, rows.breaks), channels)

    def _first_offsets(self, name: str, rows: Rows, channels: Sequence[str] | None) -> np.ndarray:
        count = rows.values.shape[1]
        if self._given is None:
            offsets = np.zeros(count)
            for channel in np.flatnonzero(loses_steps(rows.values, _single(rows.values), rows.lengths)):
                centred = rows.values[:, [channel]] - (centre := _centre(rows.values[:, channel]))
                if loses_steps(centred, _single(centred), rows.lengths).any():
                    continue  # recordings lie far from each other: one constant does not help, and a warning follows
                offsets[channel] = centre
                self._findings.decide(
                    f"{offsets[channel]:.0f} is subtracted from {_channel(channel, channels)}, because float32 would "
                    "lose the signal",
                    name,
                    "`offset`",
                )
            return offsets
        given = np.atleast_1d(np.asarray(self._given, dtype=np.float64))
        if given.size not in (1, count):
            raise InputError(
                f"`offset`: found {given.size} numbers; {self._shown(name)} has {count} channels: allowed are "
                f"one number, or {count}"
            )
        return np.broadcast_to(given, count).copy()

    def _warn_of_steps(
        self,
        names: Sequence[str],
        values: np.ndarray,
        single: np.ndarray,
        lengths: np.ndarray,
        channels: Sequence[str] | None,
    ) -> None:
        for channel in np.flatnonzero(loses_steps(values, single, lengths)):
            own = values[:, channel]
            step = np.spacing(np.float32(np.abs(own[np.isfinite(own)]).max()))
            self._findings.warn(
                f"float32 keeps steps of {step:g} in {_channel(channel, channels)}, which is much of its deviation; "
                "`offset` subtracts a constant first",
                names[0],
            )

    def _finite(self, names: Sequence[str], rows: Rows, channels: Sequence[str] | None) -> Rows:
        values, lengths = rows.values, rows.lengths
        finite = np.isfinite(values)
        if values.size and lengths.all() and finite.all():
            return rows
        values, is_whole = values.copy(), finite.all(1)
        bounds = np.concatenate([[0], np.cumsum(lengths)])
        num_gaps = np.diff(np.concatenate([[0], np.cumsum(~is_whole)])[bounds])
        for number in np.flatnonzero((num_gaps > 0) | (lengths == 0) | (values.shape[1] == 0)):
            part = slice(bounds[number], bounds[number + 1])
            self._check(self._shown(names[number]), values[part], channels)
            if self._missing == "interpolate":
                self._fill(self._shown(names[number]), values[part], channels)
        first, count = names[int(np.argmax(num_gaps > 0))], int(num_gaps.sum())
        if self._missing == "interpolate":
            self._findings.decide("rows with missing values are filled", first, "`missing`", count)
            return Rows(values, lengths, rows.breaks)
        self._findings.decide("rows with missing values are left out", first, "`missing`", count)
        kept_before = np.concatenate([[0], np.cumsum(is_whole)])
        return Rows(values[is_whole], lengths - num_gaps, np.unique(kept_before[rows.breaks]))

    def _check(self, shown: str, values: np.ndarray, channels: Sequence[str] | None) -> None:
        """Refuse a recording of which no rows are left, or in which a value is infinite, or missing if none may be."""
        if values.size == 0:
            raise InputError(f"{shown} has {len(values)} rows of {values.shape[1]} channels; at least 1 is needed")
        infinite, absent = np.isinf(values), np.isnan(values)
        if infinite.any():
            row, column = np.argwhere(infinite)[0]
            raise InputError(
                f"{shown}: row {row} of {_channel(column, channels)} is infinite or too large; allowed: what "
                "float32 holds"
            )
        if self._missing == "error":
            row, column = np.argwhere(absent)[0]
            raise InputError(
                f"{shown}: row {row} of {_channel(column, channels)} is missing, the first of {int(absent.sum())} "
                "values that are; `missing`=interpolate fills them, `missing`=drop leaves their rows out"
            )
        if self._missing == "drop" and absent.any(1).all():
            raise InputError(f"{shown} has a missing value in every row; `missing`=drop would leave nothing")

    def _fill(self, shown: str, values: np.ndarray, channels: Sequence[str] | None) -> None:
        """Fill gaps on a straight line, in place."""
        for channel in range(values.shape[1]):
            gaps = np.isnan(values[:, channel])
            if gaps.all():
                raise InputError(
                    f"{shown}: {_channel(channel, channels)} has no value at all; it cannot be interpolated"
                )
            values[gaps, channel] = np.interp(np.flatnonzero(gaps), np.flatnonzero(~gaps), values[~gaps, channel])


def _single(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what float32 cannot hold is named where it is looked at
        return values.astype(np.float32, copy=False)


def loses_steps(values: np.ndarray, single: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The channels whose float32 form is much coarser than they deviate within recordings, bool ``[C]``.

    Whole numbers up to 2^24 and all else that float32 holds as it is lose nothing.

    Args:
        values: ``[T, C]``, the rows of R recordings.
        single: the same as float32.
        lengths: int64 ``[R]``.
    """
    if values.dtype.itemsize < 4 or values.dtype == np.float32 or not values.size or not lengths.all():
        return np.zeros(values.shape[1], dtype=bool)
    with np.errstate(over="ignore", invalid="ignore"):
        is_changed = ((single != values) & np.isfinite(single)).any(0)
        if not is_changed.any():
            return is_changed
        peak = np.fmax.reduce(np.abs(single), axis=0)
        finest = _FINEST * np.spacing(peak)
        if _surely_deviate(single, lengths, finest):
            return np.zeros_like(is_changed)
        is_coarse = finest > _deviation(values, lengths)
    return is_changed & is_coarse & np.isfinite(peak)


def _surely_deviate(single: np.ndarray, lengths: np.ndarray, finest: np.ndarray) -> bool:
    """Whether most recordings deviate by more than ``finest`` ``[C]``, by their ranges, which are quickly found.

    Two of n values that are d apart make a deviation of at least d / sqrt(2 n).
    """
    begins = np.cumsum(lengths) - lengths
    ranges = np.maximum.reduceat(single, begins) - np.minimum.reduceat(single, begins)
    is_wide = ranges > 2 * finest * np.sqrt(2 * lengths[:, None])  # twice, for float32 rounds the values
    return bool((is_wide.sum(0) * 2 > len(lengths)).all())


def _deviation(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The median of the deviations that recordings have, of those that are not constant, ``[C]``; infinite for none."""
    begins = np.cumsum(lengths) - lengths
    filled = np.nan_to_num(values.astype(np.float64, copy=False) - values[0], posinf=0, neginf=0)
    mean = np.add.reduceat(filled, begins) / lengths[:, None]
    filled -= np.repeat(mean, lengths, axis=0)
    deviations = np.sqrt(np.add.reduceat(filled**2, begins) / lengths[:, None])
    moving = [own[own > 0] for own in deviations.T]
    return np.array([np.median(own) if len(own) else np.inf for own in moving])


def _centre(values: np.ndarray) -> float:
    """A whole number near the middle of a channel ``[T]`` that has finite values."""
    return float(np.round(np.median(values[np.isfinite(values)])))


def _channel(number: int, channels: Sequence[str] | None) -> str:
    return f"channel {number}" if channels is None else f"channel {number} ({channels[number]})"
