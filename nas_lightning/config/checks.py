"""Checks of the configuration, before any data is read: one sentence for the first thing that is wrong."""

import math
import re
from typing import Any

from nas_lightning.config.build import build_limits, build_numbers, build_ops
from nas_lightning.config.compose import conf_dir
from nas_lightning.config.records import Config
from nas_lightning.cost.code import core_named
from nas_lightning.cost.npu import PROFILES
from nas_lightning.data.recordings import MISSING_POLICIES
from nas_lightning.data.splits import SPLIT_TYPES
from nas_lightning.errors import InputError
from nas_lightning.export.firmware import BACKENDS
from nas_lightning.export.host import TOOLS, missing_tools
from nas_lightning.kernels.build import why_not_native
from nas_lightning.kernels.choice import KERNELS
from nas_lightning.space.ops import OPS
from nas_lightning.training.module import CLASS_WEIGHTS

REMEDIES = ("percentile", "equalise", "finetune")
"""Against a loss by int8."""

METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
MODES = {"memory": "params", "compute": "macs", "latency": "instructions"}
"""``nas_optimization_mode`` in lower case to what is expected."""

_AT_LEAST: dict[str, float] = {
    "training.training_epochs": 1,
    "training.batch_size": 1,
    "training.nas_epochs": 1,
    "training.nas_layers": 3,
    "training.nas_nodes_per_layer": 1,
    "training.nas_init_channels": 1,
    "training.nas_init_channel_multiplier": 1,
    "training.nas_fanout_concat": 1,
    "export.calibration_samples": 1,
    "export.finetune.epochs": 1,
    "seed": 0,
    "target_rounds": 1,
    "selection.candidates": 1,
    "control.num_random": 0,
}

_CHOSEN = {"training.nas_layers": "space.auto_layers", "training.nas_init_channels": "space.auto_init_channels"}
_NOT_OF_TRAINER = {
    "accumulate_grad_batches": "set training.batch_size instead",
    "callbacks": "add to the group callbacks instead",
    "check_val_every_n_epoch": "every epoch is validated, because the best one is kept",
    "default_root_dir": "set common.run_name or hydra.run.dir instead",
    "enable_checkpointing": "resume=FOLDER needs checkpoints",
    "enable_progress_bar": "set callbacks.progress_bar to null instead",
    "fast_dev_run": "experiment=quick is a look at the whole road",
    "gradient_clip_val": "set training.clip_norm and search.clip_norm instead",
    "limit_val_batches": "all of val is needed, because the best epoch is kept",
    "logger": "use the group logger instead",
    "max_epochs": "set training.nas_epochs and training.training_epochs instead",
    "max_steps": "set training.nas_epochs and training.training_epochs instead",
    "max_time": "set training.nas_epochs and training.training_epochs instead",
    "val_check_interval": "every epoch is validated once, because the best one is kept",
}
"""Arguments of the Trainer that would stop a run on its way, or that the program gives itself, and what to do."""

_LIMITS = tuple(f"budget.{name}" for name in ("params", "macs", "flash_bytes", "ram_bytes", "latency_ms"))


def check_config(config: Config) -> None:
    """Refuse values out of range and settings that contradict each other.

    Raises:
        InputError: naming the key, what was found and what is allowed.
    """
    is_auto = config.training.nas_model_size == "auto"
    for key, least in _AT_LEAST.items():
        if is_auto and key in _CHOSEN:
            if (found := _get(config, key)) != 0:
                raise InputError(f"{key}: found {found}; nas_model_size=auto chooses it from {_CHOSEN[key]}")
        elif (found := _get(config, key)) < least:
            raise InputError(f"{key}: found {found}; allowed: {least} or more")
    _check_choice("testing.metric", config.testing.metric, METRICS)
    _check_choice("dataset.missing", config.dataset.missing, MISSING_POLICIES)
    _check_choice("dataset.split_type", config.dataset.split_type, SPLIT_TYPES)
    _check_pattern(config.dataset.group_pattern)
    _check_training(config)
    _check_space(config)
    _check_device(config)
    _check_target(config)
    _check_contest(config)
    _check_export(config)
    if not (config.dataset.dataset_name or config.dataset.input_data_path):
        raise InputError("dataset: neither dataset_name nor input_data_path is set; give one of them")
    _check_trainer(config.trainer)


def _check_trainer(trainer: dict[str, Any]) -> None:
    for name in trainer:
        if name in _NOT_OF_TRAINER:
            raise InputError(f"trainer.{name}: cannot be given; {_NOT_OF_TRAINER[name]}")
    if str(devices := trainer.get("devices", 1)) != "1":
        raise InputError(f"trainer.devices: found {devices}; allowed: 1, because a search runs on one device")


def _check_pattern(pattern: str | None) -> None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise InputError(f"dataset.group_pattern: {pattern!r} is no regular expression ({error})") from error


