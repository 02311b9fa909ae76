"""The search as one function call on data of a program: plain DataLoaders, or a ``TimeSeriesData``."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas_lightning.config.compose import compose_config
from nas_lightning.config.keys import check_keys, known_keys, to_overrides
from nas_lightning.data.datamodule import TimeSeriesData
from nas_lightning.data.loaders import LoaderData
from nas_lightning.errors import InputError
from nas_lightning.runs.modes import run
from nas_lightning.use.classifier import Classifier
from nas_lightning.use.loading import load

_SHORT_NAMES = {key.removeprefix("training."): key for key in known_keys() if key.startswith("training.")}
del _SHORT_NAMES["enable"], _SHORT_NAMES["batch_size"]  # it always trains, and the loaders have their batch size
_SHORT_NAMES |= {"nas_model_size": "nas_model_size", "seed": "seed", "unrolled": "search.unrolled"}
_SHORT_NAMES |= {"ops": "space.ops", "post_reduction_stride": "space.post_reduction_stride"}
_LOADERS = ("train_loader", "valid_loader")
_OF_DATA = (
    *("features", "search_features", "data_processing_feature_extraction.", "augmentation", "training.batch_size"),
    *("dataset.", "data."),
)
"""Keys, or what they start with, that say what the data say already."""

_OF_LOADERS = ("export.include_features",)
"""Further ones that ask for recordings."""


def search_and_get_model(
    args: Namespace | None = None,
    *,
    data: TimeSeriesData | None = None,
    class_names: Sequence[str] | None = None,
    overrides: list[str] | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    **settings: Any,
) -> Classifier:
    """Search a network on data of a program, train it, and return it in eval mode.

    Args:
        args: a namespace with the names below as attributes; other attributes are left alone, None means "default".
        data: for example ``TimeSeriesData.from_arrays(X, y)``; in place of the two loaders.
        class_names: of the labels 0 to K - 1 of the loaders; None: their numbers.
        overrides: further settings as on the command line, for example ``["search.penalties.cost.weight=0"]``.
        folder: the run folder; ``outputs/DATE/TIME`` if None.
        resume: go on with the run that ``folder`` holds, with the same data and settings.
        **settings: ``train_loader`` and ``valid_loader``, whose batches are ``(x, y)`` or longer tuples that end so,
            with x ``[B, C, L]`` or ``[B, C, L, 1]`` and y 0 to K - 1; and any key of ``training``, for example
            ``nas_epochs``, ``nas_model_size``, ``nas_optimization_mode``, ``training_epochs``; and ``unrolled``,
            ``seed``, ``ops``, ``post_reduction_stride``. They win over ``args``.

    Returns:
        The trained network as ``load`` gives it: samples in, logits ``[B, K]`` out, and ``predict`` for recordings.
        It also lies in the run folder.

    Raises:
        InputError: for an unknown name, missing data, or a value that is not allowed.
    """
    if resume and folder is None:
        raise InputError("search_and_get_model: resume needs folder, that of the run to go on with")
    known = _known(args, settings)
    own = _data(data, {name: known.pop(name, None) for name in _LOADERS}, class_names)
    keys = {_SHORT_NAMES[name]: value for name, value in known.items()}
    if isinstance(own, TimeSeriesData):
        keys |= {"dataset.dataset_name": own.name, "dataset.input_data_path": own.path}
    _check_overrides(overrides or [], own)
    config = compose_config([*to_overrides(keys), *(overrides or [])])
    target = Path(folder) if folder else Path("outputs") / config.common.run_name
    run(config, target, own, resume=resume)
    return load(target)


def _known(args: Namespace | None, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings by their short names; those of ``args`` that are not None, under those of the call."""
    for name in settings:
        if name not in _SHORT_NAMES and name not in _LOADERS:
            raise InputError(
                f"search_and_get_model: unknown setting {name!r}; allowed: {', '.join([*_LOADERS, *_SHORT_NAMES])}"
            )
    known = {name: getattr(args, name) for name in (*_SHORT_NAMES, *_LOADERS) if getattr(args, name, None) is not None}
    return known | settings


def _data(
    data: TimeSeriesData | None, loaders: dict[str, Any], class_names: Sequence[str] | None
) -> TimeSeriesData | LoaderData:
    given = {name: loader for name, loader in loaders.items() if loader is not None}
    if data is not None:
        if class_names is not None:
            raise InputError("search_and_get_model: found data and class_names; allowed: one of them")
        if given:
            raise InputError(f"search_and_get_model: found data and {', '.join(given)}; allowed: one of them")
        if not isinstance(data, TimeSeriesData):
            raise InputError(
                f"search_and_get_model: data is {_kind(data)}; allowed: a TimeSeriesData, "
                "for example of TimeSeriesData.from_arrays or from_frame"
            )
        return data
    for name in _LOADERS:
        if name not in given:
            raise InputError(f"search_and_get_model: {name} is missing; give a DataLoader")
        if hasattr(given[name], "columns") or hasattr(given[name], "dtype"):
            raise InputError(
                f"search_and_get_model: {name} is {_kind(given[name])}; allowed: a DataLoader; arrays and tables are "
                "given by data=TimeSeriesData.from_arrays(X, y), or from_frame(table)"
            )
    return LoaderData(given["train_loader"], given["valid_loader"], class_names)


def _kind(found: object) -> str:
    return f"of type {type(found).__name__}"


def _check_overrides(overrides: list[str], data: TimeSeriesData | LoaderData) -> None:
    check_keys(overrides, "overrides")
    is_loaders = isinstance(data, LoaderData)
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if key.startswith((*_OF_DATA, *(_OF_LOADERS if is_loaders else ()))):
            given = "the loaders give" if is_loaders else "data gives"
            raise InputError(f"search_and_get_model: {key} cannot be set, because {given} the samples")
        if key == "training.enable":
            raise InputError(
                "search_and_get_model: training.enable cannot be set, because a trained network is returned"
            )
