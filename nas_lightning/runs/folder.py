"""Reading a run folder back."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import convert
from torch import Tensor, nn

from nas_lightning.config.targets import check_own_target, trust_config_dir
from nas_lightning.data.features import FrontEnd
from nas_lightning.errors import InputError, brief
from nas_lightning.export.contract import InputDescription
from nas_lightning.files import damage, read_as, read_torch
from nas_lightning.report.results import RunMetrics
from nas_lightning.space.base import Blueprint
from nas_lightning.space.blueprint import READERS
from nas_lightning.tasks import task_of

RESULT = (
    *("genotype.json", "genotype_history.json", "model.json", "cost.json", "front_end.json", "input.json", "model.pt"),
    *("model.onnx", "model_int8.onnx", "run.log", "annotations", "history.json", "mistakes.npz"),
)
"""What makes up the result of a run, but for its configuration, ``metrics.json``, which is written last, and the page
that is made of all of them."""


def load(run_folder: str | Path, config_dir: str | Path | None = None) -> nn.Module:
    """The trained network of a run, in eval mode: what ``model.onnx`` takes ``[B, C, L]`` in, logits ``[B, K]`` out.

    Its ``description`` says what that is: class names, channels, window, sampling rate, scale and so on. It is an
    ``InputDescription``, or None for a run of an older version, which did not write it. With it, samples of another
    number of channels or another length are refused with an ``InputError``.

    Reads ``genotype.json`` (or ``model.json`` of a hand-made network) and ``model.pt``; nothing in them can run code.
    Only a class that a folder of your own names is called.

    Args:
        run_folder: of a run that ended.
        config_dir: the folder of ``--config-dir`` that names a network of your own, if the run has trained one.

    Raises:
        InputError: if the folder is not one of a run that ended, or a file is damaged.
    """
    folder = Path(run_folder)
    if config_dir is not None:
        trust_config_dir(Path(config_dir))
    network = load_network(folder)
    if (path := folder / "front_end.json").exists():
        network = nn.Sequential(read_as(path, lambda settings: FrontEnd(**settings)), network)
    path = folder / "input.json"
    description = read_as(path, InputDescription.from_dict) if path.exists() else None
    vars(network)["description"] = description  # an attribute that is neither a module nor a tensor
    if description is not None:
        with damage(path):
            channels, length = description.shape
        network.register_forward_pre_hook(_ShapeCheck(description, channels, length))
    return network.eval()


@dataclass(frozen=True)
class _ShapeCheck:
    """Refuses samples of another shape, which broadcasting or pooling over time would let pass.

    It runs before the network, and hands ``[B, C, L, 1]`` on as ``[B, C, L]``, because a front end knows no other.
    """

    description: InputDescription
    channels: int
    length: int

    def __call__(self, network: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        x = inputs[0] if inputs else None
        if not isinstance(x, Tensor):  # of a tracer
            return inputs
        if x.dim() not in (3, 4) or x.shape[1:3] != (self.channels, self.length) or x.shape[3:].numel() != 1:
            names = brief(", ".join(self.description.channels))
            raise InputError(
                f"x: found shape {list(x.shape)}; the network takes [B, {self.channels}, {self.length}]: "
                f"{self.description.x}, of windows of {self.description.window} rows of the channels {names}"
            )
        return (x.squeeze(3) if x.dim() == 4 else x, *inputs[1:])


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
