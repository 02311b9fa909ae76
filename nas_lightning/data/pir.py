"""Features of passive infrared (PIR) frames, in floating and in fixed point, and the statistics they are made of.

A frame of 125 values (4 s at 31.25 Hz) gets 4 zeros before and 3 after it, and is cut into 25 windows of 32 values that
begin 4 apart; the last value lies in none of them. 25 features of a window, in this order:

==========  ============================================================================================
0 to 15     the magnitudes of the spectrum without its constant part, averaged down to 16; the window is
            repeated until it fills ``fft_size``, so that it has energy in every second bin only
16 to 19    excess kurtosis of its 4 chunks of 8 values
20          zero crossings
21          changes of the slope's sign
22, 23      the two strongest frequencies; in Hz, the stronger last, or in mHz, the stronger first
24          spectral entropy
==========  ============================================================================================

Windows, features and their order are those of TI's Tiny ML Tensorlab, whose names are PIR_FE and PIR_FE_Q15.

Shapes: ``...`` are any leading dimensions, kept.
"""

import torch
from torch import Tensor
from torch.nn import functional

from nas_lightning.data.fixed_point import FFT_SIZES, magnitude_q15, rfft_q15, shift_q15
from nas_lightning.errors import InputError

FRAME_SIZE, NUM_WINDOWS, NUM_FEATURES = 125, 25, 25

_PADDING, _WINDOW_SIZE, _HOP, _CHUNK_SIZE, _NUM_POOLED = (4, 3), 32, 4, 8, 16
_OFFSET, _BITS, _THOUSAND = 128, 7, 1000
_LOW, _HIGH = -(1 << 15), (1 << 15) - 1


def pir_features(x: Tensor, sampling_rate: float = 31.25, fft_size: int = 64) -> Tensor:
    """The features of frames in floating point: ``[..., 125]`` to ``[..., 25 windows, 25 features]``.

    Other than TI's PIR_FE, which gives NaN there: the entropy of a window of zeros is 0, as is the kurtosis of a chunk
    whose values differ by rounding only. Of equally strong frequencies the lower one is the stronger; there it depends
    on the sorting routine.

    Args:
        x: frames.
        sampling_rate: Hz.
        fft_size: points of the spectrum.

    Raises:
        InputError: for frames of another length, or an ``fft_size`` that is not a multiple of 32.
    """
    windows = _windows(x if x.is_floating_point() else x.float(), fft_size)
    magnitudes = torch.fft.rfft(_repeated(windows, fft_size)).abs()[..., 1:]
    features = (
        magnitudes.unflatten(-1, (_NUM_POOLED, -1)).mean(-1),
        kurtosis(windows, _CHUNK_SIZE),
        zero_crossing_rate(windows),
        slope_change_rate(windows),
        dominant_frequencies(windows, sampling_rate, fft_size),
        spectral_entropy(windows, fft_size),
    )
    return torch.cat(features, dim=-1)


