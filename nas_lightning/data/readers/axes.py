"""Which axis of an array is the time: what the format says, unless there would be more channels than time steps."""

from collections.abc import Sequence

import numpy as np

from nas_lightning.data.reading import AXES, Findings
from nas_lightning.errors import InputError

KEY = "`axes`"
"""The key that says it, of data that a path names."""


def ask(shown: str, shape: Sequence[int], axes: str, key: str = KEY) -> InputError:
    """The question that an array asks whose channels would be more than its time steps.

    Args:
        shown: the array, for messages.
        shape: its last two entries are the axes of one recording.
        axes: one of ``AXES``, how they would be read.
        key: what settles it.
    """
    channels, steps = shape[-2:] if axes == "channels_first" else shape[:-3:-1]
    other = next(each for each in AXES if each != axes)
    return InputError(
        f"{shown} has shape {list(shape)}, which would be {channels} channels of {steps} time steps; are the axes "
        f"exchanged? allowed: {key}={axes} keeps them, {key}={other} exchanges them"
    )


class Orientation:
    """Brings the arrays of single recordings to ``[T, C]``, and asks if all have more channels than time steps.

    Args:
        source: for messages.
        axes: one of ``AXES`` if it is known, else None.
        usual: one of ``AXES``, what the format says.
        findings: gets what is decided.
        key: what settles it.
    """

    def __init__(self, source: str, axes: str | None, usual: str, findings: Findings, key: str = KEY) -> None:
        self.source, self._usual, self._findings, self._key = source, usual, findings, key
        self._is_known, self._axes = axes is not None, axes or usual
        self._first: tuple[str, tuple[int, ...]] | None = None
        self._channels = 0
        self._has_tall = False

    def turned(self, name: str, values: np.ndarray) -> np.ndarray:
        """The values ``[T, C]`` of a recording.

        Raises:
            InputError: if another number of channels shows that the axes are exchanged.
        """
        rows = values.T if self._axes == "channels_first" else values
        steps, channels = rows.shape
        self._has_tall = self._has_tall or steps >= channels
        if self._first is None:
            self._first, self._channels = (name, values.shape), channels
        elif not self._has_tall and channels != self._channels:
            self.end()
        return rows

    def end(self) -> None:
        """After the last recording: ask, or keep what was decided.

        Raises:
            InputError: if all have more channels than time steps, and nobody said that it is so.
        """
        if self._first is None or self._is_known:
            return
        name, shape = self._first
        if not self._has_tall:
            raise ask(f"{self.source}: {name}", shape, self._usual, self._key)
        order = "[channels, time]" if self._usual == "channels_first" else "[time, channels]"
        self._findings.decide(f"an array of a recording is {order}", f"{name} {list(shape)}", self._key)
