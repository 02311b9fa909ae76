"""Clocks that fall back: which counter wrapped, which clock started again, and which rows are out of order."""

import numpy as np

from nas_lightning.data.readers.stamps import Column
from nas_lightning.data.reading import TIME_UNITS, no_rows
from nas_lightning.errors import InputError, brief

_KEY = "`clock`"
_REGULAR = (0.6, 1.4)
_COMMON = 0.1
_SMALL = 10.0
_CLOCKLIKE = (0.5, 2.0)
_PERIODS = (1.0, 60.0, 3600.0, 43200.0, 86400.0)
_BITS = (*range(8, 17), 24, 32)


class Falls:
    """Decides, for each recording whose times fall back, what order its rows have; see ``clock.look``.

    Args:
        column: the times.
        unit: seconds of one tick of the clock, as far as that is said.
    """

    def __init__(self, column: Column, unit: float) -> None:
        self._column, self._policy = column, column.reading.clock
        ticks = {bits: {unit} if bits <= 16 else {unit, *TIME_UNITS.values()} for bits in _BITS}
        counters = [2.0**bits * tick for bits, ticks in ticks.items() for tick in ticks]
        self._periods = np.unique([*_PERIODS, 1e3 * unit, *counters])

    def settle(self, seconds: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
        """The order of the rows (None: as they are), and the rows in which a clock started again.

        Args:
            seconds: float64 ``[T]``.
            steps: float64 ``[T]``, from the row before; NaN in the first row of each recording. They become those of
                the settled order, NaN where there is none.
        """
        bounds = np.append(self._column.begins, len(seconds))
        lengths = np.diff(bounds)
        num_falls = np.add.reduceat((steps < 0).astype(np.int64), self._column.begins)
        is_sorted = num_falls > 0 if self._policy == "sort" else (num_falls * 2 > lengths) & (self._policy is None)
        ends = [no_rows()]
        for number in np.flatnonzero((num_falls > 0) & ~is_sorted):
            own = slice(bounds[number], bounds[number + 1])
            is_sorted[number], found = self._settle_one(int(number), seconds[own], steps[own])
            ends.append(found + own.start)
        if not is_sorted.any():
            return None, np.concatenate(ends)
        order = self._sorted(seconds, steps, lengths, is_sorted)
        if self._policy is None:
            self._check_sorted(steps, lengths, is_sorted, num_falls)
            said = f"rows are put in the order of {self._column.name!r}"
            example, count = self._column.names[int(np.argmax(is_sorted))], int(is_sorted.sum())
            self._column.findings.decide(said, example, f"{_KEY}=rows", count)
        return order, np.concatenate(ends)

    def _sorted(self, seconds: np.ndarray, steps: np.ndarray, lengths: np.ndarray, is_sorted: np.ndarray) -> np.ndarray:
        is_own = np.repeat(is_sorted, lengths)
        owners = np.repeat(np.arange(len(lengths)), lengths)
        order = np.lexsort((np.where(is_own, seconds, np.arange(len(seconds))), owners))
        sorted_steps = np.diff(seconds[order], prepend=seconds[:1])
        sorted_steps[self._column.begins] = np.nan
        steps[is_own] = sorted_steps[is_own]
        return order

    def _check_sorted(
        self, steps: np.ndarray, lengths: np.ndarray, is_sorted: np.ndarray, num_falls: np.ndarray
    ) -> None:
        """What is no clock has steps of all lengths when it is sorted, or many of none."""
        begins = self._column.begins
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
            self._warn("falls back as a counter does that begins anew at 0", number, f": after {period:.10g} s")
            return False, no_rows()
        if 4 * len(falls) > len(steps):
            return True, no_rows()
        uneven, sorted_uneven = _num_uneven(steps[1:], step), _num_uneven(np.diff(np.sort(seconds)), step)
        is_small = bool((steps[falls] >= -_SMALL * step).all())
        if sorted_uneven < uneven and (is_small or sorted_uneven <= _COMMON * len(steps)):
            return True, no_rows()
        if uneven < sorted_uneven and uneven <= max(1, _COMMON * len(steps)):
            steps[falls] = np.nan
            self._warn("starts again or is set back, where windows end", number)
            return False, falls
        raise self._unclear(number, len(falls), len(steps))

    def _warn(self, what: str, number: int, detail: str = "") -> None:
        found = f"the clock {self._column.name!r} {what}; rows stay in their order"
        self._column.findings.warn(found, self._column.names[number] + detail, f"{_KEY}=sort")

    def _period(self, seconds: np.ndarray, steps: np.ndarray, falls: np.ndarray, step: float) -> float | None:
        """After how many seconds the clock begins anew at 0, if its falls are such: it goes on as if it had not."""
        extent = float(np.ptp(seconds))
        near = self._periods
        if 2 < len(falls) <= len(steps) / 4:  # that all falls are alike says it by itself
            near = np.append(near, step - np.median(steps[falls]))
        for period in near[(near > 0) & (near > extent - step / 2)]:
            goes_on = steps[falls] + period
            if (goes_on > step / 2).all() and (goes_on < 1.5 * step).all():
                return float(period)
        return None

    def _unclear(self, number: int, num_falls: int, num_rows: int) -> InputError:
        return InputError(
            f"{self._column.shown}: the times in the column {self._column.name!r} of the recording "
            f"{brief(self._column.names[number])!r} fall back in {num_falls} of {num_rows} rows; "
            f"{_KEY}=rows keeps the order of the rows, {_KEY}=sort orders them by it, and `columns.time` names "
            "another column"
        )


def _num_uneven(steps: np.ndarray, step: float) -> int:
    """How many steps are not about as long as the others."""
    return int((~((steps > _REGULAR[0] * step) & (steps < _REGULAR[1] * step))).sum())


def medians(steps: np.ndarray, begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The median step of each recording; the first of its steps is none, and falls that remain are NaN."""
    middle = np.full(len(begins), np.nan)
    for length in np.unique(lengths[lengths > 1]):
        own = np.flatnonzero(lengths == length)
        first = begins[own[0]]
        alone = len(own) == 1  # which may be long, and is not copied
        table = steps[None, first + 1 : first + length] if alone else steps[begins[own, None] + np.arange(1, length)]
        has_falls = np.isnan(table).any(axis=1)
        middle[own[~has_falls]] = np.median(table[~has_falls], axis=1)
        for number, row in zip(own[has_falls], table[has_falls], strict=True):
            middle[number] = np.median(row[~np.isnan(row)]) if not np.isnan(row).all() else np.nan
    return middle