def _check_training(config: Config) -> None:
    training = config.training
    _check_choice("training.nas_optimization_mode", training.nas_optimization_mode.lower(), MODES)
    _check_choice("training.nas_kernels", training.nas_kernels, KERNELS)
    if training.nas_kernels == "native" and (reason := why_not_native()) is not None:
        raise InputError(f"training.nas_kernels: native is not possible here ({reason}); allowed: auto, torch")
    if training.learning_rate is not None and not 0 < training.learning_rate < math.inf:
        raise InputError(f"training.learning_rate: found {training.learning_rate}; allowed: more than 0, and finite")
    if "lr" not in config.optimizer:
        raise InputError("optimizer.lr: found nothing; allowed: a number, or null for one that fits the network")
    if not math.isfinite(training.norm_bias):
        raise InputError(f"training.norm_bias: found {training.norm_bias}; allowed: a finite number")
    if not 0 <= training.label_smoothing < 1:
        raise InputError(f"training.label_smoothing: found {training.label_smoothing}; allowed: 0 to less than 1")
    if training.clip_norm is not None and not training.clip_norm > 0:
        raise InputError(f"training.clip_norm: found {training.clip_norm}; allowed: more than 0, or null")
    if not 0 <= training.average_decay < 1:
        raise InputError(f"training.average_decay: found {training.average_decay}; allowed: 0 to less than 1")
    _check_choice("training.class_weights", training.class_weights, CLASS_WEIGHTS)
    if training.nas_fanout_concat > training.nas_nodes_per_layer:
        raise InputError(
            f"training.nas_fanout_concat: found {training.nas_fanout_concat}; allowed: 1 to "
            f"training.nas_nodes_per_layer, which is {training.nas_nodes_per_layer}"
        )
    if not training.enable and not training.nas_enabled:
        raise InputError("training.enable and training.nas_enabled are both false; nothing is left to do")
    if not training.nas_enabled:
        widths, kernel_size = config.model.get("widths") or [], config.model.get("kernel_size", 0)
        if not widths or min(widths) < 1 or kernel_size < 1 or kernel_size % 2 == 0:
            raise InputError(
                f"model: found widths {widths} and kernel_size {kernel_size}; "
                "allowed: widths of 1 or more, an odd kernel_size"
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
    if not 0 < config.target_accuracy <= 1:
        raise InputError(f"target_accuracy: found {config.target_accuracy}; allowed: more than 0, up to 1")
    if not (config.training.enable and config.training.nas_enabled):
        raise InputError("target_accuracy: needs training.enable and training.nas_enabled")
    if config.training.nas_model_size == "auto":
        raise InputError("target_accuracy: finds the limit itself; allowed: any nas_model_size but auto")


def _check_contest(config: Config) -> None:
    if config.control.epochs is not None and config.control.epochs < 1:
        raise InputError(f"control.epochs: found {config.control.epochs}; allowed: 1 or more, or null")
    if config.control.keep_better and not config.control.num_random:
        raise InputError("control.keep_better: needs control.num_random of 1 or more")


def _check_export(config: Config) -> None:
    export = config.export
    _check_choice("selection.by", config.selection.by, ("float", "int8"))
    _check_choice("compilation.backend", config.compilation.backend, tuple(BACKENDS))
    for remedy in export.int8_remedies:
        _check_choice("export.int8_remedies", remedy, REMEDIES)
    if not 0 <= export.max_int8_drop <= 1:
        raise InputError(f"export.max_int8_drop: found {export.max_int8_drop}; allowed: 0 to 1, as 0.01 for one point")
    if not 0 < export.finetune.learning_rate < math.inf:
        raise InputError(
            f"export.finetune.learning_rate: found {export.finetune.learning_rate}; allowed: more than 0, and finite"
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
    for key in _LIMITS:
        least = 0.001 if key == "budget.latency_ms" else 1
        if (found := _get(config, key)) is not None and not least <= found < math.inf:
            raise InputError(f"{key}: found {found}; allowed: {least} or more, or null for no limit")
    _check_latency(config)
    if not 0 < config.budget.fraction <= 1:
        raise InputError(f"budget.fraction: found {config.budget.fraction}; allowed: more than 0, up to 1")
    for key in ("device.flash_bytes", "device.ram_bytes"):
        if (found := _get(config, key)) is not None and found < 1:
            raise InputError(f"{key}: found {found}; allowed: 1 or more, or null if unknown")
    if config.device.npu_profile is not None:
        _check_choice("device.npu_profile", config.device.npu_profile, (*PROFILES, "null"))
    build_numbers(config)
    build_ops(config)
    if config.training.nas_model_size == "auto" and config.training.nas_enabled and not build_limits(config):
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
    for key, least in (("space.auto_layers", 3), ("space.auto_init_channels", 1)):
        if not (found := _get(config, key)) or min(found) < least:
            raise InputError(f"{key}: found {found}; allowed: a list of numbers of {least} or more")
    _check_choice("space.shape", config.space.shape, ("preset", "wide"))
    if config.space.shape == "wide" and config.training.nas_model_size == "auto":
        raise InputError(
            "space.shape: found wide; allowed: preset, because nas_model_size=auto chooses layers and channels"
        )
    if config.space.post_reduction_stride not in (1, 2):
        raise InputError(f"space.post_reduction_stride: found {config.space.post_reduction_stride}; allowed: 1 or 2")


def _check_choice(key: str, found: str, allowed: Any) -> None:
    if found not in allowed:
        raise InputError(f"{key}: found {found!r}; allowed: {', '.join(allowed)}")


def _get(config: Config, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value
