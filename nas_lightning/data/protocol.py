"""What a run wants of data, whatever kind of DataModule holds them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas_lightning.data.features import FrontEnd, FrontEndCost
from nas_lightning.data.moments import ranges
from nas_lightning.data.preparation import Preparation
from nas_lightning.errors import InputError
from nas_lightning.tasks import Origins, Task


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
        """Batches of ``val`` for the alpha steps of a search, best shuffled; here as they are."""
        return self.val_dataloader()

    def val_dataloader(self) -> Any:
        """Batches of ``val`` in order."""


class SearchData(TrainingData, Protocol):
    """A DataModule that a run can search on, after ``setup``.

    One of your own, ``class Mine(L.LightningDataModule, SearchData)``, says what has no default here; samples are then
    all that there is.

    Attributes:
        front_end: that makes samples of rows; without steps if samples are all that there is.
        has_test: whether there is a test split.
    """

    front_end: FrontEnd = FrontEnd()
    has_test: bool

    @cached_property
    def task(self) -> Task:
        """What they ask of a network; it has no default."""
        raise AttributeError("task")

    @cached_property
    def notes(self) -> Sequence[str]:
        """What a user should know, as warnings."""
        return ()

    @cached_property
    def decisions(self) -> Sequence[str]:
        """What was read off the data, and by which key one says otherwise."""
        return ()

    @property
    def front_end_cost(self) -> FrontEndCost:
        """What the front end takes on the device."""
        return FrontEndCost()

    @cached_property
    def train_targets(self) -> Tensor:
        """Those of all samples of ``train``, ``[N]``."""
        return torch.cat([y for _, y in self.train_dataloader()])

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Samples of each split."""
        loaders = {"train": self.train_dataloader, "val": self.val_dataloader}
        loaders |= {"test": self.test_dataloader} if self.has_test else {}
        return {split: sum(len(y) for _, y in loader()) for split, loader in loaders.items()}

    def setup(self, stage: str | None = None) -> None:
        """Read and split, once."""

    def test_dataloader(self) -> Any:
        """Batches of ``test`` in order, if there is one."""

    def samples(self, most: int) -> Tensor:
        """Up to so many samples ``[N, C, L]`` of ``train`` as they are; here the first of its batches."""
        found: list[Tensor] = []
        for x, _ in self.train_dataloader():
            found.append(x)
            if sum(map(len, found)) >= most:
                break
        return torch.cat(found)[:most]

    def raw_batches(self, split: str) -> Iterable[Tensor] | None:
        """Rows ``[B, channels, rows]`` of a split before the front end, in order; None if there are samples only."""
        return None

    @property
    def raw_shape(self) -> tuple[int, int]:
        """Channels and rows of a sample before the front end."""
        return self.task.in_channels, self.task.length

    def rows(self) -> InputRows:
        """What these rows are."""
        channels, length = self.raw_shape
        least, most = ranges(x for x, _ in self.train_dataloader())
        names, offsets = tuple(map(str, range(channels))), (0.0,) * channels
        return InputRows(names, length, length, None, None, offsets, tuple(least.tolist()), tuple(most.tolist()))

    def preparation(self) -> Preparation | None:
        """How samples are made of recordings; None if samples are all that there is."""
        return None

    def augmented(self, count: int, seed: int) -> tuple[Tensor, Tensor] | None:
        """Some windows of ``train`` before and after the augmentation; None without one."""
        return None

    def digest(self) -> str | None:
        """What tells these data from others, whatever they are called; None if that cannot be said."""
        return None

    def check_export(self) -> None:
        """Refuse a front end that cannot be a part of the exported network.

        Raises:
            InputError: saying why.
        """
        raise InputError("recordings are needed, and these data are samples")

    def write_annotations(self, folder: Path) -> None:
        """Leave the lists of the splits in a folder, if there are any."""
        return


@runtime_checkable
class Recorded(Protocol):
    """Data that know the recordings of their samples; a DataModule of the user's own need not.

    Only theirs can be smoothed or be of no class, and are named where the network is wrong about them.
    """

    def origins(self, split: str) -> Origins:
        """The recording and the group of each sample of a split, in order."""

    def recordings_of(self, split: str) -> NDArray[np.int64] | None:
        """The number of the recording of each sample ``[N]``; None if those of one do not follow in time."""

    def unknown_batches(self, split: str) -> Iterable[tuple[Tensor, Tensor]]:
        """Batches of ``val`` or ``test`` of samples of no class, in order; their targets say nothing."""


def missing_of(data: object) -> list[str]:
    """What of ``SearchData`` a DataModule lacks, after its ``setup``."""
    without_default = [name for name in ("mean", "std", "has_test", "task") if not hasattr(data, name)]
    others = [name for name in (*vars(TrainingData), *vars(SearchData)) if not name.startswith("_")]
    has = {*dir(type(data)), *vars(data)}  # to ask for a value would compute it
    return without_default + [name for name in others if name not in {*has, *without_default}]
