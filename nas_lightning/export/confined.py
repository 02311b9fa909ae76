"""ONNX files that a stranger may have made, run in a process of its own that can be limited."""

import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas_lightning.errors import InputError
from nas_lightning.export import session
from nas_lightning.export.limits import LimitError, Limits, run_limited

MOST_BYTES = 256 << 20
"""Of an ONNX file: the matrix of a Fourier transform may be that large."""

LIMITS = Limits(seconds=300, memory_bytes=8 << 30)
"""What such a process may take."""

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


def run_confined(
    folder: Path, name: str, samples: NDArray[np.float32], how: str = session.OPTIMIZED, limits: Limits = LIMITS
) -> NDArray[np.float32]:
    """What ONNX Runtime computes of samples ``[N, ...]``, one after the other: the first output ``[N, ...]``.

    Args:
        folder: that holds the file, and gets samples and logits.
        name: of the file.
        samples: each without the axis of the batch.
        how: see ``session``.
        limits: of the process.

    Raises:
        InputError: if it cannot be run within limits.
    """
    given, made = folder / "samples.npy", folder / "logits.npy"
    np.save(given, samples)
    # Without the folder of the script on the path: there is an onnx.py beside it.
    command = [sys.executable, "-P", session.__file__, how, str(folder / name), str(given), str(made)]
    environment = _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    try:
        done = run_limited(command, folder, limits, environment=environment)
    except LimitError as error:
        raise InputError(f"{name}: cannot be run ({error})") from error
    if done.status != 0:
        raise InputError(f"{name}: cannot be run ({done.why()})")
    found: NDArray[np.float32] = np.load(made)
    return found
