"""Checks of the configuration, before any data is read: one sentence for the first thing that is wrong."""

from nas_lightning.config.compose import LIMITS, device_cards
from nas_lightning.config.ranges import range_of
from nas_lightning.config.records import Config
from nas_lightning.config.settings import check_choice, check_settings, value_at
from nas_lightning.cost.code import core_named
from nas_lightning.cost.npu import PROFILES
from nas_lightning.data.splits import SPLIT_TYPES
from nas_lightning.data.values import MISSING_POLICIES
from nas_lightning.errors import InputError
from nas_lightning.export.backends import BACKENDS
from nas_lightning.export.host import TOOLS, missing_tools
from nas_lightning.export.texts import PREFIX
from nas_lightning.kernels.build import why_not_native
from nas_lightning.kernels.choice import KERNELS
from nas_lightning.runs.build import (
    build_budget,
    build_candidates,
    build_factors,
    build_numbers,
    build_ops,
    build_size,
)
from nas_lightning.space.ops import OPS
from nas_lightning.space.outlines import CONVOLUTION_KINDS
from nas_lightning.space.readouts import DEPLOYABLE, keeps_position
from nas_lightning.tasks.classification import CLASS_WEIGHTS, METRICS
from nas_lightning.tasks.decisions import METHODS as SMOOTHINGS

REMEDIES = ("percentile", "equalise", "finetune")
"""Against a loss by int8."""

MODES = {"memory": "params", "compute": "macs", "latency": "instructions"}
"""``nas_optimization_mode`` in lower case to what is expected."""

_MOST_WEIGHTS = 100_000_000
"""Of a supernet with the operations of the default: 15 times those of xxl, 2 GB in training."""

_OP_WEIGHTS = 15
"""Of an edge, for each pair of channels: kernels of 3, 5 and 7."""


def check_config(config: Config) -> None:
    """Refuse values out of range and settings that contradict each other.

    Raises:
        InputError: naming the key, what was found and what is allowed.
    """
    check_settings(config)
    check_choice("testing.metric", config.testing.metric, METRICS)
    check_choice("dataset.missing", config.dataset.missing, MISSING_POLICIES)
    check_choice("postprocess.method", config.postprocess.method, ("none", *SMOOTHINGS, "auto"))
    check_label_column(config)
    check_choice("dataset.split_type", config.dataset.split_type, SPLIT_TYPES)
    _check_training(config)
    _check_space(config)
    _check_device(config)
    _check_export(config)


def check_label_column(config: Config) -> None:
    """Refuse that there are no labels where they are needed.

    Raises:
        InputError: naming the key.
    """
    if config.dataset.columns.label is None:
        raise InputError(
            "dataset.columns.label: found null; allowed: a name, because labels are needed here; null says to predict "
            "that there are none"
        )


def _check_training(config: Config) -> None:
    training = config.training
    check_choice("training.nas_optimization_mode", training.nas_optimization_mode.lower(), MODES)
    check_choice("training.nas_kernels", training.nas_kernels, KERNELS)
    if training.nas_kernels == "native" and (reason := why_not_native()) is not None:
        raise InputError(f"training.nas_kernels: native is not possible here ({reason}); allowed: auto, torch")
    if "lr" not in config.optimizer:
        raise InputError("optimizer.lr: found nothing; allowed: a number, or null for one that fits the network")
    check_choice("training.class_weights", training.class_weights, CLASS_WEIGHTS)
    if training.nas_fanout_concat > training.nas_nodes_per_layer:
        raise InputError(
            f"training.nas_fanout_concat: found {training.nas_fanout_concat}; allowed: 1 to "
            f"training.nas_nodes_per_layer, which is {training.nas_nodes_per_layer}"
        )
    _check_weights(config)


def _check_weights(config: Config) -> None:
    """Refuse sizes whose supernet would fill the memory, from a count that needs no network."""
    if config.training.nas_model_size == "auto":
        return  # there are no cells
    sizes = build_candidates(config) if config.training.nas_model_size == "auto_cells" else [build_size(config)]
    for size in sizes:
        edges = size.num_edges * _OP_WEIGHTS
        weights = sum(cell.channels * (cell.in_channels + edges * cell.channels) for cell in size.plan())
        if weights > _MOST_WEIGHTS:
            raise InputError(
                f"training: nas_layers {size.layers}, nas_nodes_per_layer {size.nodes_per_layer}, nas_init_channels "
                f"{size.init_channels} and nas_init_channel_multiplier {size.init_channel_multiplier} make a supernet "
                f"of {weights:,} weights; allowed: up to {_MOST_WEIGHTS:,}"
            )


