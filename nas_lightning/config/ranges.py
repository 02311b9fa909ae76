"""The range of every number of the configuration.

A number is finite, whatever its key. An upper bound stands where a larger number takes memory or time without end, and
is far above what is of use; the largest size of the guide has 20 layers, 6 nodes and 8 initial channels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from nas_lightning.errors import InputError

_FE = "data_processing_feature_extraction"
_MOST_ROWS = 1 << 20  # of a frame: 4 MB a channel
_MOST_EPOCHS = 1_000_000
_MOST_STEPS = 1_000_000_000
_MOST_NETWORKS = 1000  # that one run trains: hours even of the smallest
_MOST_LAYERS, _MOST_CHANNELS = 200, 1024


@dataclass(frozen=True)
class Range:
    """What a number may be.

    Attributes:
        least: the smallest.
        most: the largest.
        above: whether ``least`` itself is too small.
        below: whether ``most`` itself is too large.
        choices: all numbers that are allowed, if they are few.
        is_nonzero: whether all but 0 are allowed.
        is_odd: whether even numbers are not allowed.
    """

    least: float = -math.inf
    most: float = math.inf
    above: bool = False
    below: bool = False
    choices: tuple[int, ...] = ()
    is_nonzero: bool = False
    is_odd: bool = False

    def __contains__(self, number: float) -> bool:
        if not math.isfinite(number) or (self.is_nonzero and number == 0) or (self.is_odd and number % 2 == 0):
            return False
        if self.choices:
            return number in self.choices
        is_low = number <= self.least if self.above else number < self.least
        is_high = number >= self.most if self.below else number > self.most
        return not is_low and not is_high

    def __str__(self) -> str:
        if self.choices:
            return (" or " if len(self.choices) == 2 else ", ").join(map(str, self.choices))
        if self.is_nonzero:
            return "a number other than 0"
        if self.is_odd:
            return f"odd numbers from {self.least:.0f} to {self.most:.0f}"
        if math.isinf(self.least):
            return "a finite number"
        least = f"more than {_shown(self.least)}" if self.above else _shown(self.least)
        if math.isinf(self.most):
            return least if self.above else f"{least} or more"
        most = f"less than {_shown(self.most)}" if self.below else _shown(self.most)
        return f"{least}{',' * self.above} {'up ' * self.above}to {most}"


def _shown(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


_POSITIVE = Range(0, above=True)
_SHARE = Range(0, 1, above=True)
_DECAY = Range(0, 1, below=True)
_EPOCHS = Range(1, _MOST_EPOCHS)
_TAPS = Range(1, 1023, is_odd=True)
_WINDOWS = Range(2, 1024)  # each is remembered on the device

RANGES: dict[str, Range] = {
    "seed": Range(0, 2**32 - 1),  # what NumPy takes
    "target_accuracy": _SHARE,
    "target_rounds": Range(1, 100),  # of a bisection, which ends by itself after some twenty
    "dataset.skip_rows": Range(0, 1_000_000),
    "device.clock_mhz": _POSITIVE,
    "device.flash_bytes": Range(1),
    "device.ram_bytes": Range(1),
    "run.max_minutes": Range(0, 100_000, above=True),
    "run.workers": Range(1, 1024),
    "run.max_memory_gb": _POSITIVE,
    "budget.params": Range(1),
    "budget.macs": Range(1),
    "budget.flash_bytes": Range(1),
    "budget.ram_bytes": Range(1),
    "budget.latency_ms": Range(0.001),
    "budget.fraction": _SHARE,
    "cost.weight_bits": Range(choices=(8, 16, 32)),
    "cost.activation_bits": Range(choices=(8, 16, 32)),
    "cost.code_bytes": Range(0),
    "cost.code_bytes_per_layer": Range(0),
    f"{_FE}.sampling_rate": _POSITIVE,
    f"{_FE}.new_sr": _POSITIVE,
    f"{_FE}.scale": Range(is_nonzero=True),
    f"{_FE}.frame_size": Range(1, _MOST_ROWS),
    f"{_FE}.stride_size": Range(0, 1000, above=True),
    f"{_FE}.feature_size_per_frame": Range(1, _MOST_ROWS),
    f"{_FE}.num_frame_concat": Range(1, 10_000),
    f"{_FE}.frame_skip": Range(1, _MOST_ROWS),
    f"{_FE}.min_bin": Range(0, _MOST_ROWS),
    f"{_FE}.analysis_bandwidth": Range(1, _MOST_ROWS),
    f"{_FE}.q15_scale_factor": Range(-15, 15),  # more shifts a 16-bit number away
    f"{_FE}.log_mul": Range(is_nonzero=True),  # 0 makes all features 0
    f"{_FE}.log_threshold": Range(0),
    f"{_FE}.fft_size": Range(2, 1 << 16),  # each frame is filled up to it
    f"{_FE}.kurt_chunk_size": Range(4, _MOST_ROWS),
    "training.training_epochs": _EPOCHS,
    "training.training_steps": Range(1, _MOST_STEPS),
    "training.patience": _SHARE,
    "training.batch_size": Range(1),
    "training.learning_rate": _POSITIVE,
    "training.norm_bias": Range(-100, 100),
    "training.label_smoothing": _DECAY,
    "training.average_decay": _DECAY,
    "training.clip_norm": _POSITIVE,
    "training.nas_epochs": _EPOCHS,
    "training.nas_steps": Range(1, _MOST_STEPS),
    "training.nas_layers": Range(3, _MOST_LAYERS),
    "training.nas_nodes_per_layer": Range(1, 16),  # 136 edges; the integer program grows with them
    "training.nas_init_channels": Range(1, _MOST_CHANNELS),
    "training.nas_init_channel_multiplier": Range(1, _MOST_CHANNELS),
    "training.nas_fanout_concat": Range(1, 16),
    "export.max_int8_drop": Range(0, 1),
    "export.calibration_samples": Range(1),
    "export.opset": Range(13, 24),  # export/opset.py
    "export.finetune.epochs": _EPOCHS,
    "export.finetune.steps": Range(1, _MOST_STEPS),
    "export.finetune.learning_rate": _POSITIVE,
    "selection.candidates": Range(1, _MOST_NETWORKS),
    "reject.false_accept": Range(0, 1, below=True),
    "reject.coverage": _SHARE,
    "postprocess.windows": _WINDOWS,
    "postprocess.auto_windows": _WINDOWS,
    "control.num_random": Range(0, _MOST_NETWORKS),
    "control.epochs": _EPOCHS,
    "space.post_reduction_stride": Range(choices=(1, 2)),
    "space.auto_params": Range(1),
    "space.auto_layers": Range(3, _MOST_LAYERS),
    "space.auto_init_channels": Range(1, _MOST_CHANNELS),
    "space.outline.first": _TAPS,
    "space.outline.decimation": Range(choices=(1, 2, 4)),
    "space.outline.depth": Range(1, 16),
    "space.outline.taps": _TAPS,
    "space.outline.stride": Range(choices=(1, 2, 4, 8, 16, 32, 64)),
    "space.outline.growth": Range(0.5, 2),  # to the power of the depth, as the dilation
    "space.outline.dilation": Range(1, 3),
    "space.outline.fill": _SHARE,
    "search.num_seeds": Range(1, _MOST_NETWORKS),
    "search.warmup": Range(0, 1),
    "search.partial_channels": Range(1, _MOST_CHANNELS),
    "search.clip_norm": _POSITIVE,
    "search.relaxation.start": Range(0),
    "search.relaxation.temperatures": _POSITIVE,
    "search.arch_step.baseline_decay": _DECAY,
    "search.derivation.num_steps": Range(0, 100_000),  # after each edge
    "search.derivation.num_samples": Range(1, 100_000),  # of which each is judged on all of val
    "search.derivation.learning_rate": _POSITIVE,
    "search.penalties.*.weight": Range(0),
    "search.regularisers.*.weight": Range(0),
    "search.weight_scheduler.T_max": _EPOCHS,
    "search.weight_scheduler.eta_min": Range(0),
    "search.*_optimizer.lr": _POSITIVE,
    "search.*_optimizer.momentum": _DECAY,
    "search.*_optimizer.betas": _DECAY,
    "search.*_optimizer.weight_decay": Range(0, 1000),
    "optimizer.lr": _POSITIVE,
    "optimizer.momentum": _DECAY,
    "optimizer.betas": _DECAY,
    "optimizer.weight_decay": Range(0, 1000),
    "scheduler.T_max": _EPOCHS,
    "scheduler.eta_min": Range(0),
    "scheduler.factor": _SHARE,
    "scheduler.epochs": _EPOCHS,
    "scheduler.warmup": _DECAY,
    "model.widths": Range(1, 4096),
    "model.kernel_size": Range(1, 1023),
    "trainer.log_every_n_steps": Range(1),
    "trainer.num_sanity_val_steps": Range(0),
    "trainer.limit_train_batches": _POSITIVE,
    "callbacks.*.every_n_epochs": Range(1),
}
"""By key; a star stands for any name. Of a list each number is meant."""

ANY = Range()
"""Of a number of which nothing is known here: the user brought its part along, or who takes it checks it."""


@cache
def range_of(key: str) -> Range:
    """The range of a key."""
    return next((found for pattern, found in RANGES.items() if fnmatchcase(key, pattern)), ANY)


def numbers(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of nested dictionaries and lists, by their dotted keys."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{prefix}{name}.")
            continue
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, int | float) and not isinstance(each, bool):
                yield prefix + name, each


def check_ranges(content: dict[str, Any], nullable: frozenset[str], left_out: frozenset[str]) -> None:
    """Refuse the first number out of its range.

    Args:
        content: the configuration.
        nullable: keys that may be null.
        left_out: keys that are not looked at.

    Raises:
        InputError: with the key, the number and the range.
    """
    for key, number in numbers(content):
        if key not in left_out and number not in (allowed := range_of(key)) and allowed != ANY:
            raise InputError(f"{key}: found {number}; allowed: {allowed}{', or null' * (key in nullable)}")
