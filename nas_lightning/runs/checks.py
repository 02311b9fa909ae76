"""Checks of the configuration, before any data is read: one sentence for the first thing that is wrong."""

import json
import math
import re
from dataclasses import asdict
from typing import Any, get_args

from nas_lightning.config.arguments import shown
from nas_lightning.config.compose import conf_dir, data_links, device_cards
from nas_lightning.config.keys import key_types
from nas_lightning.config.ranges import check_ranges, range_of
from nas_lightning.config.records import Config, Dataset
from nas_lightning.cost.code import core_named
from nas_lightning.cost.npu import PROFILES
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
from nas_lightning.data.splits import SPLIT_TYPES
from nas_lightning.data.values import MISSING_POLICIES
from nas_lightning.errors import InputError
from nas_lightning.export.firmware import BACKENDS
from nas_lightning.export.host import TOOLS, missing_tools
from nas_lightning.export.texts import PREFIX
from nas_lightning.kernels.build import why_not_native
from nas_lightning.kernels.choice import KERNELS
from nas_lightning.runs.build import build_budget, build_candidates, build_numbers, build_ops, build_size
from nas_lightning.space.ops import OPS
from nas_lightning.training.module import CLASS_WEIGHTS

REMEDIES = ("percentile", "equalise", "finetune")
"""Against a loss by int8."""

METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
MODES = {"memory": "params", "compute": "macs", "latency": "instructions"}
"""``nas_optimization_mode`` in lower case to what is expected."""

_CHOSEN = {"training.nas_layers": "space.auto_layers", "training.nas_init_channels": "space.auto_init_channels"}
_ONE_PROCESS = "a run is one process on one device; parallel work is a sweep (nas-lightning -m)"
_EVERY_EPOCH = "every epoch is validated once, because the best one is kept"
_BY_EPOCHS = "set training.nas_epochs and training.training_epochs instead"
_NOT_USED = "no stage of a run uses it"
NOT_OF_TRAINER = {
    "accumulate_grad_batches": "set training.batch_size instead",
    "barebones": "checkpoints and the log are needed",
    "callbacks": "add to the group callbacks instead",
    "check_val_every_n_epoch": _EVERY_EPOCH,
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
    "val_check_interval": _EVERY_EPOCH,
}
"""Arguments of the Trainer that would stop a run on its way or be ignored, or that the program gives itself, and what
to do."""

OF_TRAINER = (
    *("accelerator", "benchmark", "detect_anomaly", "deterministic", "devices", "enable_model_summary"),
    *("inference_mode", "limit_train_batches", "log_every_n_steps", "num_sanity_val_steps", "precision", "profiler"),
)
"""Arguments of the Trainer that can be given."""

_ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps")
_MOST_WEIGHTS = 100_000_000
"""Of a supernet with the operations of the default: 15 times those of xxl, 2 GB in training."""

_OP_WEIGHTS = 15
"""Of an edge, for each pair of channels: kernels of 3, 5 and 7."""

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

_MISSING = object()
_LIMITS = tuple(f"budget.{name}" for name in ("params", "macs", "flash_bytes", "ram_bytes", "latency_ms"))


def check_config(config: Config) -> None:
    """Refuse values out of range and settings that contradict each other.

    Raises:
        InputError: naming the key, what was found and what is allowed.
    """
    _check_numbers(config)
    _check_links(config)
    _check_choice("testing.metric", config.testing.metric, METRICS)
    _check_choice("dataset.missing", config.dataset.missing, MISSING_POLICIES)
    _check_choice("dataset.split_type", config.dataset.split_type, SPLIT_TYPES)
    _check_reading(config.dataset)
    _check_variables(config.data_processing_feature_extraction.variables)
    _check_training(config)
    _check_space(config)
    _check_device(config)
    _check_target(config)
    _check_contest(config)
    _check_export(config)
    if not (config.dataset.dataset_name or config.dataset.input_data_path):
        raise InputError("dataset: neither dataset_name nor input_data_path is set; give one of them")
    _check_trainer(config.trainer)


