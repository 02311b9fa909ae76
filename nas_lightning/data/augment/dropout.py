"""Lost points."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Generator, Tensor

from nas_lightning.data.augment.augmenter import Augmenter, rows_of, uniform
from nas_lightning.data.augment.rules import LARGEST_INT, Flag, Rule, Run, Value, choice, number, numbers

_FILL = Rule(
    lambda value: choice("ffill", "bfill", "mean").accepts(value) or number().accepts(value),
    "ffill, bfill, mean or a number",
)


@dataclass(frozen=True, kw_only=True)
class Dropout(Augmenter):
    """Loses runs of points.

    Args:
        p: probability of a point to be dropped, whatever the ``size``.
        size: points in a run; runs may overlap, and be cut off at both ends of the series.
        fill: ``ffill``, the last value before the run, ``bfill``, the next one after it, ``mean``, the mean of the
            channel of this sample, or a number. ``ffill`` never drops the first point, ``bfill`` never the last.
        per_channel: each channel draws its runs, ``p`` and ``size``; otherwise each sample.
        prob: see ``Augmenter``.
    """

    p: Annotated[Value, numbers(0, 1)] = 0.05
    size: Run = 1
    fill: Annotated[str | float, _FILL] = "ffill"
    per_channel: Flag = False

    def _change(self, x: Tensor, generator: Generator) -> Tensor:
        dropped = self._dropped(len(rows_of(x, self.per_channel)), x.shape[2], generator)
        dropped = dropped.view(len(x), -1, x.shape[2])
        if self.fill == "ffill":
            return _fill_forward(x, dropped)
        if self.fill == "bfill":
            return _fill_forward(x.flip(2), dropped.flip(2)).flip(2)
        fill = x.mean(2, keepdim=True) if isinstance(self.fill, str) else torch.tensor(self.fill).to(x)
        return torch.where(dropped, fill, x)

    def _dropped(self, rows: int, length: int, generator: Generator) -> Tensor:
        """Which points are dropped ``[rows, L]``."""
        p, size = (self._draw(name, rows, generator)[:, None] for name in ("p", "size"))
        # Runs may begin before the series, so that its first points are dropped as often as the others.
        lead = int(size.max()) - 1
        time = torch.arange(-lead, length, device=generator.device)
        begins = uniform((rows, lead + length), generator) < -torch.expm1(torch.log1p(-p) / size)
        last = torch.where(begins, time, -2 * LARGEST_INT).cummax(1).values
        return (time - last < size)[:, lead:]


def _fill_forward(x: Tensor, dropped: Tensor) -> Tensor:
    """Replace what is dropped ``[B, C or 1, L]`` by the last value that is not; the first value stays."""
    time = torch.arange(x.shape[2], device=x.device)
    return x.gather(2, torch.where(dropped, 0, time).cummax(2).values.expand_as(x))
