"""The proof that the C files compute what the exported network computes: with sanitizers, and on all samples."""

import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor

from nas_lightning.export.onnx import TOLERANCE, ParityError, relative_difference, run_onnx

TOOLS = ("make", "gcc")
"""What the proof needs on PATH."""

NETWORK, FRONT_END, BOTH = 1, 2, 3
"""What of the firmware runs: ``CHAIN`` of its Makefile."""


def missing_tools(tools: Iterable[str] = TOOLS) -> list[str]:
    """Those that are not on PATH."""
    return [tool for tool in tools if shutil.which(tool) is None]


def make(firmware: Path, build: Path, target: str, **variables: str | int) -> str:
    """Make a target of the firmware's Makefile in another folder, and return what it printed.

    Raises:
        RuntimeError: with the end of the output, if it fails.
    """
    settings = [f"{name}={value}" for name, value in variables.items()]
    command = ["make", "--silent", "--no-print-directory", "-C", str(firmware), target, f"BUILD={build}", *settings]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout.strip()[-2000:]}")
    return done.stdout


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
            done = subprocess.run([build / "check"], input=data, capture_output=True, check=False)
            if done.returncode != 0:
                raise ParityError(
                    f"{firmware / model}: stopped: {done.stderr.decode(errors='replace')[-2000:].strip()}"
                )
            return np.frombuffer(done.stdout, np.float32).reshape(len(samples), -1)

        yield run


def check_int8(firmware: Path, integer: ModelProto, batches: Iterable[Tensor]) -> int:
    """Compare ``model.c`` with the integer network bit for bit, and return the number of samples.

    Raises:
        ParityError: if one bit differs.
    """
    session, count = integer.SerializeToString(), 0
    with host_program(firmware, "model.c") as program:
        for batch in batches:
            wrong = (program(batch.numpy()) != run_onnx(session, [batch]).numpy()).any(1)
            if wrong.any():
                raise ParityError(
                    f"{firmware / 'model.c'}: differs from model_integer.onnx on sample {count + wrong.argmax()}"
                )
            count += len(batch)
    return count


def check_float(firmware: Path, network: ModelProto, batches: Iterable[Tensor]) -> float:
    """The largest difference between ``model_float.c`` and the float network, relative to a sample's largest logit.

    Raises:
        ParityError: if it is above the tolerance of the ONNX file.
    """
    session, path = network.SerializeToString(), firmware / "model_float.c"
    with host_program(firmware, "model_float.c") as program:
        return max(compare(path, program(batch.numpy()), run_onnx(session, [batch]).numpy()) for batch in batches)


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
