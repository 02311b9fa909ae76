"""The callback that draws the search."""

import lightning as L

from nas_lightning.callbacks.boards import add_picture, boards_of
from nas_lightning.errors import InputError
from nas_lightning.report.pictures import alpha_heatmap
from nas_lightning.search.module import SearchModule


class AlphaPictures(L.Callback):
    """Gives each logger that takes pictures a heatmap of the alphas by table, and what they stand for as a drawing.

    Args:
        every_n_epochs: how often; the last epoch is always drawn.

    Raises:
        InputError: if ``every_n_epochs`` is below 1.
    """

    def __init__(self, every_n_epochs: int = 1) -> None:
        if every_n_epochs < 1:
            raise InputError(f"`every_n_epochs`: found {every_n_epochs}; allowed: 1 or more")
        self.every_n_epochs = every_n_epochs

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw, if this run is a search and a logger takes pictures."""
        epoch = trainer.current_epoch
        is_due = (epoch + 1) % self.every_n_epochs == 0 or epoch + 1 == trainer.max_epochs
        if not (is_due and isinstance(pl_module, SearchModule) and boards_of(trainer)):
            return
        space, architecture = pl_module.space, pl_module.found().architecture
        for name, places in space.picks(architecture).items():
            values = pl_module.supernet.alphas[name].detach().float().cpu().numpy()
            heatmap = alpha_heatmap(values, space.decisions[name], places, f"{name}, epoch {epoch + 1}")
            add_picture(trainer, f"alphas/{name}", heatmap, epoch)
        if (drawn := space.picture(architecture)) is not None:
            add_picture(trainer, "genotype", drawn, epoch)
