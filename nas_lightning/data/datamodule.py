"""The DataModule: recordings in, batches ``(x [B, C, L] float32, y [B] int64)`` out."""

from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler, Sampler, TensorDataset

from nas_lightning.data.readers import read
from nas_lightning.data.splits import split_train_val
from nas_lightning.errors import InputError


class Samples(TensorDataset):
    """A TensorDataset that hands out a whole batch by one index operation per tensor."""

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, ...]:
        return tuple(tensor[list(indices)] for tensor in self.tensors)


class TimeSeriesData(L.LightningDataModule):
    """Splits, constants and loaders of one data set.

    After ``setup``: ``task_shape`` ``(channels, length, classes)``, ``class_names``, and ``mean`` and ``std`` [C] of
    the train split. Batches hold raw samples; the network normalises.

    Args:
        name: a UCR/UEA data set, read if ``path`` is None.
        path: a ``.npz`` file.
        variables: the channels to keep; None for all.
        batch_size: samples per batch; the last batch of an epoch may be smaller.
        val_fraction: share of the training recordings that become ``val``.
        seed: of the split and of the order of batches.

    Raises:
        InputError: from ``setup``, for data that cannot be used.
    """

    def __init__(
        self,
        name: str | None = "BasicMotions",
        path: str | None = None,
        variables: int | Sequence[int] | None = None,
        batch_size: int = 16,
        val_fraction: float = 0.25,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.name, self.path, self.variables = name, path, variables
        self.batch_size, self.val_fraction, self.seed = batch_size, val_fraction, seed
        self.splits: dict[str, Samples] = {}

    def setup(self, stage: str | None = None) -> None:
        """Read and split, once."""
        if self.splits:
            return
        recordings = read(self.name, self.path, self.variables)
        train, val = split_train_val(recordings, self.val_fraction, self.seed)
        if self.batch_size > len(train):
            raise InputError(
                f"training.batch_size: {self.batch_size} is larger than the train split of "
                f"{self.path or self.name}; allowed: 1 to {len(train)}"
            )
        x, y = torch.from_numpy(recordings.x_train), torch.from_numpy(recordings.y_train)
        test = torch.from_numpy(recordings.x_test), torch.from_numpy(recordings.y_test)
        self.splits = {"train": Samples(x[train], y[train]), "val": Samples(x[val], y[val]), "test": Samples(*test)}
        self.class_names = recordings.class_names
        self.task_shape = (x.shape[1], x.shape[2], len(self.class_names))
        self.mean, self.std = channel_constants(x[train])

    def loader(self, split: str, shuffle: bool) -> DataLoader:
        """A loader of one split; a shuffled one gives each epoch an order that only seed and epoch decide."""
        samples = self.splits[split]
        # One replica: a sampler whose order follows the epoch, so that a resumed run sees what an unbroken one sees.
        sampler: Sampler | None = DistributedSampler(samples, 1, 0, shuffle=True, seed=self.seed) if shuffle else None
        return DataLoader(samples, self.batch_size, sampler=sampler, collate_fn=_as_is)

    def train_dataloader(self) -> DataLoader:
        """Shuffled batches of ``train``."""
        return self.loader("train", shuffle=True)

    def alphas_dataloader(self) -> DataLoader:
        """Shuffled batches of ``val``, for the alpha steps of a search."""
        return self.loader("val", shuffle=True)

    def val_dataloader(self) -> DataLoader:
        """Batches of ``val`` in order."""
        return self.loader("val", shuffle=False)

    def test_dataloader(self) -> DataLoader:
        """Batches of ``test`` in order."""
        return self.loader("test", shuffle=False)


def channel_constants(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation ``[C]`` of ``[N, C, L]``; a constant channel gets a standard deviation of 1."""
    mean, std = x.double().mean((0, 2)), x.double().std((0, 2), correction=0)
    return mean.float(), torch.where(std > 1e-6 * (1 + mean.abs()), std, 1.0).float()


def _as_is(batch: Any) -> Any:
    return batch
