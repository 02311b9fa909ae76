"""Runs that go on with the network of another one: no search, and its weights to start from."""

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas_lightning.config.records import Config, with_values
from nas_lightning.data.preparation import FILE as PREPARATION
from nas_lightning.data.preparation import Preparation
from nas_lightning.data.protocol import SearchData
from nas_lightning.data.windows import NEARLY
from nas_lightning.errors import InputError, brief
from nas_lightning.export.contract import InputDescription
from nas_lightning.files import damage, has_ended, read_as, read_record, read_torch
from nas_lightning.report.results import InitSummary
from nas_lightning.runs.build import build_reference
from nas_lightning.runs.folder import read_blueprint
from nas_lightning.space.base import Blueprint
from nas_lightning.tasks import Task

log = logging.getLogger("nas_lightning")


def without_search(config: Config) -> Config:
    """The same if there is something to search; with ``init_from`` the network is that of the run."""
    return config if config.init_from is None else with_values(config, {"training.nas_enabled": False})


def fixed_network(config: Config, task: Task) -> Any:
    """The network of a run without a search: that of ``init_from``, or the hand-made one of the group ``model``."""
    return build_reference(config, task) if config.init_from is None else init_blueprint(config, task)


def init_blueprint(config: Config, task: Task) -> Blueprint:
    """The network of ``init_from``, with the outputs of a task.

    Raises:
        InputError: if there is no such run, it has not ended, or it takes other samples than the task has.
    """
    folder = _folder(config)
    found = read_blueprint(folder)
    own = found.task
    if (own.in_channels, own.length) != (task.in_channels, task.length):
        raise InputError(
            f"init_from: the network of {folder} takes {own.in_channels} channels of {own.length} steps; the samples "
            f"have {task.in_channels} of {task.length}"
        )
    return replace(found, task=task)  # type: ignore[type-var] # blueprints are frozen dataclasses


def _folder(config: Config) -> Path:
    folder = Path(str(config.init_from))
    if not folder.is_dir() or not has_ended(folder) or not (folder / "model.pt").is_file():
        raise InputError(f"init_from: found {brief(folder)}; allowed: the folder of a run that ended")
    return folder


def digest_of(config: Config) -> str | None:
    """A digest of the weights that a run starts from; None if they are fresh."""
    return None if config.init_from is None else hashlib.sha256((_folder(config) / "model.pt").read_bytes()).hexdigest()


@dataclass(frozen=True)
class Init:
    """What a final training starts from.

    Attributes:
        folder: of the run that it is from.
        weights: by name, those that are kept.
        head: the name of the last linear layer.
        is_kept: whether that layer is kept, because the classes are the same.
        only_head: whether nothing but that layer is trained.
    """

    folder: Path
    weights: dict[str, Tensor]
    head: str
    is_kept: bool
    only_head: bool

    def __call__(self, network: nn.Module) -> None:
        """Give a fresh network the weights, and hold those that are not to be trained."""
        missing, unknown = network.load_state_dict(self.weights, strict=False)
        if unknown or (self.is_kept and missing):
            raise InputError(f"{self.folder / 'model.pt'}: is not that of the network beside it")
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(not self.only_head or name.startswith(f"{self.head}."))

    def summary(self) -> InitSummary:
        """What ``metrics.json`` says of it."""
        return InitSummary(
            folder=str(self.folder),
            head="kept" if self.is_kept else "fresh",
            trained="head" if self.only_head else "all",
            kept=sum(weights.numel() for weights in self.weights.values()),
        )

    def say(self) -> None:
        """Log it."""
        found = self.summary()
        why = "" if self.is_kept else ", because the classes are others"
        trained = "the head alone is trained" if self.only_head else "all weights are trained"
        text = "init_from: %s numbers are those of %s, the head is %s%s; %s"
        log.info(text, f"{found.kept:,}", self.folder, found.head, why, trained)


def read_init(config: Config, data: SearchData) -> Init | None:
    """What ``init_from`` gives to a run on some data; None without it.

    Raises:
        InputError: if the network was trained on samples that were made otherwise, or a file is damaged.
    """
    if config.init_from is None:
        return None
    folder = _folder(config)
    network = init_blueprint(config, data.task).build()
    head = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
    before = None
    if (path := folder / "input.json").is_file():
        before = read_as(path, InputDescription.from_dict)
        _check_rows(folder, before, data)
    _check_preparation(folder, data.preparation())
    weights = read_torch(path := folder / "model.pt")
    is_kept = before is not None and before.outputs == data.task.outputs
    with damage(path):
        kept = {name: weights[name] for name in weights if is_kept or not name.startswith(f"{head}.")}
        if not all(isinstance(values, torch.Tensor) for values in kept.values()):
            raise TypeError("it holds no weights")
        init = Init(folder, kept, head, is_kept, config.training.only_head)
        init(network)
    return init


def _check_rows(folder: Path, before: InputDescription, data: SearchData) -> None:
    """Refuse rows of other channels, another rate or other offsets."""
    rows = data.rows()
    both = before.sampling_rate, rows.sampling_rate
    is_other_rate = None not in both and not 1 / NEARLY <= both[0] / both[1] <= NEARLY  # type: ignore[operator]
    found: list[tuple[str, Any, Any, bool]] = [
        ("the channels", ", ".join(before.channels), ", ".join(rows.channels), before.channels != rows.channels),
        ("a sampling rate of", *both, is_other_rate),
        ("values in the unit", before.unit, rows.unit, before.unit != rows.unit),
        ("the offsets", list(before.offsets), list(rows.offsets), before.offsets != rows.offsets),
    ]
    for what, own, other, differs in found:
        if differs:
            way = "; dataset.offset sets them" if what == "the offsets" else ""
            raise InputError(
                f"init_from: the network of {folder} was trained on {what} {brief(own)}; the data have "
                f"{brief(other)}{way}"
            )


def _check_preparation(folder: Path, now: Preparation | None) -> None:
    """Refuse samples that another front end made."""
    if now is None or not (folder / PREPARATION).is_file():
        return
    before = read_record(folder / PREPARATION, Preparation)
    section = "data_processing_feature_extraction"
    pairs = {key: (before.front_end.get(key), value) for key, value in now.front_end.items() if key != "sampling_rate"}
    pairs |= {
        key: (getattr(before.framing, key), getattr(now.framing, key)) for key in ("anti_alias", "keep_short_tails")
    }
    for key, (own, other) in pairs.items():
        if own != other:
            raise InputError(
                f"init_from: {section}.{key} was {brief(own)} in the run of {folder} and is {brief(other)}; allowed: "
                "the same"
            )
