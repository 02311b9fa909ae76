"""Plain DataLoaders of a user, made to look like ``TimeSeriesData``."""

from collections.abc import Iterator

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from nas_lightning.data.datamodule import channel_constants
from nas_lightning.data.features import FrontEnd, FrontEndCost
from nas_lightning.data.readers.arrays import from_arrays
from nas_lightning.data.recordings import collect
from nas_lightning.errors import InputError


class PairLoader:
    """Iterates a DataLoader and keeps the last two items of each batch: samples ``[B, C, L]`` and labels ``[B]``."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self.loader:
            x, y = batch[-2:]
            yield (x.squeeze(3) if x.dim() == 4 else x).float(), y.long()


class LoaderData(L.LightningDataModule):
    """A training and a validation DataLoader with the attributes of ``TimeSeriesData``; there is no test split.

    The loaders keep their batch size, order and augmentation; one pass over each reads shapes, labels and constants.
    Batches are ``(x, y)``, or anything whose last two items are: x ``[B, C, L]`` or ``[B, C, L, 1]``, y 0 to K - 1.

    Raises:
        InputError: from ``setup``, for data that cannot be used.
    """

    def __init__(self, train_loader: DataLoader, valid_loader: DataLoader) -> None:
        super().__init__()
        self.train_pairs, self.val_pairs = PairLoader(train_loader), PairLoader(valid_loader)
        self.class_names: tuple[str, ...] = ()
        self.front_end, self.front_end_cost = FrontEnd(), FrontEndCost()
        self.notes: list[str] = []

    def setup(self, stage: str | None = None) -> None:
        """Look once at both loaders."""
        if self.class_names:
            return
        x_train, y_train = (torch.cat(parts) for parts in zip(*self.train_pairs, strict=True))
        x_val, y_val = (torch.cat(parts) for parts in zip(*self.val_pairs, strict=True))
        arrays = {"X_train": x_train, "y_train": y_train, "X_test": x_val, "y_test": y_val}
        collect(from_arrays("loaders (test: valid_loader)", {key: value.numpy() for key, value in arrays.items()}))
        num_classes = int(y_train.max()) + 1
        if y_train.unique().tolist() != list(range(num_classes)):
            raise InputError(
                f"train_loader: has the labels {y_train.unique().tolist()}; allowed: 0 to K - 1, each present"
            )
        self.class_counts = y_train.bincount()
        self.class_names = tuple(str(label) for label in range(num_classes))
        self.task_shape = (x_train.shape[1], x_train.shape[2], num_classes)
        self.mean, self.std = channel_constants(x_train)

    def train_dataloader(self) -> PairLoader:
        """The training loader."""
        return self.train_pairs

    def alphas_dataloader(self) -> PairLoader:
        """The validation loader, for the alpha steps of a search."""
        return self.val_pairs

    def val_dataloader(self) -> PairLoader:
        """The validation loader."""
        return self.val_pairs
