"""Arithmetic of the front end in floating point: spectra, their groups and logarithms."""

import math

import torch
from torch import Tensor

LEAST_THRESHOLD = 1e-30  # far above the numbers that float32 hardware takes for 0


def remove_mean(x: Tensor) -> Tensor:
    """``x - mean(x)`` of each frame."""
    return x - x.mean(-1, keepdim=True)


def to_int16(x: Tensor) -> Tensor:
    """Whole numbers as they are, others rounded; beyond int16 the nearest value it holds."""
    return x.round().clamp(-32768, 32767).to(torch.int16) if x.dtype != torch.int16 else x


def dft_matrices(size: int, bins: int) -> tuple[Tensor, Tensor]:
    """Cosine and minus sine, each ``[size, bins]``: a discrete Fourier transform as a product."""
    angles = torch.arange(size)[:, None] * torch.arange(bins)[None] % size * (2 * math.pi / size)
    return torch.cos(angles.double()).float(), -torch.sin(angles.double()).float()


def magnitude(x: Tensor) -> Tensor:
    """``[..., 2, M]`` real and imaginary parts to ``[..., M]``."""
    return torch.sqrt(x[..., 0, :] ** 2 + x[..., 1, :] ** 2)


def group_bins(num_groups: int, width: int, first: int, is_mean: bool, x: Tensor) -> Tensor:
    """Sums or means of ``num_groups`` neighbouring groups of ``width`` values, from the value ``first`` on."""
    groups = x[..., first : first + num_groups * width].unflatten(-1, (num_groups, width)).sum(-1)
    return groups / width if is_mean else groups


def log_db(mul: float, base: float | str, threshold: float, x: Tensor) -> Tensor:
    """``mul * log_base(threshold + x)``."""
    factor = mul if base == "e" else mul / math.log(float(base))
    # The second threshold repeats the first: exporters take the addition of a small number for one of 0, and drop it.
    return factor * torch.log((x + threshold).clamp(min=max(threshold, LEAST_THRESHOLD)))
