"""Noise and drift."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
import torch
from torch import Generator, Tensor

from nas_lightning.data.augment.augmenter import Augmenter, by_value, normal, rows_of, span_of, uniform
from nas_lightning.data.augment.rules import Count, Flag, Value, choice, numbers

_Kind = Annotated[str, choice("additive", "multiplicative")]
_AtLeast0 = Annotated[Value, numbers(0)]


@dataclass(frozen=True, kw_only=True)
class AddNoise(Augmenter):
    """Independent noise on each point.

    Args:
        loc: mean of the noise.
        scale: standard deviation of the noise, for each ``distr``.
        distr: ``gaussian``, ``laplace`` or ``uniform``.
        kind: ``additive``, x + noise, or ``multiplicative``, x (1 + noise).
        per_channel: each channel has its own noise; otherwise all channels of a sample share one.
        normalize: noise is added while each channel is scaled to 0 to 1; a constant one is not scaled.
        prob: see ``Augmenter``.
    """

    loc: Annotated[Value, numbers()] = 0.0
    scale: _AtLeast0 = 0.1
    distr: Annotated[str, choice("gaussian", "laplace", "uniform")] = "gaussian"
    kind: _Kind = "additive"
    per_channel: Flag = True
    normalize: Flag = True

    def _change(self, x: Tensor, generator: Generator) -> Tensor:
        batch, channels, length = x.shape
        noise = _standard_noise(self.distr, (batch, channels if self.per_channel else 1, length), generator)
        loc, scale = (self._draw(name, batch, generator)[:, None, None] for name in ("loc", "scale"))
        return _disturb(x, loc + scale * noise, self.kind, self.normalize)


@dataclass(frozen=True, kw_only=True)
class Drift(Augmenter):
    """A smooth random trend that is 0 at the first point.

    The trend is a cubic spline through a Gaussian random walk over ``n_drift_points + 2`` evenly spaced times, scaled
    such that its largest absolute value is ``max_drift``.

    Args:
        max_drift: largest absolute value of the trend.
        n_drift_points: number of random values between the first and the last point.
        kind: ``additive``, x + trend, or ``multiplicative``, x (1 + trend).
        per_channel: each channel draws its trend, ``max_drift`` and ``n_drift_points``; otherwise each sample.
        normalize: the trend is added while each channel is scaled to 0 to 1; a constant one is not scaled.
        prob: see ``Augmenter``.
    """

    max_drift: _AtLeast0 = 0.5
    n_drift_points: Count = 3
    kind: _Kind = "additive"
    per_channel: Flag = True
    normalize: Flag = True

    def _change(self, x: Tensor, generator: Generator) -> Tensor:
        rows, length = rows_of(x, self.per_channel), x.shape[2]
        points = self._draw("n_drift_points", len(rows), generator)
        trend = by_value(
            torch.empty(len(rows), length, device=x.device),
            points,
            lambda part, number: _trend(len(part), number, length, generator),
        )
        trend = trend * self._draw("max_drift", len(rows), generator)[:, None]
        return _disturb(x, trend.view(len(x), -1, length), self.kind, self.normalize)


def _standard_noise(distr: str, shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Noise of mean 0 and standard deviation 1."""
    if distr == "gaussian":
        return normal(shape, generator)
    # Moved by half a step of torch.rand: -1 would make the logarithm below infinite.
    even = 2 * uniform(shape, generator) - 1 + 2**-24
    return math.sqrt(3) * even if distr == "uniform" else even.sign() * torch.log1p(-even.abs()) / math.sqrt(2)


def _disturb(x: Tensor, change: Tensor, kind: str, normalize: bool) -> Tensor:
    """Apply ``change``, which broadcasts to ``x [B, C, L]``."""
    low, span = span_of(x)
    if kind == "multiplicative":
        base = low if normalize else 0
        return base + (x - base) * (1 + change)
    return x + change * torch.where(span > 0, span, 1) if normalize else x + change


def _trend(rows: int, points: int, length: int, generator: Generator) -> Tensor:
    """Random splines ``[rows, L]`` that begin at 0 and whose largest absolute value is 1."""
    walk = normal((rows, points + 1), generator).cumsum(1)
    trend = walk @ _spline(points + 2, length).T.to(walk)
    return trend / trend.abs().amax(1, keepdim=True).clamp(min=1e-12)


@lru_cache(maxsize=64)
def _spline(knots: int, length: int) -> Tensor:
    """The splines ``[L, knots - 1]`` that are 1 at one of evenly spaced knots, but the first, and 0 at the others."""
    from scipy.interpolate import CubicSpline  # at need: its import takes long

    splines = CubicSpline(np.linspace(0, 1, knots), np.eye(knots))(np.linspace(0, 1, length))
    return torch.from_numpy(splines[:, 1:])