def _check_numbers(config: Config) -> None:
    """Ranges; and the seed, which those of several searches and trainings follow."""
    left_out = frozenset(_CHOSEN) if config.training.nas_model_size == "auto" else frozenset()
    for key in left_out:
        if (found := _get(config, key)) != 0:
            raise InputError(f"{key}: found {found}; nas_model_size=auto chooses it from {_CHOSEN[key]}")
    nullable = frozenset(key for key, hint in key_types().items() if type(None) in get_args(hint))
    check_ranges(asdict(config), nullable, left_out)
    num_seeds = config.search.get("num_seeds", 1)
    num_seeds = max(config.selection.candidates, num_seeds if isinstance(num_seeds, int) else 1)
    if config.seed + num_seeds - 1 not in range_of("seed"):
        raise InputError(
            f"seed: found {config.seed}; allowed: 0 to {2**32 - num_seeds}, because {num_seeds} searches or trainings "
            "have seeds from there on"
        )


def _check_links(config: Config) -> None:
    """Refuse a key of ``data`` that differs from the key that it follows: one of the two would be ignored."""
    content = asdict(config)
    for key, source in data_links().items():
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
    _check_choice("trainer.accelerator", trainer.get("accelerator", "auto"), _ACCELERATORS)


def _check_reading(dataset: Dataset) -> None:
    for name, choices in _READING.items():
        if (found := getattr(dataset, name)) is not None:
            _check_choice(f"dataset.{name}", found, choices)
    for level in dataset.levels or ():
        _check_choice("dataset.levels", level, LEVELS)
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


def _check_training(config: Config) -> None:
    training = config.training
    _check_choice("training.nas_optimization_mode", training.nas_optimization_mode.lower(), MODES)
    _check_choice("training.nas_kernels", training.nas_kernels, KERNELS)
    if training.nas_kernels == "native" and (reason := why_not_native()) is not None:
        raise InputError(f"training.nas_kernels: native is not possible here ({reason}); allowed: auto, torch")
    if "lr" not in config.optimizer:
        raise InputError("optimizer.lr: found nothing; allowed: a number, or null for one that fits the network")
    _check_choice("training.class_weights", training.class_weights, CLASS_WEIGHTS)
    if training.nas_fanout_concat > training.nas_nodes_per_layer:
        raise InputError(
            f"training.nas_fanout_concat: found {training.nas_fanout_concat}; allowed: 1 to "
            f"training.nas_nodes_per_layer, which is {training.nas_nodes_per_layer}"
        )
    if not training.enable and not training.nas_enabled:
        raise InputError("training.enable and training.nas_enabled are both false; nothing is left to do")
    _check_weights(config)


def _check_weights(config: Config) -> None:
    """Refuse sizes whose supernet would fill the memory, from a count that needs no network."""
    sizes = build_candidates(config) if config.training.nas_model_size == "auto" else [build_size(config)]
    for size in sizes:
        edges = size.num_edges * _OP_WEIGHTS
        weights = sum(cell.channels * (cell.in_channels + edges * cell.channels) for cell in size.plan())
        if weights > _MOST_WEIGHTS:
            raise InputError(
                f"training: nas_layers {size.layers}, nas_nodes_per_layer {size.nodes_per_layer}, nas_init_channels "
                f"{size.init_channels} and nas_init_channel_multiplier {size.init_channel_multiplier} make a supernet "
                f"of {weights:,} weights; allowed: up to {_MOST_WEIGHTS:,}"
            )


def _check_target(config: Config) -> None:
    presets = sorted(path.stem for path in (conf_dir() / "features").glob("*.yaml"))
    for name in config.features_candidates:
        _check_choice("features_candidates", name, presets)
    if config.search_features:
        if not config.features_candidates:
            raise InputError("features_candidates: is empty; search_features needs at least one preset of features")
        if config.target_accuracy is not None or not config.training.enable:
            raise InputError("search_features: needs training.enable, and no target_accuracy")
    if config.target_accuracy is None:
        return
    if not (config.training.enable and config.training.nas_enabled):
        raise InputError("target_accuracy: needs training.enable and training.nas_enabled")
    if config.training.nas_model_size == "auto":
        raise InputError("target_accuracy: finds the limit itself; allowed: any nas_model_size but auto")


