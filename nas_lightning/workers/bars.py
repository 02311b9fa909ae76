"""Bars of workers, shown where the run was started."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nas_lightning import progress

_SECONDS = 0.2  # between two messages of one bar


class _Sent(progress.Bar):
    """Sends what it is told, now and then."""

    def __init__(self, send: Callable[[tuple[Any, ...]], None], key: tuple[int, int]) -> None:
        self.send, self.key = send, key
        self._count, self._last = 0, 0.0
        self._figures: dict[str, str] = {}

    def update(self, count: int = 1) -> None:
        """So many more."""
        self._count += count
        self._flush()

    def note(self, **figures: str) -> None:
        """Figures beside it."""
        self._figures = figures
        self._flush()

    def close(self) -> None:
        """The end."""
        self._flush(at_once=True)
        self.send((self.key, "close"))

    def _flush(self, at_once: bool = False) -> None:
        if at_once or time.monotonic() - self._last > _SECONDS:
            self.send((self.key, "update", self._count, self._figures))
            self._count, self._last = 0, time.monotonic()


@contextmanager
def sent_bars(send: Callable[[tuple[Any, ...]], None], job: int) -> Iterator[None]:
    """Bars that are opened in here are shown by the process that reads what is sent."""
    numbers = itertools.count()

    def show(text: str, total: int | None, unit: str, initial: int) -> progress.Bar:
        key = job, next(numbers)
        send((key, "open", text, total, unit, initial))
        return _Sent(send, key)

    with progress.using(show):
        yield


class Shown:
    """Shows what workers send, until it is closed.

    Args:
        receive: waits for the next message; None ends it.
    """

    def __init__(self, receive: Callable[[], tuple[Any, ...] | None]) -> None:
        self._receive = receive
        self._bars: dict[Any, progress.Bar] = {}
        self._thread = threading.Thread(target=self._show, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait for the end, which None tells."""
        self._thread.join()
        for bar in self._bars.values():
            bar.close()

    def _show(self) -> None:
        while (message := self._receive()) is not None:
            key, what, *rest = message
            if what == "open":
                self._bars[key] = progress.bar(*rest)
            elif key in self._bars and what == "update":
                self._bars[key].update(rest[0])
                self._bars[key].note(**rest[1])
            elif key in self._bars:
                self._bars.pop(key).close()
