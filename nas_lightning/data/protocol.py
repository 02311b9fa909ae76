"""What a run wants of data, whatever kind of DataModule holds them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from nas_lightning.data.features import FrontEnd, FrontEndCost
from nas_lightning.tasks import Task

Batches = Iterable[tuple[Tensor, Tensor]]
"""Samples ``[B, C, L]`` with their targets ``[B]``; each pass starts over."""


@dataclass(frozen=True)
class InputRows:
    """What the rows of the recordings are, from which samples are made.

    Attributes:
        channels: their names; empty if they have none.
        window: rows of a sample.
        stride: rows from one sample to the next.
        sampling_rate: rows a second; None if it is not known.
        unit: of the values; None if it is not known.
        offsets: what was taken off each channel before float32.
        least: the smallest value of each channel in ``train``.
        most: the largest.
    """

    channels: tuple[str, ...]
    window: int
    stride: int
    sampling_rate: float | None
    unit: str | None
    offsets: tuple[float, ...]
    least: tuple[float, ...]
    most: tuple[float, ...]


class TrainingData(Protocol):
    """A DataModule that a network can be searched and trained on, after ``setup``.

    Attributes:
        mean: of each channel of ``train``, ``[C]``.
        std: of each channel of ``train``, ``[C]``.
    """

    mean: Tensor
    std: Tensor

    def train_dataloader(self) -> Any:
        """Shuffled batches of ``train``."""

    def alphas_dataloader(self) -> Any:
        """Shuffled batches of ``val``, for the alpha steps of a search."""

    def val_dataloader(self) -> Any:
        """Batches of ``val`` in order."""


class SearchData(TrainingData, Protocol):
    """A DataModule that a run can search on, after ``setup``.

    Attributes:
        front_end: that makes samples of rows; without steps if samples are all that there is.
        notes: what a user should know, as warnings.
        decisions: what was read off the data, and by which key one says otherwise.
        has_test: whether there is a test split.
    """

    front_end: FrontEnd
    notes: list[str]
    decisions: list[str]
    has_test: bool

    @property
    def front_end_cost(self) -> FrontEndCost:
        """What the front end takes on the device."""

    @property
    def task(self) -> Task:
        """What they ask of a network."""

    @property
    def train_targets(self) -> Tensor:
        """Those of all samples of ``train``, ``[N]``."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Samples of each split."""

    def setup(self, stage: str | None = None) -> None:
        """Read and split, once."""

    def test_dataloader(self) -> Any:
        """Batches of ``test`` in order, if there is one."""

    def samples(self, most: int) -> Tensor:
        """Up to so many samples ``[N, C, L]`` of ``train`` as they are, spread over the split."""

    def raw_batches(self, split: str) -> Iterable[Tensor] | None:
        """Rows ``[B, channels, rows]`` of a split before the front end, in order; None if there are samples only."""

    @property
    def raw_shape(self) -> tuple[int, int]:
        """Channels and rows of a sample before the front end."""

    def rows(self) -> InputRows:
        """What these rows are."""

    def augmented(self, count: int, seed: int) -> tuple[Tensor, Tensor] | None:
        """Some windows of ``train`` before and after the augmentation; None without one."""

    def digest(self) -> str | None:
        """What tells these data from others, whatever they are called; None if that cannot be said."""

    def check_export(self) -> None:
        """Refuse a front end that cannot be a part of the exported network.

        Raises:
            InputError: saying why.
        """

    def write_annotations(self, folder: Path) -> None:
        """Leave the lists of the splits in a folder, if there are any."""
