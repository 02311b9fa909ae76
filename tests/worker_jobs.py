"""Jobs of the tests of workers: in a module, because a worker does not run a test again."""

import logging
import os
import signal
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch

from nas_lightning import progress
from nas_lightning.errors import BudgetError
from nas_lightning.workers.worker import Setting

log = logging.getLogger("nas_lightning")


def nothing():
    """Where a worker has nothing to prepare."""


SETTING = Setting(nothing, nullcontext)


def place(shared, number):
    """Where a job was done, and with how many threads."""
    return number, os.getpid(), torch.get_num_threads()


def say(shared, text):
    """Say something."""
    log.info("%s and %s", text, text)


def exceed(shared):
    """Raise an error that is made of more than its text."""
    raise BudgetError("needs", {"params": 3}, ("params",), {"params": 4})


def fail(shared):
    """Raise something else."""
    raise ZeroDivisionError("by nothing")


def die(shared, mark, times):
    """Kill the process that works, so many times; then say how often it was."""
    path = Path(mark)
    done = len(path.read_text()) if path.exists() else 0
    if done < times:
        path.write_text("x" * (done + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return done


def file_of(address):
    """The name of the file that is mapped at an address; empty if none is."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, *_, name = line.split(maxsplit=5) if line.count(" ") > 4 else (line.split()[0], "")
        start, end = (int(edge, 16) for edge in span.split("-"))
        if start <= address < end:
            return Path(name.strip()).name
    return ""


def look(shared):
    """Which files the arrays of the shared content lie in, and the sum of one; then write into another."""
    tensor, array = shared["tensor"], shared["array"]
    files = [file_of(address) for address in (tensor.data_ptr(), shared["again"].data_ptr(), array.ctypes.data)]
    found = files, float(tensor.sum())
    array[:] = 0
    return found


def count_to(shared, total):
    """Show a bar."""
    with progress.bar("counting", total, "number") as bar:
        for _ in range(total):
            bar.update()
        bar.note(last=str(total))


def wait_for(shared, path):
    """Say that it has begun, and work until it is killed."""
    begun = Path(f"{path}.new")
    begun.write_text(str(os.getpid()))
    begun.rename(path)
    while True:
        pass


def several(function, values):
    """Jobs that differ in their last argument."""
    return [partial(function, number=value) for value in values]
