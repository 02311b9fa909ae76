"""The search as one function call on plain DataLoaders."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from nas_lightning.config.compose import compose_config
from nas_lightning.config.keys import known_keys, to_overrides
from nas_lightning.data.loaders import LoaderData
from nas_lightning.errors import InputError
from nas_lightning.run_folder import load
from nas_lightning.runs import run

_SHORT_NAMES = {key.removeprefix("training."): key for key in known_keys() if key.startswith("training.")}
del _SHORT_NAMES["enable"], _SHORT_NAMES["batch_size"]  # it always trains, and the loaders have their batch size
_SHORT_NAMES |= {"nas_model_size": "nas_model_size", "seed": "seed", "unrolled": "search.unrolled"}
_SHORT_NAMES |= {"ops": "space.ops", "post_reduction_stride": "space.post_reduction_stride"}
_LOADERS = ("train_loader", "valid_loader")
_OF_LOADERS = (
    *("features", "data_processing_feature_extraction.", "augmentation", "export.include_features"),
    *("training.batch_size", "dataset.", "data."),
)
"""Keys, or what they start with, that say what the loaders say already."""


def search_and_get_model(
    args: Namespace | None = None,
    *,
    overrides: list[str] | None = None,
    folder: str | Path | None = None,
    **settings: Any,
) -> nn.Module:
    """Search a network on two DataLoaders, train it, and return it in eval mode.

    Args:
        args: a namespace with the names below as attributes; other attributes are left alone, None means "default".
        overrides: further settings as on the command line, for example ``["search.penalties.cost.weight=0"]``.
        folder: the run folder; ``outputs/DATE/TIME`` if None.
        **settings: ``train_loader`` and ``valid_loader``, whose batches are ``(x, y)`` or longer tuples that end so,
            with x ``[B, C, L]`` or ``[B, C, L, 1]`` and y 0 to K - 1; and any key of ``training``, for example
            ``nas_epochs``, ``nas_model_size``, ``nas_optimization_mode``, ``training_epochs``; and ``unrolled``,
            ``seed``, ``ops``, ``post_reduction_stride``. They win over ``args``.

    Returns:
        The trained network: raw samples in, logits ``[B, K]`` out. It also lies in the run folder.

    Raises:
        InputError: for an unknown name, a missing loader, or a value that is not allowed.
    """
    for name in settings:
        if name not in _SHORT_NAMES and name not in _LOADERS:
            raise InputError(
                f"search_and_get_model: unknown setting {name!r}; allowed: {', '.join([*_LOADERS, *_SHORT_NAMES])}"
            )
    known = {name: getattr(args, name) for name in (*_SHORT_NAMES, *_LOADERS) if getattr(args, name, None) is not None}
    known |= settings
    loaders: list[DataLoader] = []
    for name in _LOADERS:
        if known.get(name) is None:
            raise InputError(f"search_and_get_model: {name} is missing; give a DataLoader")
        loaders.append(known.pop(name))
    keys = {_SHORT_NAMES[name]: value for name, value in known.items()}
    for override in overrides or []:
        key = override.lstrip("+~").partition("=")[0]
        if key.startswith(_OF_LOADERS):
            raise InputError(f"search_and_get_model: {key} cannot be set, because the loaders give the samples")
        if key == "training.enable":
            raise InputError(
                "search_and_get_model: training.enable cannot be set, because a trained network is returned"
            )
    config = compose_config([*to_overrides(keys), *(overrides or [])])
    target = Path(folder) if folder else Path("outputs") / config.common.run_name
    run(config, target, LoaderData(*loaders))
    return load(target)
