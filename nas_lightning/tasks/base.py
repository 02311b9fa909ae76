"""The protocol of a task: all that the rest of the package knows of what data ask of a network."""

from collections.abc import Hashable
from typing import Literal, Protocol

from torch import Tensor, nn
from torchmetrics import Metric

Figures = dict[str, float]
"""How good a network is on one split: the value of each metric by its name, and of the loss under ``loss``."""


class Task(Hashable, Protocol):
    """What the data ask of a network; immutable, and hashable.

    Attributes:
        in_channels: of a sample ``[in_channels, length]``.
        length: of a sample, in time steps.
        num_outputs: of the network for a sample.
        monitor: the name of the metric that is shown while a network is trained.
    """

    @property
    def in_channels(self) -> int: ...  # noqa: D102
    @property
    def length(self) -> int: ...  # noqa: D102
    @property
    def num_outputs(self) -> int: ...  # noqa: D102
    @property
    def monitor(self) -> str: ...  # noqa: D102

    def head(self, channels: int) -> nn.Module:
        """Fresh last layer: the mean of the last values over time ``[B, channels]`` to outputs ``[B, num_outputs]``."""

    def loss(self, outputs: Tensor, target: Tensor, reduction: Literal["mean", "sum"] = "mean") -> Tensor:
        """What a search and a validation make small, a scalar."""

    def rewards(self, outputs: Tensor, target: Tensor) -> Tensor:
        """How well each sample is done ``[B]``, from 0 to 1; what a policy gradient follows."""

    def metric(self) -> Metric:
        """A fresh metric whose ``compute`` gives all metrics by name; it is reduced over batches and devices."""

    def figures(self, outputs: Tensor, target: Tensor) -> Figures:
        """All metrics and the loss of the outputs of a whole split."""
