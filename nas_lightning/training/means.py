"""Means over the samples of an epoch."""

from torch import Tensor


class Means:
    """Means of figures over the samples of an epoch, which a LightningModule logs once at its end.

    To log a figure in each step takes Lightning about as long as a step of a small network takes.

    >>> import torch
    >>> means = Means()
    >>> means.add({"loss": torch.tensor(1.0)}, 3)
    >>> means.add({"loss": torch.tensor(2.0)}, 1)
    >>> means.take()
    {'loss': tensor(1.2500)}
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: dict[str, Tensor], count: int) -> None:
        """Count the means of a batch of ``count`` samples."""
        for name, value in values.items():
            own = value.detach().float() * count
            self._sums[name] = self._sums[name] + own if name in self._sums else own
            self._counts[name] = self._counts.get(name, 0) + count

    def take(self) -> dict[str, Tensor]:
        """The means since the last call."""
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means
