"""What looks wrong in recordings that could be read: channels that are no signal."""

import numpy as np
import torch

from nas_lightning.data.recordings import Recordings

_TOLERANCE = 1e-3
_CHUNK_ROWS = 1 << 20


def doubtful_channels(recordings: Recordings) -> list[str]:
    """A sentence for each channel that does in all recordings what a signal does not.

    A time or a counter rises by one step in every row of every recording. A label, or the name of a person, stands
    still in every recording, at a value of its own; it could give the class away.
    """
    found = []
    for channel, step in _even_channels(recordings).items():
        name = recordings.channel(channel)
        if step > 0:
            found.append(
                f"{name} rises by {step:.3g} in every row of every recording; if it is the time, name it by "
                "`columns.time`, or leave it out by variables"
            )
        elif len(recordings.values[torch.from_numpy(recordings.starts[:-1]), channel].unique()) > 1:
            found.append(
                f"{name} has one value in each recording, as a label or a name does; leave it out by variables if it "
                "is one"
            )
    return found


def _even_channels(recordings: Recordings) -> dict[int, float]:
    """The channels that change by one step, 0 or more, in every row of every recording, and the step."""
    suspects = _steps(recordings.values[: recordings.starts[1]])
    for first in range(0, len(recordings.values) - 1, _CHUNK_ROWS):
        if not suspects:
            break
        rows = recordings.values[first : first + _CHUNK_ROWS + 1]
        inside = np.ones(len(rows) - 1, dtype=bool)
        ends = recordings.starts[1:-1] - first - 1
        inside[ends[(ends >= 0) & (ends < len(inside))]] = False
        suspects = {c: step for c, step in suspects.items() if _is_even(rows[:, c], step, torch.from_numpy(inside))}
    return suspects


def _steps(rows: torch.Tensor) -> dict[int, float]:
    """The channels of one recording ``[T, C]`` that change by one step, and the step."""
    if len(rows) < 3:
        return {}
    steps = {channel: float(rows[:, channel].diff().mean()) for channel in range(rows.shape[1])}
    everywhere = torch.ones(len(rows) - 1, dtype=torch.bool)
    return {c: step for c, step in steps.items() if step >= 0 and _is_even(rows[:, c], step, everywhere)}


def _is_even(values: torch.Tensor, step: float, inside: torch.Tensor) -> bool:
    """Whether values ``[T]`` change by ``step`` wherever ``inside`` ``[T - 1]`` holds; float32 may round them."""
    changes = values.diff()[inside]
    if step == 0:
        return not bool(changes.any())
    rounding = 2 * float(np.spacing(np.float32(values.abs().max())))
    return step > 4 * rounding and bool(((changes - step).abs() <= _TOLERANCE * step + rounding).all())
