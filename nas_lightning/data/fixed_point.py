"""Q15 arithmetic: what CMSIS-DSP computes on a device, bit by bit, for whole batches.

A Q15 value is an int16 that stands for itself times 2^-15. The functions equal the portable C of CMSIS-DSP, as it is in
the Python package cmsisdsp 1.10.3 and runs on cores without DSP extension (Cortex-M0, M0+, M3); the code for the DSP
extension, Helium and Neon rounds differently. ``tests/numeric/cmsis_q15.npz`` holds what the C code gave.

Shapes: ``...`` are any leading dimensions, kept; all work runs over them at once.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_lightning.errors import InputError

FFT_SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
"""The lengths that CMSIS-DSP has a Q15 real FFT for."""

MAX_SHIFT = 15
"""Bits; beyond it nothing is left of a value."""

_LOW, _HIGH = -(1 << 15), (1 << 15) - 1


def to_q15(x: Tensor) -> Tensor:
    """``x * 2^15`` to the nearest int16, halves to the even one; ``[-1, 1)`` is what fits, the rest saturates.

    >>> to_q15(torch.tensor([0.5, 1.0, -1.5, 2.5 / 32768]))
    tensor([ 16384,  32767, -32768,      2], dtype=torch.int16)
    """
    return (x * (1 << 15)).round().clamp(_LOW, _HIGH).to(torch.int16)


def shift_q15(x: Tensor, bits: int) -> Tensor:
    """``arm_shift_q15``: ``x [...] int16`` times ``2^bits``, saturated; a negative number of bits rounds down.

    >>> shift_q15(torch.tensor([3, -3, 20000], dtype=torch.int16), 1)
    tensor([    6,    -6, 32767], dtype=torch.int16)

    Raises:
        InputError: for more than ``MAX_SHIFT`` bits.
    """
    if abs(bits) > MAX_SHIFT:
        raise InputError(f"Q15_SCALE: found a shift by {bits} bits; allowed: -{MAX_SHIFT} to {MAX_SHIFT}")
    if bits < 0:
        return x >> -bits
    return (x.to(torch.int32) << bits).clamp(_LOW, _HIGH).to(torch.int16)


def rfft_q15(x: Tensor) -> Tensor:
    """``arm_rfft_q15``, forward: ``[..., N] int16`` to ``[..., 2 N] int16``, real and imaginary parts in turn.

    The result is the discrete Fourier transform divided by N (Q15 in, Q(15 - log2 N) out), each stage rounding down.
    All N bins are there, those above N / 2 as the conjugates of those below.

    Raises:
        InputError: if N is not one of ``FFT_SIZES``.
    """
    size = x.shape[-1]
    if size not in FFT_SIZES:
        raise InputError(
            f"FFT_Q15: found frames of {size} values; allowed: {', '.join(str(allowed) for allowed in FFT_SIZES)}"
        )
    # Frames side by side in the last dimension: every stage then works on contiguous rows, whatever its stride.
    values = x.reshape(-1, size).t().to(torch.int32).contiguous()
    spectrum = _split(_cfft(values.unflatten(0, (-1, 2)).transpose(0, 1)))
    return spectrum.t().reshape(*x.shape[:-1], 2 * size)


def magnitude_q15(x: Tensor) -> Tensor:
    """``arm_cmplx_mag_q15``: ``[..., 2 M] int16``, real and imaginary parts in turn, to ``[..., M] int16``.

    The result has half the scale of the input (Q14 where that is Q15), so that the magnitude of -1 - 1j fits.
    """
    pairs = x.to(torch.int64).unflatten(-1, (-1, 2))
    return (_sqrt_q31((pairs**2).sum(-1) >> 1) >> 16).to(torch.int16)


def bin_q15(x: Tensor, num_bins: int, width: int, offset: int) -> Tensor:
    """Means of ``num_bins`` neighbouring groups of ``width`` values, rounded down: ``[..., M]`` to ``[..., num_bins]``.

    The first group begins at ``offset``. What a group lacks beyond the last value counts as zeros: its sum is divided
    by ``width`` all the same.

    >>> bin_q15(torch.tensor([9, 1, 2, -1, -2, 8], dtype=torch.int16), num_bins=3, width=2, offset=1)
    tensor([ 1, -2,  4], dtype=torch.int16)
    """
    stop = offset + num_bins * width
    padded = F.pad(x, (0, max(0, stop - x.shape[-1])))
    sums = padded[..., offset:stop].unflatten(-1, (num_bins, width)).sum(-1)
    return sums.div(width, rounding_mode="floor").to(torch.int16)


@lru_cache
def twiddles(size: int) -> Tensor:
    """``twiddleCoef_{size}_q15`` ``[3 size / 4, 2]``: cosine and sine of ``2 pi i / size``."""
    angles = torch.arange(3 * size // 4, dtype=torch.float64) * (2 * math.pi / size)
    values = torch.stack([angles.cos(), angles.sin()], dim=1) * (1 << 15)
    # Not to the nearest, as the comments of the library say: its tables are rounded down.
    return values.floor().clamp(_LOW, _HIGH).to(torch.int32)


@lru_cache
def split_coefficients(size: int) -> Tensor:
    """Every ``8192 / size``-th of ``realCoefAQ15`` and ``realCoefBQ15`` ``[2, size / 2, 2]``: real, imaginary."""
    angles = torch.arange(size // 2, dtype=torch.float64) * (2 * math.pi / size)
    sine, cosine = angles.sin() / 2, angles.cos() / 2
    tables = torch.stack([0.5 - sine, -cosine, 0.5 + sine, cosine]).unflatten(0, (2, 2)).transpose(1, 2)
    return (tables * (1 << 15)).round().clamp(_LOW, _HIGH).to(torch.int32)


@lru_cache
def sqrt_start_values() -> Tensor:
    """``sqrt_initial_lut_q31`` ``[24]``: ``1 / sqrt(v)`` in Q28 for v = 8/32, 9/32 ... 31/32."""
    return ((1 << 28) / (torch.arange(8, 32, dtype=torch.float64) / 32).sqrt()).round().to(torch.int64)


def _cfft(z: Tensor) -> Tensor:
    """``arm_cfft_q15``: ``z [2, L, R] int32``, real and imaginary parts of R signals, to their transform over L."""
    size = z.shape[1]
    is_power_of_4 = size.bit_length() % 2 == 1
    groups = z.unsqueeze(1) if is_power_of_4 else _radix_2(z)
    groups = _radix_4_first(groups)
    while groups.shape[2] > 4:
        groups = _radix_4_middle(groups)
    transform = _radix_4_last(groups).flatten(1, 2).index_select(1, _reversed_bits(size).to(z.device))
    return transform if is_power_of_4 else _wrap(transform << 1)


def _radix_2(z: Tensor) -> Tensor:
    """One transform ``[2, L, R]`` to two of half the length, ``[2, 2, L / 2, R]``; divides by 4."""
    low, high = (z >> 1).chunk(2, dim=1)
    cos, sin = _factors(z, 1, low.shape[1])
    real, imag = low - high
    # Each product is cut on its own, other than in the radix-4 stages.
    turned = torch.stack([(real * cos >> 16) + (imag * sin >> 16), (imag * cos >> 16) - (real * sin >> 16)])
    return torch.stack([(low + high) >> 1, turned], dim=1)


def _radix_4_first(z: Tensor) -> Tensor:
    """Transforms ``[2, G, n, R]`` to ``[2, 4 G, n / 4, R]``; divides by 8."""
    # Quarters of int16 values: no sum of four of them leaves int16, so nothing saturates.
    a, b, c, d = (z >> 2).chunk(4, dim=2)
    even, odd, difference, cross = a + c, b + d, a - c, _minus_i(b - d)
    parts = ((even >> 1) + (odd >> 1), even - odd, difference + cross, difference - cross)
    return _turn(z, *parts)


def _radix_4_middle(z: Tensor) -> Tensor:
    """Transforms ``[2, G, n, R]`` to ``[2, 4 G, n / 4, R]``; divides by 4."""
    total, *others = _radix_4_halves(z)
    return _turn(z, total >> 1, *others)


def _radix_4_last(z: Tensor) -> Tensor:
    """Transforms ``[2, G, 4, R]`` to ``[2, 4 G, 1, R]``; divides by 2."""
    return torch.stack(_radix_4_halves(z), dim=2).flatten(1, 2)


def _radix_4_halves(z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Half the butterfly of the four quarters of ``[2, G, n, R]``, outputs 0, 2, 1, 3, before the factors."""
    a, b, c, d = z.chunk(4, dim=2)
    even, odd, difference = _saturate(a + c) >> 1, _saturate(b + d) >> 1, _saturate(a - c) >> 1
    # Halved before it is turned: a right shift after the change of sign would round the other way.
    cross = _minus_i(_saturate(b - d) >> 1)
    return even + odd, even - odd, difference + cross, difference - cross


