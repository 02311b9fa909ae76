"""The protocol of a task: all that the rest of the package knows of what data ask of a network."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor, nn
from torchmetrics import Metric

from nas_lightning.tasks.details import Details, Mistake, Origins

Figures = dict[str, float]
"""How good a network is on one split: the value of each metric by its name, and of the loss under ``loss``.

More of a metric is better, as with the scores of scikit-learn: an error counts by its negative. Of the loss less is.
"""


def best_first(figures: Figures, metric: str) -> tuple[float, float]:
    """What to sort networks by: the largest metric first, of equal ones the smallest loss; or the ``loss`` alone."""
    return (0.0 if metric == "loss" else -figures[metric]), figures["loss"]


@dataclass(frozen=True)
class InC:
    """How the C of a firmware speaks of the outputs of a network; the names are without their prefix.

    Attributes:
        what: the network, in words.
        count: the macro of their number.
        macros: lists of texts by macro, each without ``MODEL_``.
        result: which of their values is the result, in words.
        comment: the same behind a call.
        example: statements of ``main.c`` that print the result of recording ``i``, and whether it ``differs``.
        word: for the outputs, in a sentence or as the name of a row.
    """

    what: str
    count: str
    macros: Mapping[str, tuple[str, ...]]
    result: str
    comment: str
    example: str
    word: str


class Outputs(Hashable, Protocol):
    """What the outputs of a network mean, as the files of a run and of a firmware say it.

    Attributes:
        count: how many there are.
        in_c: the words and macros of the firmware.
        words: a name of each.
    """

    @property
    def count(self) -> int: ...  # noqa: D102
    @property
    def in_c(self) -> InC: ...  # noqa: D102
    @property
    def words(self) -> tuple[str, ...]: ...  # noqa: D102

    def to_dict(self) -> dict[str, Any]:
        """Keys of ``input.json`` and ``genotype.json`` that no other task has, and their values."""


class Task(Hashable, Protocol):
    """What the data ask of a network; immutable, and hashable.

    Attributes:
        in_channels: of a sample ``[in_channels, length]``.
        length: of a sample, in time steps.
        num_outputs: of the network for a sample.
        outputs: what they mean.
        decides: whether the largest output is the one that is chosen, so that there are scores of it: the tools of
            ``tasks.confidence`` and ``tasks.smoothing`` then hold.
        monitor: the name of the metric that is shown while a network is trained.
        summary: names of the metrics that stand for all of them in a table of runs.
    """

    @property
    def in_channels(self) -> int: ...  # noqa: D102
    @property
    def length(self) -> int: ...  # noqa: D102
    @property
    def num_outputs(self) -> int: ...  # noqa: D102
    @property
    def outputs(self) -> Outputs: ...  # noqa: D102
    @property
    def decides(self) -> bool: ...  # noqa: D102
    @property
    def monitor(self) -> str: ...  # noqa: D102
    @property
    def summary(self) -> tuple[str, ...]: ...  # noqa: D102

    def to_dict(self) -> dict[str, Any]:
        """The section ``task`` of ``genotype.json``, which ``tasks.task_of`` reads."""

    def head(self, channels: int) -> nn.Module:
        """Fresh last layer: the mean of the last values over time ``[B, channels]`` to outputs ``[B, num_outputs]``."""

    def loss(self, outputs: Tensor, target: Tensor, reduction: Literal["mean", "sum"] = "mean") -> Tensor:
        """What a search and a validation make small, a scalar."""

    def training_loss(self, target: Tensor, class_weights: str, label_smoothing: float) -> nn.Module:
        """The loss of a final training, from the targets of all of ``train`` and two keys of ``training``."""

    def rewards(self, outputs: Tensor, target: Tensor) -> Tensor:
        """How well each sample is done ``[B]``, from 0 to 1; what a policy gradient follows."""

    def metric(self) -> Metric:
        """A fresh metric whose ``compute`` gives all metrics by name; it is reduced over batches and devices."""

    def figures(self, outputs: Tensor, target: Tensor) -> Figures:
        """All metrics and the loss of the outputs of a whole split."""

    def details(self, outputs: Tensor, target: Tensor, origins: Origins | None) -> Details:
        """What the figures are made of, and how sure they are; ``origins`` are those of the samples, if known."""

    def mistakes(self, outputs: Tensor, target: Tensor, most: int) -> list[Mistake]:
        """Up to so many samples of which the network is wrong, the one that it is most sure of first."""

    def check_figures(self, figures: Figures) -> None:
        """Refuse what no network can have, from a file that a stranger may have written.

        Raises:
            ValueError: saying what it is.
        """

    def worst_figures(self) -> Figures:
        """What a training that diverged counts as; finite, for JSON has no infinity."""

    def deviation(self, value: float, count: int) -> float:
        """The standard deviation of a metric on so many samples, by sampling alone."""

    def doubts(self, outputs: Tensor, target: Tensor) -> list[str]:
        """What the figures of a whole split may hide, one sentence each."""
