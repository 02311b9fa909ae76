"""What a ``_target_`` of the configuration may name: the one list that is asked before anything is instantiated.

A configuration may come from a stranger (a YAML, a run folder, an archive), and a ``_target_`` is a call. So only
classes that do nothing but what their name says may be called: the parts of this package, optimizers and schedules of
torch, loggers, callbacks and the Trainer of Lightning. Whoever needs other code says so where the code is installed
(an entry point of the group ``nas_lightning.targets``) or by a ``--config-dir``, which is code: see docs/security.md.
"""

import importlib
import inspect
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from nas_lightning.errors import InputError, brief
from nas_lightning.files import read_yaml

ENTRY_POINTS = "nas_lightning.targets"
"""The group of entry points whose values (``module:name``) may be named as well."""

PARTS = frozenset(
    {
        "lightning.pytorch.Trainer",
        "lightning.pytorch.loggers.CSVLogger",
        "lightning.pytorch.loggers.MLFlowLogger",
        "lightning.pytorch.loggers.TensorBoardLogger",
        "lightning.pytorch.loggers.WandbLogger",
        "nas_lightning.callbacks.AlphaPictures",
        "nas_lightning.callbacks.StageBar",
        "nas_lightning.data.augment.build_augmentation",
        "nas_lightning.data.datamodule.TimeSeriesData",
        "nas_lightning.data.features.FrontEnd",
        "nas_lightning.data.reading.Reading",
        "nas_lightning.search.arch_step.FirstOrder",
        "nas_lightning.search.arch_step.PolicyGradient",
        "nas_lightning.search.derivation.Perturbation",
        "nas_lightning.search.derivation.Ranked",
        "nas_lightning.search.derivation.Strongest",
        "nas_lightning.search.derivation.Uniform",
        "nas_lightning.search.penalties.BetaDecay",
        "nas_lightning.search.penalties.BudgetPull",
        "nas_lightning.search.penalties.ConcentrationAnchor",
        "nas_lightning.search.penalties.CostPenalty",
        "nas_lightning.search.penalties.RamPenalty",
        "nas_lightning.search.relaxation.AuxiliarySkip",
        "nas_lightning.search.relaxation.BalancedPath",
        "nas_lightning.search.relaxation.Dirichlet",
        "nas_lightning.search.relaxation.EdgeNormalised",
        "nas_lightning.search.relaxation.GumbelPath",
        "nas_lightning.search.relaxation.NodeSoftmax",
        "nas_lightning.search.relaxation.Softmax",
        "nas_lightning.search.relaxation.UniformPath",
        "nas_lightning.search.strategy.Strategy",
        "nas_lightning.space.blueprint.ReferenceBlueprint",
        "nas_lightning.space.trunk.listed_trunk",
        "nas_lightning.training.schedule.one_cycle",
        "torch.optim.Adam",
        "torch.optim.AdamW",
        "torch.optim.SGD",
        "torch.optim.lr_scheduler.ConstantLR",
        "torch.optim.lr_scheduler.CosineAnnealingLR",
        "lightning.pytorch.trainer.trainer.Trainer",
    }
)
"""What the files of ``conf`` name, so that a configuration of them alone is checked before anything is imported."""

_SEARCH_ROOMS = tuple(
    f"nas_lightning.search.{room}" for room in ("strategy", "relaxation", "arch_step", "penalties", "derivation")
)
_FAMILIES = {
    "torch.optim": "Optimizer",
    "torch.optim.lr_scheduler": "LRScheduler",
    "lightning.pytorch.loggers": "Logger",
    "lightning.pytorch.callbacks": "Callback",
    "nas_lightning.callbacks": "lightning.pytorch.callbacks.Callback",
}
"""Modules, and what the classes are that may be named in them: a class of the module, or one by its dotted name."""

_ALLOWED = (
    "parts of nas_lightning, torch.optim, its lr_scheduler, Lightning's loggers, callbacks and Trainer, "
    f"entry points of the group {ENTRY_POINTS}, and what a --config-dir of your own names"
)
_of_config_dirs: set[str] = set()
_config_dirs: dict[str, None] = {}


def check_targets(key: str, content: Any) -> None:
    """Refuse a ``_target_`` that is not on the list, wherever in ``content`` it stands.

    Args:
        key: where ``content`` stands in the configuration, for the message.
        content: plain dictionaries, lists and values.

    Raises:
        InputError: naming the key, what was found and what is allowed.
    """
    for where, target in _targets_in(key, content):
        if not (isinstance(target, str) and _is_allowed(target)):
            raise InputError(f"{where}: found {brief(target)}; allowed: {_ALLOWED}")


def trust_config_dir(folder: Path) -> None:
    """Allow what the files of a ``--config-dir`` name: by giving the folder, the user says that it is their code.

    Raises:
        InputError: if a file of it is no YAML.
    """
    _config_dirs[str(folder.absolute())] = None
    for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
        text = path.read_text(encoding="utf-8", errors="replace")
        if "_target_" in text:
            _of_config_dirs.update(str(target) for _, target in _targets_in("", read_yaml(path)))


def trusted_config_dirs() -> list[str]:
    """The folders that were given so far; none that a file of a run names."""
    return list(_config_dirs)


def check_own_target(key: str, record: dict[str, Any]) -> None:
    """Refuse a record of a file that may be a stranger's, unless the user has said where its one target is from.

    Raises:
        InputError: naming the key, what was found and what is allowed.
    """
    targets = list(_targets_in(key, record))
    for where, target in targets:
        if target not in _of_config_dirs | _registered() or len(targets) > 1:
            raise InputError(
                f"{where}: found {brief(target)}; allowed: one entry point of the group {ENTRY_POINTS}, or what a "
                "--config-dir of your own names (`config_dir` of `load`)"
            )


def _targets_in(key: str, content: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        for name, value in content.items():
            where = f"{key}.{name}" if key else str(name)
            if name == "_target_":
                yield where, value
            else:
                yield from _targets_in(where, value)
    elif isinstance(content, list | tuple):
        for number, value in enumerate(content):
            yield from _targets_in(f"{key}[{number}]", value)


def _is_allowed(target: str) -> bool:
    if target in PARTS | _of_config_dirs or target in _registered():
        return True
    module, _, name = target.rpartition(".")
    if module in _SEARCH_ROOMS:
        found = getattr(importlib.import_module(module), name, None)
        return inspect.isclass(found) and found.__module__ == module
    return module in _FAMILIES and _is_a(module, name, _FAMILIES[module])


def _is_a(module: str, name: str, base: str) -> bool:
    home, _, base_name = base.rpartition(".")
    kind = getattr(importlib.import_module(home or module), base_name)
    found = getattr(importlib.import_module(module), name, None)
    return inspect.isclass(found) and issubclass(found, kind)


@cache
def _registered() -> frozenset[str]:
    return frozenset(_names(entry_points(group=ENTRY_POINTS)))


def _names(points: Iterable[Any]) -> Iterator[str]:
    return (point.value.replace(":", ".") for point in points)
