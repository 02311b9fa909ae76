"""Long work shows itself: bars on a terminal, a line now and then elsewhere, or whatever a program shows instead.

Bars go to stderr. On a terminal a bar appears when the work has taken half a second, and vanishes with its end; one
that has figures appears with the first of them, and stays. Elsewhere a line is written when ten seconds have passed
without one, so that short work writes nothing, and many short pieces one behind the other are not silent. ``using``
replaces all that; it is a state of the whole process, threads included.
"""

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Self, TextIO, TypeVar

T = TypeVar("T")

_SHOWN_AFTER = 0.5  # seconds
_BETWEEN_TICKS = 0.5  # seconds
_BETWEEN_LINES = 10.0  # seconds
_PAUSE = 1.0  # seconds without a bar: what comes then is other work
_WORTH_A_LINE = 1.0  # seconds of a step, on a terminal
_MOST_PLAIN = 100_000  # above it a terminal shows 1.23M
_LONGEST_TEXT = 60
_USUAL_SIZE = {"ncols": 80, "nrows": 24}

_now = time.monotonic


class Bar:
    """A bar that shows nothing; a subclass shows something. It is closed at the end of its ``with``."""

    def update(self, count: int = 1) -> None:
        """So many more are done."""

    def note(self, **figures: str) -> None:
        """Show these figures beside the count from now on."""

    def tick(self) -> None:
        """Show that the work goes on though nothing is counted; ``step`` calls it from a thread of its own."""

    def close(self) -> None:
        """The work has ended, whether all of it is done or not."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


Show = Callable[[str, int | None, str, int], Bar]
"""Makes a bar of the arguments of ``bar``, in this order."""


def bar(text: str, total: int | None, unit: str = "", initial: int = 0) -> Bar:
    """A bar for work that is counted.

    Args:
        text: what is done.
        total: how many there are; None if that is not known.
        unit: of what, in the singular. Without it and without a total the time alone is shown.
        initial: how many are done already.
    """
    return _show(text, total, unit, initial)


def track(
    iterable: Iterable[T],
    text: str,
    total: int | None = None,
    unit: str = "",
    count: Callable[[T], int] = lambda element: 1,
) -> Iterator[T]:
    """The elements of ``iterable``, with a bar that counts those that are done.

    Args:
        iterable: anything.
        text: what is done.
        total: how many there are; None: as many as ``len`` says, if it says that.
        unit: of what, in the singular.
        count: how many an element counts.
    """
    if total is None:
        with suppress(TypeError):
            total = len(iterable)  # type: ignore[arg-type]
    with bar(text, total, unit) as shown:
        for element in iterable:
            yield element
            shown.update(count(element))


@contextmanager
def step(text: str) -> Iterator[None]:
    """For work without a count, such as that of a compiler: shows that it goes on, and on a terminal how long it took.

    Args:
        text: what is done.
    """
    done = threading.Event()
    with bar(text, None) as shown:

        def tick() -> None:
            while not done.wait(_BETWEEN_TICKS):
                shown.tick()

        if type(shown).tick is Bar.tick:
            yield
            return
        thread = threading.Thread(target=tick, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


@contextmanager
def using(show: Show) -> Iterator[None]:
    """Show bars in another way: ``using(lambda *_: Bar())`` shows none, and a process can send them to its parent.

    It holds for the process until the ``with`` ends, for bars that are opened then.

    Args:
        show: makes a bar. Its ``update``, ``note`` and ``close`` are called by whoever works, its ``tick``, if it has
            one of its own, by another thread.
    """
    global _show
    before, _show = _show, show
    try:
        yield
    finally:
        _show = before


def on_stderr(text: str, total: int | None, unit: str, initial: int) -> Bar:
    """What is shown if nothing else was asked for: a bar if stderr is a terminal, else lines."""
    if sys.stderr is None or sys.stderr.closed:
        return Bar()
    return _Drawn(text, total, unit, initial) if sys.stderr.isatty() else _Lines(text, total, unit, initial)


def clear() -> None:
    """Close all bars on stderr, so that what is written next stands on a line of its own."""
    for shown in reversed(list(_open)):
        shown.close()


def say(text: str) -> None:
    """A line on stderr, above the bars."""
    clear()
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


_show: Show = on_stderr
_open: list[Bar] = []
"""Those on stderr; the last one is drawn, for it says best what is done."""


class _Drawn(Bar):
    """A bar of tqdm."""

    def __init__(self, text: str, total: int | None, unit: str, initial: int) -> None:
        from tqdm import tqdm  # at need: the command line answers mistakes before it is imported

        self._text, self._is_step, self._began = text[:_LONGEST_TEXT], total is None and not unit, _now()
        self._bar = tqdm(
            desc=self._text,
            file=sys.stderr,
            total=total,
            unit=unit or "it",
            initial=initial,
            unit_scale=total is None or total > _MOST_PLAIN,
            delay=_SHOWN_AFTER,
            miniters=1,  # the pace may change: every update looks at the clock
            leave=False,
            position=0,
            # Some terminals of other programs have no size, and tqdm would show nothing there.
            **({"dynamic_ncols": True} if _has_size(sys.stderr) else _USUAL_SIZE),
            bar_format="{desc} [{elapsed}]" if self._is_step else None,
        )
        _open.append(self)

    def update(self, count: int = 1) -> None:
        if _open[-1:] == [self]:
            self._bar.update(count)
        else:
            self._bar.n += count

    def note(self, **figures: str) -> None:
        self._bar.leave, self._bar.delay = True, 0
        self._bar.set_postfix(**figures)

    def tick(self) -> None:
        if _open[-1:] == [self] and _now() - self._began >= _SHOWN_AFTER:
            self._bar.delay = 0  # else tqdm takes it as not shown, and leaves it behind
            self._bar.refresh()

    def close(self) -> None:
        if self not in _open:
            return
        _open.remove(self)
        self._bar.close()
        seconds = _now() - self._began
        if self._is_step and seconds >= _WORTH_A_LINE:
            self._bar.write(f"{self._text}: {duration(seconds)}", file=sys.stderr)


def _has_size(terminal: TextIO) -> bool:
    try:
        return os.get_terminal_size(terminal.fileno()).columns > 0
    except (OSError, ValueError):
        return False


@dataclass
class _Silence:
    """How long nothing was written of work that goes on.

    Attributes:
        since: when the last line was written, or the work began.
        closed: when the last bar was closed.
    """

    since: float = -math.inf
    closed: float = -math.inf


_silence = _Silence()


class _Lines(Bar):
    """A line when ten seconds have passed without one; if there was one, a last one says how it ended."""

    def __init__(self, text: str, total: int | None, unit: str, initial: int) -> None:
        self._text, self._total, self._unit = text, total, unit
        self._done = self._initial = initial
        self._began, self._has_said = _now(), False
        self._figures: dict[str, str] = {}
        if not _open and self._began - _silence.closed > _PAUSE:
            _silence.since = self._began
        _open.append(self)

    def update(self, count: int = 1) -> None:
        self._done += count
        self.tick()

    def note(self, **figures: str) -> None:
        self._figures = figures

    def tick(self) -> None:
        is_due = _now() - _silence.since >= _BETWEEN_LINES and self._done != self._total
        if is_due and _open[-1:] == [self]:
            self._has_said = True
            self._say(is_over=False)

    def close(self) -> None:
        if self not in _open:
            return
        _open.remove(self)
        _silence.closed = _now()
        if self._has_said or _now() - _silence.since >= _BETWEEN_LINES:
            self._say(is_over=True)

    def _say(self, is_over: bool) -> None:
        _silence.since = _now()
        seconds = _now() - self._began
        parts = [*self._counted(), duration(seconds)]
        if is_over:
            parts[-1] = f"ended after {parts[-1]}"
        elif self._total and self._done > self._initial:
            left = seconds * max(0, self._total - self._done) / (self._done - self._initial)
            parts.append(f"about {duration(left)} left")
        parts += [f"{name} {value}" for name, value in self._figures.items()]
        with suppress(OSError, ValueError):  # a pipe that nobody reads must not end the work
            print(f"{self._text}: {', '.join(parts)}", file=sys.stderr, flush=True)

    def _counted(self) -> list[str]:
        unit = f" {self._unit}{'es' if self._unit.endswith('ch') else 's'}" if self._unit else ""
        if self._total:
            return [f"{100 * self._done / self._total:.0f} %", f"{self._done:,} of {self._total:,}{unit}"]
        return [f"{self._done:,}{unit}"] if unit else []


def duration(seconds: float) -> str:
    """A time in words, in its two largest units.

    >>> duration(3.21), duration(75), duration(7260)
    ('3 s', '1 min 15 s', '2 h 1 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