def pir_features_q15(x: Tensor, sampling_rate: float = 31.25, fft_size: int = 64) -> Tensor:
    """The features of raw 8-bit frames in fixed point: ``[..., 125]`` to ``[..., 25 windows, 25 features] int16``.

    128 is taken off the values, which makes 0 their middle. Then, for each window:

    * spectrum: the window times 128 through ``rfft_q15`` and ``magnitude_q15``; the magnitudes times 128, saturated,
      and averaged with rounding to the nearest, halves to the even one
    * zero crossings, and changes of the slope's sign, times 1,000 and not divided by the number of values; a slope
      counts if it is steeper than 1, and is compared with the last one that counted (at first, with the first one)
    * the two strongest frequencies of that spectrum in mHz, rounded down; 0 if there is none; at most 32,767
    * kurtosis and entropy are 0: TI's fixed-point features have no value for them

    Other than TI's PIR_FE_Q15: there the magnitudes times 128 wrap around, the strongest frequencies are sought among
    what is left, a bin is ``sampling_rate / (fft_size + 2)`` wide, and a frequency is cut to whole Hz.

    Args:
        x: frames, 0 to 255; other values are rounded and, where int16 ends, saturated.
        sampling_rate: Hz.
        fft_size: points of the spectrum.

    Raises:
        InputError: for frames of another length, or an ``fft_size`` without a Q15 FFT.
    """
    if fft_size not in FFT_SIZES:
        raise InputError(
            f"PIR_FE_Q15: found fft_size {fft_size}; allowed: {', '.join(str(allowed) for allowed in FFT_SIZES)}"
        )
    values = (x.round() if x.is_floating_point() else x.to(torch.int64)) - _OFFSET
    windows = _windows(values.clamp(_LOW, _HIGH).to(torch.int16), fft_size)
    spectrum = rfft_q15(_repeated(shift_q15(windows, _BITS), fft_size))
    magnitudes = magnitude_q15(spectrum[..., : fft_size + 2])[..., 1:]
    pooled = shift_q15(magnitudes, _BITS).float().unflatten(-1, (_NUM_POOLED, -1)).mean(-1).round()
    bins = _strongest(magnitudes)
    millihertz = (bins * round(_THOUSAND * sampling_rate)).div(fft_size, rounding_mode="floor").clamp(max=_HIGH)
    features = (
        pooled.to(torch.int16),
        windows.new_zeros(*windows.shape[:-1], _WINDOW_SIZE // _CHUNK_SIZE),
        (_num_sign_changes(windows) * _THOUSAND).to(torch.int16),
        (_num_steep_changes(windows) * _THOUSAND).to(torch.int16),
        millihertz.to(torch.int16),
        windows.new_zeros(*windows.shape[:-1], 1),
    )
    return torch.cat(features, dim=-1)


def kurtosis(x: Tensor, chunk_size: int = _CHUNK_SIZE) -> Tensor:
    """Unbiased excess kurtosis of chunks: ``[..., N]`` to ``[..., N // chunk_size]``; 0 if a chunk does not vary.

    A rest shorter than a chunk is left out.

    Args:
        x: values.
        chunk_size: n, at least 4.
    """
    n = chunk_size
    chunks = x[..., : x.shape[-1] // n * n].unflatten(-1, (-1, n))
    mean = chunks.mean(-1, keepdim=True)
    variance, fourth = ((chunks - mean) ** 2).mean(-1), ((chunks - mean) ** 4).mean(-1)
    does_vary = variance > (torch.finfo(x.dtype).resolution * mean[..., 0]) ** 2
    unbiased = ((n**2 - 1) * fourth / variance**2 - 3 * (n - 1) ** 2) / ((n - 2) * (n - 3))
    return torch.where(does_vary, unbiased, 0.0)


def zero_crossing_rate(x: Tensor) -> Tensor:
    """Changes of sign per value, ``[..., N]`` to ``[..., 1]``; 0 is a sign of its own."""
    return _num_sign_changes(x).to(x.dtype) / x.shape[-1]


def slope_change_rate(x: Tensor) -> Tensor:
    """Changes of the slope's sign per slope, ``[..., N]`` to ``[..., 1]``; level is a sign of its own."""
    return _num_sign_changes(x.diff(dim=-1)).to(x.dtype) / (x.shape[-1] - 1)


def dominant_frequencies(x: Tensor, sampling_rate: float = 31.25, fft_size: int = 64) -> Tensor:
    """The two strongest frequencies but 0, in Hz, the stronger last: ``[..., N]`` to ``[..., 2]``.

    Args:
        x: values; zeros fill them up to ``fft_size``, what is beyond is left out.
        sampling_rate: Hz.
        fft_size: points of the spectrum.
    """
    magnitudes = torch.fft.rfft(x, n=fft_size).abs()[..., 1:]
    strongest = magnitudes.sort(dim=-1, descending=True, stable=True).indices[..., :2] + 1
    return (strongest.flip(-1) * (sampling_rate / fft_size)).to(x.dtype)


def spectral_entropy(x: Tensor, fft_size: int = 64) -> Tensor:
    """Entropy in nats of the power over frequency, taken as a distribution: ``[..., N]`` to ``[..., 1]``.

    Args:
        x: values; zeros fill them up to ``fft_size``, what is beyond is left out.
        fft_size: points of the spectrum.
    """
    power = torch.fft.rfft(x, n=fft_size).abs() ** 2
    total = power.sum(-1, keepdim=True)
    return torch.special.entr(power / torch.where(total > 0, total, 1.0)).sum(-1, keepdim=True)


def _windows(x: Tensor, fft_size: int) -> Tensor:
    """``[..., 125]`` to ``[..., 25, 32]``."""
    if x.shape[-1] != FRAME_SIZE:
        raise InputError(f"PIR_FE, PIR_FE_Q15: found frames of {x.shape[-1]} values; allowed: {FRAME_SIZE}")
    if fft_size < 1 or fft_size % _WINDOW_SIZE:
        raise InputError(f"PIR_FE, PIR_FE_Q15: found fft_size {fft_size}; allowed: multiples of {_WINDOW_SIZE}")
    return functional.pad(x, _PADDING).unfold(-1, _WINDOW_SIZE, _HOP)[..., :NUM_WINDOWS, :]


def _repeated(windows: Tensor, size: int) -> Tensor:
    return torch.cat([windows] * (size // _WINDOW_SIZE), dim=-1)


def _num_sign_changes(x: Tensor) -> Tensor:
    return (x.sign().diff(dim=-1) != 0).sum(-1, keepdim=True)


def _num_steep_changes(windows: Tensor) -> Tensor:
    """How often a slope steeper than 1 has another sign than the last such slope, or else than the first slope."""
    slopes = windows.to(torch.int32).diff(dim=-1)
    positions = torch.arange(slopes.shape[-1], device=slopes.device)
    last = torch.where(slopes.abs() > 1, positions, 0).cummax(dim=-1).values
    return (slopes.sign().gather(-1, last).diff(dim=-1) != 0).sum(-1, keepdim=True)


def _strongest(magnitudes: Tensor) -> Tensor:
    """The bins ``[..., 2]`` of the two largest magnitudes ``[..., bins from 1 on]``, the larger first; 0 if it is 0."""
    values, indices = magnitudes.sort(dim=-1, descending=True, stable=True)
    return torch.where(values[..., :2] > 0, indices[..., :2] + 1, 0)
