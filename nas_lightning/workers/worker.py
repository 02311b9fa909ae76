"""What a worker does: one job after the other, each with one thread; what it says goes back with the result."""

import logging
import os
import shutil
import signal
import threading
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from nas_lightning.errors import made_again
from nas_lightning.workers import parcel
from nas_lightning.workers.bars import sent_bars
from nas_lightning.workers.base import one_thread
from nas_lightning.workers.server import serve

log = logging.getLogger("nas_lightning")


@dataclass(frozen=True)
class Setting:
    """What a worker needs besides its jobs; it can be pickled.

    Attributes:
        begin: called once, before what the jobs share is read.
        around: entered for each job.
        says: whether what jobs log is said by the parent; not if they see to it themselves.
    """

    begin: Callable[[], None]
    around: Callable[[], AbstractContextManager[None]]
    says: bool = True


@dataclass
class _Worker:
    folder: Path
    bars: Any
    setting: Setting
    shared: Any = None
    has_begun: bool = False


_worker: _Worker | None = None


def begin(folder: Path, stop: Connection, bars: Any, setting: Setting) -> None:
    """Called once in a new process.

    Args:
        folder: the parcel of what the jobs share; read where the first of them comes.
        stop: closed by the parent where everything is to end at once.
        bars: a queue to the parent.
        setting: of all jobs.
    """
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers it
    parent = parent_process()
    assert parent is not None  # nosec B101 # for mypy: it is a child
    threading.Thread(target=_end_with, args=(stop, parent.sentinel, folder), daemon=True).start()
    _worker = _Worker(folder, bars, setting)
    serve()


def _end_with(stop: Connection, parent: Any, folder: Path) -> None:
    """Nothing is lost: files are written whole, and a fit goes on from its checkpoint."""
    if parent in wait([stop, parent]):  # it was killed, and cannot tidy up
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def work(payload: bytes, number: int) -> bytes:
    """Do one packed job."""
    assert _worker is not None  # nosec B101 # for mypy: begin was called
    if not _worker.has_begun:
        _worker.setting.begin()
        _worker.shared = parcel.read(_worker.folder)
        _worker.has_begun = True
    with sent_bars(_worker.bars.put, number), _worker.setting.around():
        return outcome_of(payload, _worker.shared, _worker.setting.says)


def outcome_of(payload: bytes, shared: Any, says: bool) -> bytes:
    """What comes of a packed job: its result or what it raised, and what it said; packed."""
    said: list[logging.LogRecord] = []
    collector = logging.Handler()
    collector.emit = said.append  # type: ignore[method-assign,assignment]
    log.addHandler(collector)
    log.setLevel(logging.INFO)
    outcome: tuple[bool, Any]
    try:
        with one_thread():
            outcome = True, parcel.unpack(payload)(shared)
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        outcome = False, (type(error), error.args, {**vars(error), "__notes__": [text]})
    finally:
        log.removeHandler(collector)
    for record in said:
        record.msg, record.args, record.exc_info = record.getMessage(), (), None
    return parcel.pack((outcome, said if says else []))[0]


def take(packed: bytes) -> Any:
    """The result of a job, after its words were passed on.

    Raises:
        Exception: that it raised.
    """
    (is_done, value), said = parcel.unpack(packed)
    for record in said:
        log.handle(record)
    if is_done:
        return value
    raise made_again(*value)
