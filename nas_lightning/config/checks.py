"""Checks of the configuration, before any data is read: one sentence for the first thing that is wrong."""

import math
from typing import Any

from nas_lightning.config.records import Config
from nas_lightning.errors import InputError
from nas_lightning.kernels.build import why_not_native
from nas_lightning.kernels.choice import KERNELS
from nas_lightning.space.ops import OPS

TASK_TYPES = ("generic_timeseries_classification",)
MODES = {"memory": "params", "compute": "macs"}
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
    "seed": 0,
}
_LATER = {
    "target_device": (None, "device cards"),
    "data_processing_feature_extraction.feature_extraction_name": (None, "feature extraction"),
    "compilation.enable": (False, "compilation"),
}


def check_config(config: Config) -> None:
    """Refuse values out of range and settings that contradict each other.

    Raises:
        InputError: naming the key, what was found and what is allowed.
    """
    for key, (allowed, part) in _LATER.items():
        if (found := _get(config, key)) != allowed:
            raise InputError(f"{key}: {part} is not in this version, found {found!r}; leave the key out")
    for key, least in _AT_LEAST.items():
        if (found := _get(config, key)) < least:
            raise InputError(f"{key}: found {found}; allowed: {least} or more")
    _check_choice("common.task_type", config.common.task_type, TASK_TYPES)
    _check_training(config)
    _check_space(config)
    if not 0 < config.dataset.val_fraction < 1:
        raise InputError(f"dataset.val_fraction: found {config.dataset.val_fraction}; allowed: between 0 and 1")
    if not (config.dataset.dataset_name or config.dataset.input_data_path):
        raise InputError("dataset: neither dataset_name nor input_data_path is set; give one of them")
    devices = config.trainer.get("devices", 1)
    if str(devices) != "1":
        raise InputError(f"trainer.devices: found {devices}; allowed: 1, because a search runs on one device")


def _check_training(config: Config) -> None:
    training = config.training
    _check_choice("training.nas_optimization_mode", training.nas_optimization_mode.lower(), MODES)
    _check_choice("training.nas_kernels", training.nas_kernels, KERNELS)
    if training.nas_kernels == "native" and (reason := why_not_native()) is not None:
        raise InputError(f"training.nas_kernels: native is not possible here ({reason}); allowed: auto, torch")
    if not 0 < training.learning_rate < math.inf:
        raise InputError(f"training.learning_rate: found {training.learning_rate}; allowed: more than 0, and finite")
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


def _check_space(config: Config) -> None:
    ops = config.space.ops
    for op in ops:
        _check_choice("space.ops", op, tuple(OPS))
    if len(set(ops)) < len(ops):
        raise InputError(f"space.ops: an operation stands twice in {ops}; allowed: each once")
    if not set(ops) - {"none"}:
        raise InputError(f"space.ops: found {ops}; at least one operation besides 'none' is needed")
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
