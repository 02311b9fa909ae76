"""Checks of what is set that need nothing but the configuration; they answer before anything large is imported."""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, get_args

from nas_lightning.config.arguments import shown
from nas_lightning.config.compose import data_links, follows_dataset, options_of
from nas_lightning.config.keys import key_types
from nas_lightning.config.ranges import check_ranges, range_of
from nas_lightning.config.records import Config, Dataset, Running
from nas_lightning.data.reading import (
    AXES,
    CLOCK_POLICIES,
    DECIMALS,
    DELIMITERS,
    ENDS,
    GAP_POLICIES,
    LEVELS,
    SIMILAR_POLICIES,
    TIME_UNITS,
)
from nas_lightning.errors import InputError

_CHOSEN = {"training.nas_layers": "space.auto_layers", "training.nas_init_channels": "space.auto_init_channels"}
_ONE_PROCESS = "a run is one process on one device; parallel work is a sweep (nas-lightning -m)"
_VALIDATED = "val is looked at after each epoch, or each few where they are a few steps, because the best one is kept"
_BY_EPOCHS = "set training.nas_epochs and training.training_epochs instead"
_NOT_USED = "no stage of a run uses it"
NOT_OF_TRAINER = {
    "accumulate_grad_batches": "set training.batch_size instead",
    "barebones": "checkpoints and the log are needed",
    "callbacks": "add to the group callbacks instead",
    "check_val_every_n_epoch": _VALIDATED,
    "default_root_dir": "set common.run_name or hydra.run.dir instead",
    "enable_autolog_hparams": _NOT_USED,
    "enable_checkpointing": "resume=FOLDER needs checkpoints",
    "enable_progress_bar": "set callbacks.progress_bar to null instead",
    "fast_dev_run": "experiment=quick is a look at the whole road",
    "gradient_clip_algorithm": "training.clip_norm and search.clip_norm are norms",
    "gradient_clip_val": "set training.clip_norm and search.clip_norm instead",
    "limit_predict_batches": _NOT_USED,
    "limit_test_batches": _NOT_USED,
    "limit_val_batches": "all of val is needed, because the best epoch is kept",
    "logger": "use the group logger instead",
    "max_epochs": _BY_EPOCHS,
    "max_steps": _BY_EPOCHS,
    "max_time": _BY_EPOCHS,
    "min_epochs": _BY_EPOCHS,
    "min_steps": _BY_EPOCHS,
    "model_registry": _NOT_USED,
    "num_nodes": _ONE_PROCESS,
    "overfit_batches": "a network would be judged on what it has learned from",
    "plugins": _ONE_PROCESS,
    "reload_dataloaders_every_n_epochs": "the loaders are the same in every epoch",
    "strategy": _ONE_PROCESS,
    "sync_batchnorm": _ONE_PROCESS,
    "use_distributed_sampler": _ONE_PROCESS,
    "val_check_interval": _VALIDATED,
}
"""Arguments of the Trainer that would stop a run on its way or be ignored, or that the program gives itself, and what
to do."""

OF_TRAINER = (
    *("accelerator", "benchmark", "detect_anomaly", "deterministic", "devices", "enable_model_summary"),
    *("inference_mode", "limit_train_batches", "log_every_n_steps", "num_sanity_val_steps", "precision", "profiler"),
)
"""Arguments of the Trainer that can be given."""

BACKENDS = ("processes", "ray", "here")
"""Where trainings are done side by side."""

_ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps")
_READING = {
    "similar_labels": SIMILAR_POLICIES,
    "recording_ends": ENDS,
    "delimiter": DELIMITERS,
    "decimal": DECIMALS,
    "time_unit": TIME_UNITS,
    "clock": CLOCK_POLICIES,
    "gaps": GAP_POLICIES,
    "axes": AXES,
}
"""Keys of ``dataset`` that take one of a few words, or null."""

_FEWEST_VOTES = 3

_MISSING = object()


