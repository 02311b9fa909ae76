"""Which implementation of the heavy operations runs: compiled kernels where they can, plain PyTorch elsewhere."""

import logging
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from nas_lightning.kernels import native_ops, torch_ops
from nas_lightning.kernels.build import why_not_native

log = logging.getLogger("nas_lightning")

KERNELS = ("auto", "native", "torch")
"""``auto``: native if it can be built here, else torch."""


def implementation(kernels: str, x: Tensor) -> ModuleType:
    """The module with ``mixture`` and ``fold_batch_norm`` for a tensor like x.

    Args:
        kernels: one of ``KERNELS``; native kernels serve float32 and float64 on the CPU, all else is left to PyTorch.
        x: decides by its device and type.

    Raises:
        BuildError: for ``native`` where the kernels cannot be built.
    """
    fits = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
    if kernels == "torch" or not fits or (kernels == "auto" and why_not_native() is not None):
        return torch_ops
    return native_ops


def describe(kernels: str, device: torch.device) -> str:
    """What ``kernels`` means on a device, for the log."""
    if device.type != "cpu":
        return f"torch kernels on {device}"
    reason = why_not_native() if kernels == "auto" else None
    if kernels == "torch" or reason is not None:
        return "torch kernels" + (f", several times slower than native ones: {reason}" if reason else "")
    return "native kernels"


def warn_if_slow(kernels: str, device: torch.device) -> None:
    """Warn, once in a process, where ``auto`` finds no compiled kernels on a CPU."""
    if kernels == "auto" and device.type == "cpu" and (reason := why_not_native()) is not None:
        _warn(reason)


@cache
def _warn(reason: str) -> None:
    log.warning("kernels: PyTorch computes, several times slower than compiled kernels, because %s", reason)
