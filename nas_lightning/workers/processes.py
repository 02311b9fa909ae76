"""Processes on this machine."""

import multiprocessing
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nas_lightning.errors import StoppedError
from nas_lightning.workers import parcel, worker
from nas_lightning.workers.bars import Shown
from nas_lightning.workers.base import Parallel
from nas_lightning.workers.server import METHOD

_ATTEMPTS = 3


class _Executor:
    """One set of processes. If one of them is lost, all are, because nobody knows which job it had."""

    def __init__(self, count: int, begin: Callable[[Connection], tuple[Any, ...]]) -> None:
        context = multiprocessing.get_context(METHOD)
        self._stopped, self._stop = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(count, context, worker.begin, begin(self._stopped))

    def submit(self, pending: "_Pending") -> Future[bytes]:
        with _without_main():
            return self._pool.submit(worker.work, pending.payload, id(pending))

    def end(self) -> None:
        """Wait until no process is left; they end at once, whatever they do."""
        self._stop.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._stopped.close()


class Processes(Parallel):
    """Does jobs in processes beside this one; a job whose process was killed is done again.

    Args:
        shared: what the jobs get; large arrays of it are mapped by all workers, and copied by none.
        setting: of the workers.
        count: how many jobs run at once.

    Raises:
        UnshareableError: if ``shared`` cannot be sent.
    """

    def __init__(self, shared: Any, setting: worker.Setting, count: int) -> None:
        super().__init__(shared)
        self._temporary = tempfile.TemporaryDirectory(prefix="nas-lightning-")
        self.folder = Path(self._temporary.name)
        try:
            parcel.write(shared, self.folder)
        except BaseException:
            self._temporary.cleanup()
            raise
        self._bars = multiprocessing.get_context(METHOD).SimpleQueue()
        self._setting, self._count = setting, count
        self._lock, self._is_closed = threading.Lock(), False
        self._executor = self._new_executor()
        self._shown = Shown(self._bars.get)

    def send(self, payload: bytes) -> "_Pending":
        """Hand a packed job in."""
        pending = _Pending(payload)
        with self._lock:
            self._start(pending)
        return pending

    def close(self) -> None:
        """End all workers, at once if they still work."""
        with self._lock:
            self._is_closed = True
            self._executor.end()
        self._bars.put(None)
        self._shown.close()
        self._temporary.cleanup()

    def _new_executor(self) -> _Executor:
        return _Executor(self._count, lambda stopped: (self.folder, stopped, self._bars, self._setting))

    def _start(self, pending: "_Pending") -> None:
        executor = self._executor
        try:
            future = executor.submit(pending)
        except BrokenProcessPool as error:
            future = Future()
            future.set_exception(error)
        future.add_done_callback(partial(self._end, pending, executor))

    def _end(self, pending: "_Pending", executor: _Executor, future: Future[bytes]) -> None:
        """Called by a thread of the executor, which must not wait for it."""
        error = None if future.cancelled() else future.exception()
        if future.cancelled():
            pending.future.cancel()
        elif error is None:
            pending.future.set_result(future.result())
        elif isinstance(error, BrokenProcessPool):
            threading.Thread(target=self._again, args=(pending, executor), daemon=True).start()
        else:
            pending.future.set_exception(error)

    def _again(self, pending: "_Pending", lost: _Executor) -> None:
        """Start a job once more that was lost, when no process of the time before is left that may still do it."""
        if pending.attempts == _ATTEMPTS:
            pending.future.set_exception(_lost())
            return
        pending.attempts += 1
        with self._lock:
            if self._is_closed:
                return
            if self._executor is lost:
                lost.end()
                self._executor = self._new_executor()
            self._start(pending)


def _lost() -> StoppedError:
    return StoppedError(
        f"a worker was killed {_ATTEMPTS} times, perhaps because the memory was full; run.workers=1 or "
        "run.max_memory_gb takes less"
    )


class _Pending:
    """A job that may still run."""

    def __init__(self, payload: bytes) -> None:
        self.payload, self.attempts = payload, 1
        self.future: Future[bytes] = Future()

    def result(self) -> Any:
        """Wait for it."""
        return worker.take(self.future.result())


@contextmanager
def _without_main() -> Iterator[None]:
    """A new process does not run the program again that this one runs."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