def _turn(z: Tensor, part_0: Tensor, part_2: Tensor, part_1: Tensor, part_3: Tensor) -> Tensor:
    """Parts ``[2, G, n / 4, R]`` of ``z [2, G, n, R]`` times their twiddle factors, as ``[2, 4 G, n / 4, R]``."""
    turned = [part_0]
    for exponent, (real, imag) in ((2, part_2), (1, part_1), (3, part_3)):
        cos, sin = _factors(z, exponent, part_0.shape[2])
        turned.append(torch.stack([real * cos + imag * sin, imag * cos - real * sin]) >> 16)
    return torch.stack(turned, dim=2).flatten(1, 2)


def _factors(z: Tensor, exponent: int, count: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine ``[count, 1]`` of ``2 pi exponent i / n`` for i below ``count``; n is the length of ``z``."""
    table = twiddles(z.shape[-2])[: exponent * count : exponent].to(z.device)
    return table[:, :1], table[:, 1:]


def _minus_i(z: Tensor) -> Tensor:
    """``-i z``, parts in the first dimension."""
    return torch.stack([z[1], -z[0]])


def _split(z: Tensor) -> Tensor:
    """``arm_split_rfft_q15``: the transform ``[2, N / 2, R]`` of pairs of values to the spectrum ``[2 N, R] int16``."""
    half, num_signals = z.shape[1:]
    first, second = split_coefficients(2 * half)[:, 1:, :, None].to(z.device)
    (real, imag), (mirrored_real, mirrored_imag) = z[:, 1:], z[:, 1:].flip(1)
    out_real = real * first[:, 0] - imag * first[:, 1] + mirrored_real * second[:, 0] + mirrored_imag * second[:, 1]
    out_imag = real * first[:, 1] + imag * first[:, 0] + mirrored_real * second[:, 1] - mirrored_imag * second[:, 0]
    spectrum = torch.zeros(2 * half, 2, num_signals, dtype=torch.int16, device=z.device)
    spectrum[0, 0], spectrum[half, 0] = (z[0, 0] + z[1, 0]) >> 1, (z[0, 0] - z[1, 0]) >> 1
    spectrum[1:half, 0], spectrum[1:half, 1] = out_real >> 16, out_imag >> 16
    spectrum[half + 1 :, 0], spectrum[half + 1 :, 1] = (out_real >> 16).flip(0), -(out_imag >> 16).flip(0)
    return spectrum.flatten(0, 1)


def _sqrt_q31(x: Tensor) -> Tensor:
    """``arm_sqrt_q31`` of ``[...] int64`` from 0 to 2^31 - 1; for 0 the root of 1, whose upper 16 bits are 0 too."""
    # 0 has no leading bit that could be shifted to the front.
    number = x.clamp(min=1)
    _, bits = torch.frexp(number.double())
    shift = (31 - bits.long()) & ~1
    number = number << shift
    root = sqrt_start_values().to(x.device)[(number >> 26) - 8]
    for _ in range(3):
        error = (number * (root * root >> 28)) >> 31
        root = root * ((3 << 28) - error) >> 29
    return number * root >> 28 >> (shift >> 1)


@lru_cache
def _reversed_bits(size: int) -> Tensor:
    """The numbers below ``size`` with their bits in reverse order."""
    width = size.bit_length() - 1
    return torch.tensor([int(f"{index:0{width}b}"[::-1], 2) for index in range(size)])


def _saturate(x: Tensor) -> Tensor:
    return x.clamp(_LOW, _HIGH)


def _wrap(x: Tensor) -> Tensor:
    """What is left of int32 values in an int16."""
    return x.to(torch.int16).to(torch.int32)
