"""What looks wrong in recordings that could be read."""

import numpy as np
import torch

from nas_lightning.data.recordings import Recordings

_TOLERANCE = 1e-3
_CHUNK_ROWS = 1 << 20


def rising_channels(recordings: Recordings) -> list[str]:
    """A sentence for each channel that rises by one step in every row of every recording, as a time does."""
    suspects = _steps(recordings.values[: recordings.starts[1]])
    for first in range(0, len(recordings.values) - 1, _CHUNK_ROWS):
        if not suspects:
            break
        rows = recordings.values[first : first + _CHUNK_ROWS + 1]
        inside = np.ones(len(rows) - 1, dtype=bool)
        ends = recordings.starts[1:-1] - first - 1
        inside[ends[(ends >= 0) & (ends < len(inside))]] = False
        suspects = {c: step for c, step in suspects.items() if _rises(rows[:, c], step, torch.from_numpy(inside))}
    return [
        f"{recordings.channel(channel)} rises by {step:.3g} in every row of every recording; if it is the time, name "
        "it by dataset.columns.time, or leave it out by variables"
        for channel, step in suspects.items()
    ]


def _steps(rows: torch.Tensor) -> dict[int, float]:
    """The channels of one recording ``[T, C]`` that rise by one step, and the step."""
    if len(rows) < 3:
        return {}
    steps = {channel: float(rows[:, channel].diff().mean()) for channel in range(rows.shape[1])}
    everywhere = torch.ones(len(rows) - 1, dtype=torch.bool)
    return {c: step for c, step in steps.items() if step > 0 and _rises(rows[:, c], step, everywhere)}


def _rises(values: torch.Tensor, step: float, inside: torch.Tensor) -> bool:
    """Whether values ``[T]`` rise by ``step`` wherever ``inside`` ``[T - 1]`` holds; float32 may round them."""
    rounding = 2 * float(np.spacing(np.float32(values.abs().max())))
    away = (values.diff() - step).abs()[inside]
    return bool((away <= _TOLERANCE * step + rounding).all()) and step > 4 * rounding
