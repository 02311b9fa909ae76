"""Running other programs within limits: of time, memory and output, and with nothing of the environment but PATH."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from types import FrameType

from nas_lightning.errors import brief

_NEARLY_FULL = 16 << 20  # bytes; a compiler needs a few


class LimitError(RuntimeError):
    """What was to run needed more than it may have; the text says of what."""


@dataclass(frozen=True)
class Limits:
    """What a program may take.

    Attributes:
        seconds: until it and all that it started are ended.
        cpu_seconds: of processor time, of each process.
        memory_bytes: of the address space of each process; None where a sanitizer reserves far more than it uses.
        file_bytes: of each file that is written, the output included.
    """

    seconds: float = 600
    cpu_seconds: int = 300
    memory_bytes: int | None = 4 << 30
    file_bytes: int = 256 << 20


@dataclass(frozen=True)
class Finished:
    """How a program ended; a negative status is the signal that ended it."""

    status: int
    output: bytes
    errors: bytes

    def why(self) -> str:
        """Why it stopped, in a few words."""
        if sys.platform != "win32" and self.status == -signal.SIGXCPU:
            return "it needed more processor time than it may have"
        if sys.platform != "win32" and self.status == -signal.SIGXFSZ:
            return "it wrote more than it may"
        text = brief((self.errors or self.output).decode(errors="replace"))
        return text or f"it ended with status {self.status}"


def shown(found: object) -> str:
    """What was found in a stranger's file, or what went wrong with it, as a part of a sentence on a terminal."""
    return brief(found) or type(found).__name__


def run_limited(
    command: Sequence[str | Path],
    folder: Path,
    limits: Limits,
    given: bytes = b"",
    environment: Mapping[str, str] | None = None,
    *,
    together: bool = False,
) -> Finished:
    """Run a program in a folder, within limits; what it started and left behind is ended with it.

    Args:
        command: the program and its arguments.
        folder: in which it runs.
        limits: what it may take; on Windows the time only.
        given: its standard input.
        environment: what it gets besides PATH.
        together: whether its errors go to its output.

    Raises:
        LimitError: if it does not end in time.
        OSError: if it fails, and the folder for temporary files is nearly full.
    """
    with TemporaryDirectory() as scratch, TemporaryFile() as stdin, TemporaryFile() as out, TemporaryFile() as errors:
        stdin.write(given)
        stdin.seek(0)
        # Output goes to files, because the size of these is limited; that of a pipe is not.
        process = subprocess.Popen(  # nosec B603 # a list without a shell's words, within limits: what this module is for
            _within(command, limits),
            cwd=folder,
            env=_environment(scratch) | dict(environment or {}),
            stdin=stdin,
            stdout=out,
            stderr=subprocess.STDOUT if together else errors,
            start_new_session=True,
        )
        try:
            status = process.wait(limits.seconds)
        except subprocess.TimeoutExpired as error:
            raise LimitError(f"it did not end within {limits.seconds:g} seconds") from error
        finally:
            _end(process)
        if status != 0 and shutil.disk_usage(scratch).free < _NEARLY_FULL:  # what it would say of that is cut off
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), tempfile.gettempdir())
        out.seek(0)
        errors.seek(0)
        return Finished(status, out.read(limits.file_bytes), errors.read(limits.file_bytes))


def _environment(scratch: str) -> dict[str, str]:
    """PATH, a temporary folder of its own, and messages in English, because some are read."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return kept | {"TMPDIR": scratch, "TEMP": scratch, "LC_ALL": "C"}


def _within(command: Sequence[str | Path], limits: Limits) -> list[str]:
    """The command behind the limits of a shell. One that cannot be set is lower already, or not known there."""
    words = [str(word) for word in command]
    if sys.platform == "win32":
        return words
    # ulimit counts in blocks of 512 bytes, and in KiB.
    values = {"-c": 0, "-f": limits.file_bytes // 512}
    values |= {"-S -t": limits.cpu_seconds, "-H -t": limits.cpu_seconds + 1}  # at the first it is told, then killed
    if limits.memory_bytes is not None:
        values["-v"] = limits.memory_bytes // 1024
    settings = "".join(f"ulimit {name} {value} 2>/dev/null; " for name, value in values.items())
    return ["/bin/sh", "-c", f'{settings}exec "$@"', "sh", *words]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):  # nothing of it is left
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Stop Python code after a time; where there is no such alarm, and outside of the main thread, it is not stopped.

    Raises:
        LimitError: within the code, when the time is over.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise LimitError(f"it did not end within {seconds:g} seconds")

    if sys.platform == "win32":
        yield
        return
    try:
        before = signal.signal(signal.SIGALRM, stop)
    except ValueError:  # another thread
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
