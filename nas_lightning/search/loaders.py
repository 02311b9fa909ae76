"""The batches of a search: those of both levels in step."""

from typing import Any

import lightning as L
from lightning.pytorch.utilities.combined_loader import CombinedLoader


def search_loader(weights_loader: Any, alphas_loader: Any) -> CombinedLoader:
    """Both levels in step: as many steps as the longer loader has batches; the shorter one starts over when it ends."""
    return CombinedLoader({"weights": weights_loader, "alphas": alphas_loader}, "max_size_cycle")


class SearchLoaders(L.LightningDataModule):
    """The data of a search, of a DataModule that has an ``alphas_dataloader``, as ``TimeSeriesData`` does.

    Args:
        data: whose batches of ``train`` are for the weights, and those of ``alphas_dataloader`` for the alphas.
    """

    def __init__(self, data: Any) -> None:
        super().__init__()
        self.data = data

    def prepare_data(self) -> None:
        """That of the data."""
        self.data.prepare_data()

    def setup(self, stage: str | None = None) -> None:
        """That of the data."""
        self.data.setup(stage)

    def train_dataloader(self) -> CombinedLoader:
        """Batches of both levels in step."""
        return search_loader(self.data.train_dataloader(), self.data.alphas_dataloader())

    def val_dataloader(self) -> Any:
        """Batches of ``val`` in order."""
        return self.data.val_dataloader()
