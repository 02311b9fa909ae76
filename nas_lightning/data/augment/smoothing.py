"""A lower resolution in time: pooling and smoothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from nas_lightning.data.augment.augmenter import Augmenter, by_value, rows_of
from nas_lightning.data.augment.rules import Count, Flag, Rule, Run, choice, listed
from nas_lightning.errors import InputError


def _weights(window: str, size: int) -> np.ndarray:
    from scipy.signal import get_window  # at need: its import takes long

    return get_window(window, size, fftbins=False)


def _has_window(name: Any) -> bool:
    try:
        return isinstance(name, str) and bool(len(_weights(name, 7)))
    except ValueError:
        return False


_WINDOW = Rule(
    _has_window, "a window of scipy.signal.get_window that needs no parameter, such as hann, hamming, triang or boxcar"
)


@dataclass(frozen=True, kw_only=True)
class Pool(Augmenter):
    """Lowers the resolution: each block of points becomes one value; the length stays.

    Args:
        kind: the value of a block, ``ave``, ``max`` or ``min``.
        size: points in a block; the last block is shorter where the length is no multiple. Time grows with the
            number of different sizes in a batch.
        per_channel: each channel draws its ``size``; otherwise each sample.
        prob: see ``Augmenter``.
    """

    kind: Annotated[str, choice("ave", "max", "min")] = "ave"
    size: Run = 2
    per_channel: Flag = False

    def _change(self, x: Tensor, generator: Generator) -> Tensor:
        rows = rows_of(x, self.per_channel)
        return by_value(rows, self._draw("size", len(rows), generator), self._pool).reshape(x.shape)

    def _pool(self, x: Tensor, size: int) -> Tensor:
        length = x.shape[2]
        size = min(size, length)
        if self.kind == "ave":
            pooled = F.avg_pool1d(x, size, ceil_mode=True)
        else:
            sign = 1 if self.kind == "max" else -1
            pooled = sign * F.max_pool1d(sign * x, size, ceil_mode=True)
        return pooled.repeat_interleave(size, 2)[..., :length]


@dataclass(frozen=True, kw_only=True)
class Convolve(Augmenter):
    """Smooths with a window whose weights add up to 1; the first and last value are repeated beyond the ends.

    Args:
        window: name of a window of ``scipy.signal.get_window`` that needs no parameter; its symmetric form is used.
        size: points in the window; an even one shifts the series by half a point. Time grows with the number of
            different sizes in a batch.
        per_channel: each channel draws its ``size``; otherwise each sample.
        prob: see ``Augmenter``.
    """

    window: Annotated[str, _WINDOW] = "hann"
    size: Count = 7
    per_channel: Flag = False

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = listed(self.size)
        for size in range(sizes[0], sizes[1] + 1) if isinstance(self.size, Mapping) else sizes:
            if _weights(self.window, size).sum() < 1e-6:
                raise InputError(
                    f"{self._key('size')}: found {size}, at which the weights of {self.window} do not add up to more "
                    "than 0; allowed: another size or window"
                )

    def _change(self, x: Tensor, generator: Generator) -> Tensor:
        rows = rows_of(x, self.per_channel)
        return by_value(rows, self._draw("size", len(rows), generator), self._smooth).reshape(x.shape)

    def _smooth(self, x: Tensor, size: int) -> Tensor:
        window = torch.from_numpy(_weights(self.window, size)).to(x)
        padded = F.pad(x, ((size - 1) // 2, size // 2), mode="replicate")
        return padded.unfold(2, size, 1) @ (window / window.sum())
