"""Another course of time: cut, stretched, backwards, at a changing speed."""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from nas_lightning.data.augment.augmenter import Augmenter, by_value, uniform
from nas_lightning.data.augment.rules import Count, Rule, Value, listed, number, numbers
from nas_lightning.errors import InputError

_LONGEST_SERIES = 1 << 20
_LENGTH = number(1, _LONGEST_SERIES, whole=True)
_RESIZE = Rule(lambda value: value is None or _LENGTH.accepts(value), f"{_LENGTH.allowed}, or null")


@dataclass(frozen=True, kw_only=True)
class Crop(Augmenter):
    """Cuts out a part that begins at a random point; changes the length.

    Args:
        size: points in the part.
        resize: length to which the part is interpolated linearly; None leaves it as it is, for one ``size`` only.
        prob: see ``Augmenter``; 1 if the length changes.
    """

    size: Annotated[Value, numbers(1, _LONGEST_SERIES, whole=True)]
    resize: Annotated[int | None, _RESIZE] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resize is None and not isinstance(self.size, int):
            raise InputError(
                f"{self._key('resize')}: is missing where size is {self.size!r}; allowed: the length of all parts, "
                f"{_LENGTH.allowed}"
            )

    def _new_length(self, length: int) -> int:
        largest = max(listed(self.size))
        if largest > length:
            raise InputError(
                f"{self._key('size')}: found {largest} where the series have {length} points; allowed: up to {length}"
            )
        return largest if self.resize is None else self.resize

    def _change(self, x: Tensor, generator: Generator) -> Tensor:
        size = self._draw("size", len(x), generator)[:, None]
        begin = (uniform((len(x), 1), generator).double() * (x.shape[2] - size + 1)).floor()
        steps = torch.linspace(0, 1, self._new_length(x.shape[2]), dtype=torch.float64, device=x.device)
        return _interpolate(x, begin + steps * (size - 1))


@dataclass(frozen=True, kw_only=True)
class Resize(Augmenter):
    """Interpolates linearly to another length; the first and the last point stay.

    Args:
        size: the new length; one whole number.
        prob: see ``Augmenter``; 1 if the length changes.
    """

    size: Annotated[int, _LENGTH]

    def _new_length(self, length: int) -> int:
        return self.size

    def _change(self, x: Tensor, generator: Generator) -> Tensor:
        time = torch.linspace(0, x.shape[2] - 1, self.size, dtype=torch.float64, device=x.device)
        return _interpolate(x, time.expand(len(x), -1))


@dataclass(frozen=True, kw_only=True)
class Reverse(Augmenter):
    """Runs time backwards.

    Args:
        prob: see ``Augmenter``.
    """

    def _change(self, x: Tensor, generator: Generator) -> Tensor:
        return x.flip(2)


@dataclass(frozen=True, kw_only=True)
class TimeWarp(Augmenter):
    """Plays the series, all channels together, at a speed that changes smoothly; first point, last point, length stay.

    The logarithm of the speed is drawn at ``n_speed_change + 1`` evenly spaced times and linear in between; values
    between points are interpolated linearly.

    Args:
        n_speed_change: how often the speed changes.
        max_speed_ratio: the fastest speed is at most this many times the slowest one.
        prob: see ``Augmenter``.
    """

    n_speed_change: Count = 3
    max_speed_ratio: Annotated[Value, numbers(1)] = 3.0

    def _change(self, x: Tensor, generator: Generator) -> Tensor:
        batch, _, length = x.shape
        changes, ratio = (self._draw(name, batch, generator) for name in ("n_speed_change", "max_speed_ratio"))
        exponent = by_value(
            torch.empty(batch, length, device=x.device),
            changes,
            lambda part, count: _polyline(len(part), count + 1, length, generator),
        )
        speed = ratio[:, None].double() ** exponent
        time = F.pad(((speed[:, 1:] + speed[:, :-1]) / 2).cumsum(1), (1, 0))
        return _interpolate(x, time * (length - 1) / time[:, -1:].clamp(min=1))


def _polyline(rows: int, knots: int, length: int, generator: Generator) -> Tensor:
    """Lines ``[rows, L]`` between evenly spaced random values of 0 to 1."""
    return F.interpolate(uniform((rows, 1, knots), generator), length, mode="linear", align_corners=True)[:, 0]


def _interpolate(x: Tensor, time: Tensor) -> Tensor:
    """Values ``[B, C, M]`` of ``x [B, C, L]`` at the times ``[B, M]``, float64 from 0 to L - 1."""
    last = x.shape[2] - 1
    left = time.long().clamp(max=last)
    weight = (time - left).to(x.dtype)[:, None]
    before, after = (x.gather(2, at[:, None].expand(-1, x.shape[1], -1)) for at in (left, (left + 1).clamp(max=last)))
    return torch.lerp(before, after, weight)
