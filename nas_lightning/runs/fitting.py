"""One fit of a run, with checkpoints, that goes on where it was stopped."""

import errno
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L

from nas_lightning.callbacks import BestCheckpoint, FigureHistory, NewestCheckpoint
from nas_lightning.callbacks.boards import add_picture, boards_of
from nas_lightning.errors import InputError
from nas_lightning.files import damage, read_torch
from nas_lightning.report.pictures import augmentation_picture
from nas_lightning.runs.build import build_trainer, keyed
from nas_lightning.runs.context import Run
from nas_lightning.training.length import Length

log = logging.getLogger("nas_lightning")

_OF_CHECKPOINT = {
    **{"state_dict": dict, "loops": dict, "callbacks": dict, "optimizer_states": list, "lr_schedulers": list},
    **{"epoch": int, "global_step": int, "pytorch-lightning_version": str},
}
"""What Lightning reads of a checkpoint."""


def fit(
    run: Run, name: str, length: Length, callbacks: list[L.Callback], module: L.LightningModule, loader: Any
) -> L.Trainer:
    """Fit one stage with checkpoints of its last and best epoch; go on from the last one if it is there.

    Args:
        run: its folder gets the checkpoints and the log.
        name: of the folder of its checkpoints and of its log: ``search`` or ``training``, under which the module logs,
            and behind an underscore what tells several of them apart.
        length: of the fit.
        callbacks: besides the configured ones.
        module: is fitted.
        loader: of batches of ``train``.
    """
    folder, stage = run.folder / "checkpoints" / name, name.partition("_")[0]
    if not (run.folder / "config.yaml").is_file():
        raise FileNotFoundError(errno.ENOENT, "the folder of the run is gone", str(run.folder))
    folder.mkdir(parents=True, exist_ok=True)
    # Two of them: one that monitors saves its last epoch only where that is its best one, too.
    kept = [BestCheckpoint(folder, f"{stage}/val_loss", length.epochs), NewestCheckpoint(folder, length.epochs)]
    trainer = build_trainer(run.config, run.folder, name, length, [*callbacks, FigureHistory(stage), *kept])
    _log_augmentation(run, trainer)
    last = folder / "last.ckpt"
    goes_on = last.exists() and read_checkpoint(last, module) is not None
    _keep_csv(run.folder, name)
    with keyed(stage):
        trainer.fit(module, loader, run.data.val_dataloader(), ckpt_path=last if goes_on else None, weights_only=True)
    return trainer


def read_checkpoint(path: Path, module: L.LightningModule) -> dict[str, Any] | None:
    """A checkpoint of ``module``, or None with a warning if it is damaged or that of something else.

    A fit is the same each time it is done, so one without its checkpoint begins again and loses time alone.
    """
    try:
        content = read_torch(path)
        with damage(path):
            _refuse_other(content, module.state_dict())
    except InputError as error:
        log.warning("%s; this fit begins again", error)
        return None
    return content


def _refuse_other(content: dict[str, Any], expected: Mapping[str, Any]) -> None:
    for name, kind in _OF_CHECKPOINT.items():
        if not isinstance(content[name], kind):
            raise TypeError(f"{name} is a {type(content[name]).__name__}")
    found = content["state_dict"]
    if found.keys() != expected.keys() or any(found[name].shape != expected[name].shape for name in found):
        raise ValueError("it is the checkpoint of another network or stage")


def _keep_csv(folder: Path, name: str) -> None:
    """Put aside what Lightning's CSVLogger has written so far of a fit that goes on or begins again."""
    for path in list(folder.glob(f"*/{name}/metrics.csv")):
        number = len(list(path.parents[1].glob(f"{name}_until_*"))) + 1
        path.parent.rename(path.parents[1] / f"{name}_until_{number}")


def _log_augmentation(run: Run, trainer: L.Trainer) -> None:
    """Pictures of a few training samples before and after the augmentation."""
    if boards_of(trainer) and (found := run.data.augmented(4, run.config.seed)) is not None:
        before, after = found
        add_picture(trainer, "augmentation", augmentation_picture(before.numpy(), after.numpy()))
