"""Clocks that fall back: which counter wrapped, which clock started again, and which rows are out of order."""

from collections.abc import Sequence

import numpy as np

from nas_lightning.data.readers.stamps import name_of
from nas_lightning.data.reading import TIME_UNITS, Findings, Reading
from nas_lightning.errors import InputError

_KEY = "dataset.clock"
_REGULAR = (0.6, 1.4)
_COMMON = 0.1
_SMALL = 10.0
_CLOCKLIKE = (0.2, 5.0)
_PERIODS = (1.0, 60.0, 3600.0, 43200.0, 86400.0)
_BITS = (*range(8, 17), 24, 32)


class Falls:
    """Decides, for each recording whose times fall back, what order its rows have; see ``clock.look``.

    Args:
        shown: the source, for messages.
        names: of the R recordings.
        column: the name of the column of times.
        unit: seconds of one tick of the clock, as far as that is said.
        reading: what the user says.
        findings: keeps what is decided here.
    """

    def __init__(
        self, shown: str, names: Sequence[str], column: str, unit: float, reading: Reading, findings: Findings
    ) -> None:
        self._shown, self._names, self._column = shown, names, column
        self._policy, self._findings = reading.clock, findings
        ticks = {bits: {unit} if bits <= 16 else {unit, *TIME_UNITS.values()} for bits in _BITS}
        counters = [2.0**bits * tick for bits, ticks in ticks.items() for tick in ticks]
        self._periods = np.unique([*_PERIODS, 1e3 * unit, *counters])

    def settle(
        self, seconds: np.ndarray, steps: np.ndarray, begins: np.ndarray
    ) -> tuple[np.ndarray | None, np.ndarray]:
        """The order of the rows (None: as they are), and the rows in which a clock started again.

        Args:
            seconds: float64 ``[T]``.
            steps: float64 ``[T]``, from the row before; NaN in the first row of each recording. They become those of
                the settled order, NaN where there is none.
            begins: int64 ``[R]``, the first row of each recording.
        """
        bounds = np.append(begins, len(seconds))
        lengths = np.diff(bounds)
        num_falls = np.add.reduceat((steps < 0).astype(np.int64), begins)
        is_sorted = num_falls > 0 if self._policy == "sort" else (num_falls * 2 > lengths) & (self._policy is None)
        ends = []
        for number in np.flatnonzero((num_falls > 0) & ~is_sorted):
            own = slice(bounds[number], bounds[number + 1])
            is_sorted[number], found = self._settle_one(int(number), seconds[own], steps[own])
            ends.append(found + own.start)
        order = None
        if is_sorted.any():
            order = self._sorted(seconds, steps, begins, lengths, is_sorted)
            self._check_sorted(steps, begins, lengths, is_sorted, num_falls)
        return order, np.concatenate([*ends, np.empty(0, np.int64)])

    def _sorted(
        self, seconds: np.ndarray, steps: np.ndarray, begins: np.ndarray, lengths: np.ndarray, is_sorted: np.ndarray
    ) -> np.ndarray:
        owners = np.repeat(np.arange(len(begins)), lengths)
        is_own = np.repeat(is_sorted, lengths)
        order = np.lexsort((np.where(is_own, seconds, np.arange(len(seconds))), owners))
        sorted_steps = np.diff(seconds[order], prepend=seconds[:1])
        sorted_steps[begins] = np.nan
        steps[is_own] = sorted_steps[is_own]
        if self._policy is None:
            self._findings.decide(
                f"rows are put in the order of {self._column!r}",
                self._names[int(np.argmax(is_sorted))],
                f"{_KEY}=rows",
                int(is_sorted.sum()),
            )
        return order

    def _check_sorted(
        self, steps: np.ndarray, begins: np.ndarray, lengths: np.ndarray, is_sorted: np.ndarray, num_falls: np.ndarray
    ) -> None:
        """What is no clock has steps of all lengths when it is sorted, or many of none."""
        if self._policy is not None:
            return
        scale = np.repeat(medians(steps, begins, lengths), lengths)
        uneven = ~((steps > _CLOCKLIKE[0] * scale) & (steps < _CLOCKLIKE[1] * scale))
        share = (np.add.reduceat(uneven.astype(np.int64), begins) - 1) / np.maximum(1, lengths - 1)
        wrong = is_sorted & (share > _COMMON) & (4 * num_falls > lengths)
        if wrong.any():
            number = int(np.argmax(wrong))
            raise self._unclear(number, int(num_falls[number]), int(lengths[number]))

    def _settle_one(self, number: int, seconds: np.ndarray, steps: np.ndarray) -> tuple[bool, np.ndarray]:
        """Whether the rows are to be sorted, and else where the clock started again; the steps become right."""
        falls = np.flatnonzero(steps < 0)
        if self._policy == "rows":
            steps[falls] = np.nan
            return False, falls
        step = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
        if (period := self._period(seconds, steps, falls, step)) is not None:
            steps[falls] += period
            self._findings.warn(
                f"the clock {self._column!r} falls back as a counter does that begins anew at 0; rows stay as they are",
                f"{self._names[number]}: after {period:.10g} s",
                f"{_KEY}=sort",
            )
            return False, np.empty(0, np.int64)
        if 4 * len(falls) > len(steps):
            return True, falls
        uneven, sorted_uneven = _num_uneven(steps[1:], step), _num_uneven(np.diff(np.sort(seconds)), step)
        is_small = bool((steps[falls] >= -_SMALL * step).all())
        if sorted_uneven < uneven and (is_small or sorted_uneven <= _COMMON * len(steps)):
            return True, falls
        if uneven < sorted_uneven and uneven <= max(1, _COMMON * len(steps)):
            steps[falls] = np.nan
            self._findings.warn(
                f"the clock {self._column!r} starts again or is set back; rows stay as they are, and windows end there",
                self._names[number],
                f"{_KEY}=sort",
                len(falls),
            )
            return False, falls
        raise self._unclear(number, len(falls), len(steps))

    def _period(self, seconds: np.ndarray, steps: np.ndarray, falls: np.ndarray, step: float) -> float | None:
        """After how many seconds the clock starts again at 0, if its falls are such: it goes on as if it had not."""
        extent = float(np.ptp(seconds))
        near = self._periods
        if len(falls) > 2:  # that all falls are alike says it by itself
            near = np.append(near, step - np.median(steps[falls]))
        for period in near[(near > 0) & (near > extent - step / 2)]:
            goes_on = steps[falls] + period
            if (goes_on > step / 2).all() and (goes_on < 1.5 * step).all():
                return float(period)
        return None

    def _unclear(self, number: int, num_falls: int, num_rows: int) -> InputError:
        return InputError(
            f"{self._shown}: the times in the column {self._column!r} of the recording "
            f"{name_of(self._names[number : number + 1], np.zeros(1, np.int64), 0)} fall back in {num_falls} of "
            f"{num_rows} rows; say {_KEY}=rows to keep the order of the rows, or {_KEY}=sort to order them by it"
        )


def _num_uneven(steps: np.ndarray, step: float) -> int:
    """How many steps are not about as long as the others."""
    return int((~((steps > _REGULAR[0] * step) & (steps < _REGULAR[1] * step))).sum())


def medians(steps: np.ndarray, begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The median step of each recording; the first of its steps is none, and falls that remain are NaN."""
    middle = np.full(len(begins), np.nan)
    for length in np.unique(lengths[lengths > 1]):
        own = np.flatnonzero(lengths == length)
        table = steps[begins[own, None] + np.arange(1, length)]
        has_falls = np.isnan(table).any(axis=1)
        middle[own[~has_falls]] = np.median(table[~has_falls], axis=1)
        for number, row in zip(own[has_falls], table[has_falls], strict=True):
            middle[number] = np.median(row[~np.isnan(row)]) if not np.isnan(row).all() else np.nan
    return middle
