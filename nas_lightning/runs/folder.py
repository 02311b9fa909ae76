"""Reading a run folder back."""

import shutil
from pathlib import Path
from typing import Any

from msgspec import convert
from torch import nn

from nas_lightning.config.targets import check_own_target
from nas_lightning.data.preparation import FILE as PREPARATION
from nas_lightning.errors import InputError
from nas_lightning.files import damage, read_as, read_torch
from nas_lightning.report.results import RunMetrics
from nas_lightning.space.base import Blueprint
from nas_lightning.space.blueprint import READERS
from nas_lightning.tasks import task_of

RESULT = (
    *("genotype.json", "genotype_history.json", "model.json", "cost.json", "front_end.json", "input.json", "model.pt"),
    *("model.onnx", "model_int8.onnx", "run.log", "annotations", "history.json", "mistakes.npz", PREPARATION),
)
"""What makes up the result of a run, but for its configuration, ``metrics.json``, which is written last, and the page
that is made of all of them."""


def load_network(folder: Path) -> nn.Module:
    """The trained network of a run without its front end, in eval mode.

    Raises:
        InputError: if the folder is not one of a run that ended, or a file is damaged.
    """
    path = folder / "model.pt"
    if not path.exists():
        raise InputError(f"{folder}: has no model.pt; give the folder of a run that ended")
    network, weights = read_network(folder), read_torch(path)
    with damage(path):
        network.load_state_dict(weights)
    return network.eval()


def copy_result(source: Path, target: Path) -> None:
    """Copy the result of one run into the folder of another."""
    for name in RESULT:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        elif (source / name).is_file():
            shutil.copy(source / name, target / name)


def read_network(folder: Path) -> nn.Module:
    """What the run found, or the hand-made network that it trained, with fresh weights.

    Raises:
        InputError: if the folder describes neither, or a file is damaged.
    """
    blueprint = read_blueprint(folder)
    with damage(_description(folder)):
        return blueprint.build()


def read_blueprint(folder: Path) -> Blueprint:
    """What describes that network.

    Raises:
        InputError: if the folder describes neither, or a file is damaged.
    """
    path = _description(folder)
    return read_as(path, _hand_made if path.name == "model.json" else READERS[path.name])


def _hand_made(content: dict[str, Any]) -> Blueprint:
    if "own" not in content:
        return READERS["model.json"](content)
    from nas_lightning.runs.build import hand_made  # at need: most networks are not the user's own

    check_own_target("model", content["own"])
    return hand_made(content["own"], task_of(content["task"]))


def read_value(folder: Path, split: str, metric: str) -> float:
    """A figure of a run that ended, from its ``metrics.json``.

    Raises:
        DamagedFileError: if it is not there.
    """
    return read_as(folder / "metrics.json", lambda content: convert(content, RunMetrics).figures(split)[metric])


def _description(folder: Path) -> Path:
    for name in READERS:
        if (folder / name).exists():
            return folder / name
    raise InputError(f"{folder}: has neither genotype.json nor model.json; give the folder of a run")