def check_settings(config: Config) -> None:
    """Refuse values out of range and settings that contradict each other.

    Raises:
        InputError: naming the key, what was found and what is allowed.
    """
    _check_numbers(config)
    _check_links(config)
    _check_reading(config.dataset)
    _check_variables(config.data_processing_feature_extraction.variables)
    _check_target(config)
    _check_init(config)
    _check_contest(config)
    _check_decisions(config)
    _check_running(config.run)
    if not (config.dataset.dataset_name or config.dataset.input_data_path):
        raise InputError("dataset: neither dataset_name nor input_data_path is set; give one of them")
    if not config.training.enable and not config.training.nas_enabled:
        raise InputError("training.enable and training.nas_enabled are both false; nothing is left to do")
    _check_trainer(config.trainer)


def _check_init(config: Config) -> None:
    """With ``init_from`` there is one network, which is trained."""
    if config.init_from is None:
        if config.training.only_head:
            raise InputError("training.only_head: found true; allowed: false, because init_from is null")
        return
    for key, allowed in (("search_features", False), ("target_accuracy", None), ("training.enable", True)):
        if (found := value_at(config, key)) != allowed:
            raise InputError(
                f"init_from: is given, and {key} is {shown(found)}; allowed: {shown(allowed)}, because the network is "
                "that of the run"
            )


def _check_numbers(config: Config) -> None:
    """Ranges; and the seed, which those of several searches and trainings follow."""
    size = config.training.nas_model_size
    left_out = frozenset(_CHOSEN) if config.training.size_is_chosen else frozenset()
    for key in left_out:
        if (found := value_at(config, key)) != 0:
            reason = "outlines have no cells" if size == "auto" else f"it is chosen from {_CHOSEN[key]}"
            raise InputError(f"{key}: found {found}; allowed: 0 with nas_model_size={size}, because {reason}")
    nullable = frozenset(key for key, hint in key_types().items() if type(None) in get_args(hint))
    check_ranges(asdict(config), nullable, left_out)
    num_seeds = config.search.get("num_seeds", 1)
    num_seeds = max(config.selection.trainings, num_seeds if isinstance(num_seeds, int) else 1)
    if config.seed + num_seeds - 1 not in range_of("seed"):
        raise InputError(
            f"seed: found {config.seed}; allowed: 0 to {2**32 - num_seeds}, because {num_seeds} searches or trainings "
            "have seeds from there on"
        )


def _check_links(config: Config) -> None:
    """Refuse a key of ``data`` that differs from the key that it follows: one of the two would be ignored."""
    content = asdict(config)
    for key, source in data_links().items() if follows_dataset(config) else ():
        found, followed = _look_up(content, key), _look_up(content, source)
        # As text: 1 is neither true nor 1.0, and NaN is NaN.
        if found is not _MISSING and json.dumps(found, sort_keys=True) != json.dumps(followed, sort_keys=True):
            raise InputError(f"{key}: found {shown(found)}; it follows {source}; set that instead")


def _check_trainer(trainer: dict[str, Any]) -> None:
    for name in trainer:
        if name in NOT_OF_TRAINER:
            raise InputError(f"trainer.{name}: cannot be given; {NOT_OF_TRAINER[name]}")
    if str(devices := trainer.get("devices", 1)) != "1":
        raise InputError(f"trainer.devices: found {devices}; allowed: 1, because a search runs on one device")
    check_choice("trainer.accelerator", trainer.get("accelerator", "auto"), _ACCELERATORS)


def _check_reading(dataset: Dataset) -> None:
    for name, choices in _READING.items():
        if (found := getattr(dataset, name)) is not None:
            check_choice(f"dataset.{name}", found, choices)
    for level in dataset.levels or ():
        check_choice("dataset.levels", level, LEVELS)
    for name in ("group_pattern", "label_pattern"):
        try:
            re.compile(pattern := getattr(dataset, name) or "")
        except re.error as error:
            raise InputError(f"dataset.{name}: {pattern!r} is no regular expression ({error})") from error
    offsets = dataset.offset if isinstance(dataset.offset, list) else [dataset.offset]
    is_number = all(isinstance(each, int | float) and not isinstance(each, bool) for each in offsets)
    if dataset.offset is not None and not (offsets and is_number and all(map(math.isfinite, offsets))):
        raise InputError(f"dataset.offset: found {shown(dataset.offset)}; allowed: a number, one a channel, or null")