def _check_export(config: Config) -> None:
    export = config.export
    check_choice("selection.by", config.selection.by, ("float", "int8"))
    if config.selection.score is not None:
        check_choice("selection.score", config.selection.score, ("metric", "loss"))
    check_choice("compilation.backend", config.compilation.backend, tuple(BACKENDS))
    for remedy in export.int8_remedies:
        check_choice("export.int8_remedies", remedy, REMEDIES)
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
    core, npu, name = config.device.core, config.device.npu, config.device.name
    if not (name.isprintable() and name.strip()):
        raise InputError(f"device.name: found {name!r}; allowed: signs that can be printed, in one line")
    is_known = core is None or core_named(core) is not None
    # To read all cards takes a tenth of a second.
    cards = [] if is_known and npu is None else device_cards(tuple(config.common.config_dirs))
    if not is_known:
        check_choice("device.core", str(core), [*sorted({card.core for card in cards if card.core}), "null"])
    if npu is not None:
        check_choice("device.npu", npu, [*sorted({card.npu for card in cards if card.npu}), "null"])
    if config.device.npu_profile is not None:
        check_choice("device.npu_profile", config.device.npu_profile, (*PROFILES, "null"))
    build_numbers(config)
    if config.searches_outlines:
        build_factors(config)
    else:
        build_ops(config)
    training = config.training
    if training.size_is_chosen and training.nas_enabled and not build_budget(config):
        raise InputError(
            f"nas_model_size={training.nas_model_size}: there is no limit to use; set one of {', '.join(LIMITS)}"
        )


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


def _check_alignment(config: Config) -> None:
    """Refuse a readout that keeps the place where windows begin anywhere."""
    if config.searches_outlines:
        return  # those that keep it are left out
    is_searched = config.training.nas_enabled
    key, readout = ("space", config.space.readout) if is_searched else ("model", config.model.get("readout", "mean"))
    if config.dataset.aligned is False and isinstance(readout, str) and keeps_position(readout):
        raise InputError(
            f"{key}.readout: found {readout}; allowed: mean, maximum, because windows begin anywhere "
            "(dataset.aligned=false)"
        )


def _check_space(config: Config) -> None:
    ops = config.space.ops
    for op in ops:
        check_choice("space.ops", op, tuple(OPS))
    if len(set(ops)) < len(ops):
        raise InputError(f"space.ops: an operation stands twice in {ops}; allowed: each once")
    if not set(ops) - {"none"}:
        raise InputError(f"space.ops: found {ops}; at least one operation besides 'none' is needed")
    for key in ("space.auto_layers", "space.auto_init_channels"):
        if not value_at(config, key):
            raise InputError(f"{key}: found []; allowed: a list of numbers, each {range_of(key)}")
    check_choice("space.shape", config.space.shape, ("preset", "wide"))
    check_choice("space.readout", config.space.readout, DEPLOYABLE)
    _check_alignment(config)
    if config.space.shape == "wide" and config.training.size_is_chosen:
        raise InputError(
            f"space.shape: found wide; allowed: preset, because nas_model_size={config.training.nas_model_size} "
            "chooses how wide a network is"
        )
    if config.searches_outlines:
        _check_outlines(config)


def _check_outlines(config: Config) -> None:
    for name, values in vars(config.space.outline).items():
        if not values:
            raise InputError(f"space.outline.{name}: found []; allowed: a list of one value or more")
        if len(set(values)) < len(values):
            raise InputError(f"space.outline.{name}: a value stands twice in {values}; allowed: each once")
    for kind in config.space.outline.kind:
        check_choice("space.outline.kind", kind, CONVOLUTION_KINDS)
    for readout in config.space.outline.readout:
        check_choice("space.outline.readout", readout, DEPLOYABLE)
    if config.space.readout != "mean":
        raise InputError(
            f"space.readout: found {config.space.readout}; allowed: mean with nas_model_size=auto, which chooses from "
            "space.outline.readout"
        )
