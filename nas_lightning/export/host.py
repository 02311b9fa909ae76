"""The proof that the C files compute what the exported network computes: with sanitizers, and on all samples."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nas_lightning import progress
from nas_lightning.errors import ParityError, printable
from nas_lightning.export.limits import Limits, run_limited
from nas_lightning.export.parity import TOLERANCE, relative_difference
from nas_lightning.tasks.decisions import Decision

if TYPE_CHECKING:
    from onnx import ModelProto

TOOLS = ("make", "gcc")
"""What the proof needs on PATH."""

NETWORK, FRONT_END, BOTH, WINDOW, STREAM = 1, 2, 3, 4, 5
"""What of the firmware runs: ``CHAIN`` of its Makefile."""

EMPTY = "cortex_m/empty.c"
"""A network that does nothing, for what needs none."""

_DONE = {
    **{"check": "compiling the C files for this computer", "elf": "linking the C files"},
    "qemu": "running the C files in the emulator",
}
"""What is done by target of the Makefile, in words."""

# The address sanitizer reserves terabytes of addresses, and itself limits the memory that is used.
_SANITIZED = Limits(memory_bytes=None)
_MEMORY = {"ASAN_OPTIONS": "hard_rss_limit_mb=2048"}


def missing_tools(tools: Iterable[str] = TOOLS) -> list[str]:
    """Those that are not on PATH."""
    return [tool for tool in tools if shutil.which(tool) is None]


def make(firmware: Path, build: Path, target: str, **variables: str | int) -> str:
    """Make a target of the firmware's Makefile in another folder, and return what it printed.

    Raises:
        OSError: if the folder for temporary files is full.
        RuntimeError: with the end of the output, if it fails for another reason, or needs more than it may have.
    """
    settings = [f"{name}={value}" for name, value in variables.items()]
    # Named, because make would take a GNUmakefile before it.
    where = ["--no-print-directory", "-C", str(firmware.absolute()), "-f", "Makefile"]
    command = ["make", "--silent", *where, target, f"BUILD={build}", *settings]
    limits = _SANITIZED if target == "run" else Limits()
    with progress.step(_DONE.get(target, f"making {target}")):
        done = run_limited(command, firmware, limits, environment=_MEMORY, together=True)
    text = done.output.decode(errors="replace")
    if done.status != 0:
        raise RuntimeError(f"{' '.join(command)}: {printable(text).strip()[-2000:]}")
    return text


Program = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Samples ``[N, ...]`` in, what the firmware computes for them ``[N, M]`` out."""


@contextmanager
def host_program(firmware: Path, model: str, chain: int = NETWORK) -> Iterator[Program]:
    """The firmware compiled for this computer with sanitizers.

    Args:
        firmware: the folder.
        model: ``model.c`` or ``model_float.c``.
        chain: what runs.

    Raises:
        ParityError: from the program, if it stops.
    """
    with TemporaryDirectory() as folder:
        build = Path(folder)
        make(firmware, build, "check", MODEL=model, CHAIN=chain)

        def run(samples: NDArray[np.float32]) -> NDArray[np.float32]:
            data = np.ascontiguousarray(samples, dtype=np.float32).tobytes()
            done = run_limited([build / "check"], build, _SANITIZED, data, _MEMORY)
            if done.status != 0:
                raise ParityError(f"{firmware / model}: stopped: {done.why()}")
            return np.frombuffer(done.output, np.float32).reshape(len(samples), -1)

        yield run


def check_int8(firmware: Path, integer: "ModelProto", batches: Iterable[Tensor]) -> int:
    """Compare ``model.c`` with the integer network bit for bit, and return the number of samples.

    Raises:
        ParityError: if one bit differs.
    """
    from nas_lightning.export.onnx import run_onnx  # at need, here and below: a run begins without ONNX

    session, count = integer.SerializeToString(), 0
    with host_program(firmware, "model.c") as program:
        for batch in batches:
            expected = run_onnx(session, [batch]).numpy()
            check_bits(firmware / "model.c", program(batch.numpy()), expected, "model_integer.onnx", count)
            count += len(batch)
    return count


def check_bits(path: Path, found: NDArray[np.float32], expected: NDArray[np.float32], of: str, before: int = 0) -> None:
    """Compare results ``[N, M]`` bit for bit.

    Args:
        path: what computed ``found``.
        found: its results.
        expected: the results of another.
        of: that other.
        before: samples before these, which count in the message.

    Raises:
        ParityError: naming the first sample with another bit.
    """
    wrong = (found != expected).any(1)
    if wrong.any():
        raise ParityError(f"{path}: differs from {of} on sample {before + wrong.argmax()}")


def check_float(firmware: Path, network: "ModelProto", batches: Iterable[Tensor]) -> float:
    """The largest difference between ``model_float.c`` and the float network, relative to a sample's largest logit.

    Raises:
        ParityError: if it is above the tolerance of the ONNX file.
    """
    from nas_lightning.export.onnx import run_onnx

    session, path = network.SerializeToString(), firmware / "model_float.c"
    with host_program(firmware, "model_float.c") as program:
        return max(compare(path, program(batch.numpy()), run_onnx(session, [batch]).numpy()) for batch in batches)


def check_decision(firmware: Path, decision: Decision, logits: NDArray[np.float32], begins: NDArray[np.bool_]) -> int:
    """Compare what ``decision.c`` decides of logits ``[N, K]`` with the same in Python, and return the windows.

    Args:
        firmware: the folder.
        decision: what is decided.
        logits: of windows in order.
        begins: ``[N]``, whether a window is the first of its recording.

    Raises:
        ParityError: naming the first window of which something else is decided.
    """
    samples = decision_inputs(logits, begins)
    expected = {WINDOW: decision.labels(logits)}
    if decision.smoothing is not None:
        expected[STREAM] = decision.smoothed(logits, begins)
    for chain, labels in expected.items():
        with host_program(firmware, EMPTY, chain) as program:
            check_bits(firmware / "decision.c", program(samples), labels[:, None].astype(np.float32), "the run")
    return len(logits)


def decision_inputs(logits: NDArray[np.float32], begins: NDArray[np.bool_]) -> NDArray[np.float32]:
    """What the program takes: logits, and behind them whether a recording begins, ``[N, K + 1]``."""
    return np.concatenate([logits, begins[:, None]], axis=1, dtype=np.float32)


def check_front_end(firmware: Path, pairs: Iterable[tuple[Tensor, Tensor]], tolerance: float = TOLERANCE) -> float:
    """The largest difference between ``feature_extraction.c`` and the features, relative to a sample's largest.

    Args:
        firmware: the folder.
        pairs: batches of raw rows and of their features.
        tolerance: the largest difference that is allowed.

    Raises:
        ParityError: if it is above the tolerance.
    """
    path = firmware / "feature_extraction.c"
    with host_program(firmware, "model.c", FRONT_END) as program:
        return max(compare(path, program(rows.numpy()), features.numpy(), tolerance) for rows, features in pairs)


def compare(
    path: Path, found: NDArray[np.float32], expected: NDArray[np.float32], tolerance: float = TOLERANCE
) -> float:
    """The largest difference ``[N, M]``, relative to each sample's largest value if that is above 1.

    Raises:
        ParityError: if it is above the tolerance.
    """
    difference = relative_difference(found, expected)
    if not difference <= tolerance:
        raise ParityError(f"{path}: differs by {difference:.2g}; allowed: {tolerance}")
    return difference