def _check_variables(variables: Any) -> None:
    """As far as it can be said without the data."""
    is_count = type(variables) is int and variables >= 1
    is_list = isinstance(variables, list) and (
        all(isinstance(name, str) for name in variables) or all(type(n) is int and n >= 0 for n in variables)
    )
    if variables is not None and not is_count and not (is_list and variables):
        raise InputError(
            f"data_processing_feature_extraction.variables: found {shown(variables)}; allowed: the number of channels, "
            "1 or more, a list of numbers from 0, a list of names, or null for all channels"
        )


def _check_target(config: Config) -> None:
    presets = options_of("features", config.common.config_dirs)
    for name in config.features_candidates:
        check_choice("features_candidates", name, presets)
    if config.search_features:
        if not config.features_candidates:
            raise InputError("features_candidates: is empty; search_features needs at least one preset of features")
        if "front_end" not in config.data:
            raise InputError("search_features: needs the DataModule data=default; allowed: false with another")
        if config.target_accuracy is not None or not config.training.enable:
            raise InputError("search_features: needs training.enable, and no target_accuracy")
    if config.target_accuracy is None:
        return
    if not (config.training.enable and config.training.nas_enabled):
        raise InputError("target_accuracy: needs training.enable and training.nas_enabled")
    if config.training.nas_model_size == "auto_cells":
        raise InputError("target_accuracy: finds the limit itself; allowed: any nas_model_size but auto_cells")


def _check_contest(config: Config) -> None:
    if config.control.keep_better and not config.control.networks:
        raise InputError("control.keep_better: needs control.num_random of 1 or more")


def _check_decisions(config: Config) -> None:
    """What is decided by scores, as far as it can be said without the data."""
    reject, postprocess, unknown = config.reject, config.postprocess, config.dataset.unknown
    if unknown is not None and not follows_dataset(config):
        raise InputError("dataset.unknown: needs the DataModule data=default; allowed: null with another")
    if reject.false_accept is not None and reject.coverage is not None:
        raise InputError(
            "reject: false_accept and coverage are both set; allowed: one of them, because each sets the threshold"
        )
    if reject.false_accept is not None and unknown is None:
        raise InputError("reject.false_accept: needs dataset.unknown, the label of what is not to be accepted")
    asked = {"reject.false_accept": reject.false_accept is not None, "reject.coverage": reject.coverage is not None}
    for key, is_asked in (asked | {"postprocess.method": postprocess.method != "none"}).items():
        if is_asked and not config.training.enable:
            raise InputError(f"{key}: needs training.enable=true, because a trained network decides")
    if postprocess.method != "none" and config.dataset.split_type == "amongst_windows":
        raise InputError(
            f"postprocess.method: found {postprocess.method}; allowed: none, because dataset.split_type="
            "amongst_windows leaves no windows that follow each other"
        )
    if postprocess.method == "majority" and postprocess.windows < _FEWEST_VOTES:
        raise InputError(
            f"postprocess.windows: found {postprocess.windows}; allowed: {_FEWEST_VOTES} or more with majority, because"
            " the latest of two always wins"
        )
    if postprocess.method == "auto" and not postprocess.auto_windows:
        raise InputError("postprocess.auto_windows: found []; allowed: a list of numbers, each 2 to 1024")


def _check_running(run: Running) -> None:
    check_choice("run.backend", run.backend, BACKENDS)
    if run.backend == "here" and run.workers not in (None, 1):
        raise InputError(f"run.workers: found {run.workers}; allowed: 1, or null, because run.backend is here")
    if run.backend == "ray" and run.ray_address != "local" and run.workers is not None:
        raise InputError(f"run.workers: found {run.workers}; allowed: null, because a cluster has as many as it has")


def check_choice(key: str, found: str, allowed: Iterable[str]) -> None:
    """Refuse a word that is none of those that are allowed.

    Raises:
        InputError: naming the key, what was found and what is allowed.
    """
    allowed = tuple(allowed)
    if found not in allowed:
        raise InputError(f"{key}: found {found!r}; allowed: {', '.join(allowed)}")


def value_at(config: Config, key: str) -> Any:
    """What stands at a key."""
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _look_up(content: dict[str, Any], key: str) -> Any:
    for part in key.split("."):
        if not isinstance(content, dict) or part not in content:
            return _MISSING
        content = content[part]
    return content