def _check_contest(config: Config) -> None:
    if config.control.keep_better and not config.control.num_random:
        raise InputError("control.keep_better: needs control.num_random of 1 or more")


def _check_export(config: Config) -> None:
    export = config.export
    _check_choice("selection.by", config.selection.by, ("float", "int8"))
    _check_choice("compilation.backend", config.compilation.backend, tuple(BACKENDS))
    for remedy in export.int8_remedies:
        _check_choice("export.int8_remedies", remedy, REMEDIES)
    if not PREFIX.fullmatch(export.prefix):
        raise InputError(
            f"export.prefix: found {export.prefix!r}; allowed: what a name in C can begin with, up to 31 letters, "
            "digits and _, as imu_; or nothing"
        )
    if config.selection.by == "int8" and not export.int8:
        raise InputError("selection.by: int8 needs export.int8=true")
    if config.compilation.enable:
        if not export.int8:
            raise InputError("compilation.enable: needs export.int8=true")
        if not config.training.enable:
            raise InputError("compilation.enable: needs training.enable=true")
        if missing := missing_tools():
            raise InputError(
                f"compilation.enable: needs {' and '.join(TOOLS)} on PATH, to prove the C files; not found: "
                f"{' and '.join(missing)}"
            )


def _check_device(config: Config) -> None:
    _check_latency(config)
    core, npu = config.device.core, config.device.npu
    if core is not None and core_named(core) is None:
        _check_choice("device.core", core, [*sorted({card.core for card in device_cards() if card.core}), "null"])
    if npu is not None:
        _check_choice("device.npu", npu, [*sorted({card.npu for card in device_cards() if card.npu}), "null"])
    if config.device.npu_profile is not None:
        _check_choice("device.npu_profile", config.device.npu_profile, (*PROFILES, "null"))
    build_numbers(config)
    build_ops(config)
    if config.training.nas_model_size == "auto" and config.training.nas_enabled and not build_budget(config):
        raise InputError("nas_model_size=auto: there is no limit to use; set one of " + ", ".join(_LIMITS))


def _check_latency(config: Config) -> None:
    """Instructions are known for the cores that were measured, and time needs a clock."""
    is_mode = config.training.nas_optimization_mode.lower() == "latency"
    key = "training.nas_optimization_mode=Latency" if is_mode else "budget.latency_ms"
    if not is_mode and config.budget.latency_ms is None:
        return
    core = config.device.core
    if core is not None and core_named(core) is None:
        raise InputError(
            f"{key}: nothing is known of the instructions of a {core}; allowed: a device with a Cortex-M core"
        )
    if (config.budget.latency_ms or config.target_accuracy) and config.device.clock_mhz is None:
        raise InputError(f"{key}: needs a clock; choose a target_device, or set device.clock_mhz")


def _check_space(config: Config) -> None:
    ops = config.space.ops
    for op in ops:
        _check_choice("space.ops", op, tuple(OPS))
    if len(set(ops)) < len(ops):
        raise InputError(f"space.ops: an operation stands twice in {ops}; allowed: each once")
    if not set(ops) - {"none"}:
        raise InputError(f"space.ops: found {ops}; at least one operation besides 'none' is needed")
    for key in ("space.auto_layers", "space.auto_init_channels"):
        if not _get(config, key):
            raise InputError(f"{key}: found []; allowed: a list of numbers, each {range_of(key)}")
    _check_choice("space.shape", config.space.shape, ("preset", "wide"))
    if config.space.shape == "wide" and config.training.nas_model_size == "auto":
        raise InputError(
            "space.shape: found wide; allowed: preset, because nas_model_size=auto chooses layers and channels"
        )


def _check_choice(key: str, found: str, allowed: Any) -> None:
    if found not in allowed:
        raise InputError(f"{key}: found {found!r}; allowed: {', '.join(allowed)}")


def _get(config: Config, key: str) -> Any:
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
