"""The process that workers on this machine are copies of; nothing here loads PyTorch."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

METHOD = "spawn" if sys.platform == "win32" else "forkserver"
"""How a worker is started."""

_serves = False


def cores() -> int:
    """Those that this process may use."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = os.environ.get("OMP_NUM_THREADS", "")  # which who runs several programs side by side sets
    return min(found, int(allowed)) if allowed.isdecimal() and int(allowed) else found


def warm_up(module: str) -> None:
    """Begin to import what workers need, beside what this process does meanwhile.

    Args:
        module: imported by the process that all workers are copies of.
    """
    if METHOD != "forkserver":
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    from multiprocessing import forkserver

    with _uninterrupted():
        forkserver.ensure_running()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A process that is started in here ignores Ctrl-C from its beginning: who has started it sees to that."""
    if threading.current_thread() is not threading.main_thread():  # others cannot say it
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def is_worker() -> bool:
    """Whether this process works for another one."""
    return _serves


def serve() -> None:
    """From now on this process works for another one, and has no workers of its own."""
    global _serves
    _serves = True
