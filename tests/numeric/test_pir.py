"""PIR features against plain loops over windows: NumPy and SciPy in floating point, whole numbers in fixed point."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from nas_lightning.data.fixed_point import magnitude_q15, rfft_q15
from nas_lightning.data.pir import (
    dominant_frequencies,
    kurtosis,
    pir_features,
    pir_features_q15,
    slope_change_rate,
    spectral_entropy,
    zero_crossing_rate,
)
from nas_lightning.errors import InputError

SIZES = [32, 64, 128]


def windows_of(frame):
    padded = [0] * 4 + list(frame) + [0] * 3
    return [np.array(padded[start : start + 32]) for start in range(0, 100, 4)]


def features_of(window, rate, size):
    pool = size // 32
    repeated = np.array([window[index % 32] for index in range(size)])
    magnitudes = np.abs(np.fft.fft(repeated))
    found = [magnitudes[1 + pool * index : 1 + pool * (index + 1)].mean() for index in range(16)]
    found += [scipy.stats.kurtosis(window[8 * chunk : 8 * chunk + 8], bias=False) for chunk in range(4)]
    signs = np.sign(window)
    found.append(sum(signs[index] != signs[index + 1] for index in range(31)) / 32)
    slopes = np.sign(np.diff(window))
    found.append(sum(slopes[index] != slopes[index + 1] for index in range(30)) / 31)
    half = np.abs(np.fft.fft(window, size))[: size // 2 + 1]
    ranked = sorted(range(1, size // 2 + 1), key=lambda index: half[index])
    found += [ranked[-2] * rate / size, ranked[-1] * rate / size]
    found.append(scipy.stats.entropy(half**2))
    return found


def frames(seed, count):
    rng, steps = np.random.default_rng(seed), np.arange(125)
    noise = rng.normal(0, rng.uniform(0.1, 50, (count, 1)), (count, 125))
    return noise + rng.uniform(0, 100, (count, 1)) * np.sin(steps * rng.uniform(0.05, 3, (count, 1)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rate", [31.25, 33.0])
def test_features_are_those_of_the_loop(size, rate):
    x = frames(size, 6)
    expected = np.array([[features_of(window, rate, size) for window in windows_of(frame)] for frame in x])
    found = pir_features(torch.from_numpy(x).reshape(2, 3, 125), sampling_rate=rate, fft_size=size)
    assert found.shape == (2, 3, 25, 25)
    np.testing.assert_allclose(found.flatten(0, 1), expected, rtol=1e-9, atol=1e-9)
    single = pir_features(torch.from_numpy(x).float(), sampling_rate=rate, fft_size=size)
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single, expected, rtol=2e-4, atol=2e-3)


def test_the_last_value_of_a_frame_is_in_no_window():
    x = torch.from_numpy(frames(3, 1))
    changed = x.clone()
    changed[:, 124] += 100
    assert torch.equal(pir_features(x), pir_features(changed))
    changed[:, 123] += 100
    assert not torch.equal(pir_features(x)[:, 24], pir_features(changed)[:, 24])
    assert torch.equal(pir_features(x)[:, :24], pir_features(changed)[:, :24])


@pytest.mark.parametrize("value", [0.0, 0.1, 128.0, 1e6])
def test_constant_frames_give_numbers(value):
    found = pir_features(torch.full((2, 125), value))
    assert torch.isfinite(found).all()
    assert (found[:, 1:, 16:20] == 0).all()
    assert (found[:, 1:, 20:22] == 0).all()
    if value == 0:
        assert (found[..., :22] == 0).all()
        assert (found[..., 24] == 0).all()


def test_a_sine_is_the_strongest_frequency():
    seconds = torch.arange(125) / 31.25
    found = pir_features(torch.sin(2 * math.pi * 31.25 / 8 * seconds))
    assert (found[2:, 23] == 31.25 / 8).all()
    # Bin 8 of 64 is in the group of the bins 7 and 8; the repeated window has twice its 16.
    np.testing.assert_allclose(found[2:, 3], 16.0, atol=1e-3)


def test_statistics_of_whole_frames():
    x = torch.tensor([[1.0, -2.0, 0.0, 0.0, 3.0, 4.0, 4.0, -1.0]], dtype=torch.float64)
    assert zero_crossing_rate(x).tolist() == [[4 / 8]]
    assert slope_change_rate(x).tolist() == [[5 / 7]]
    expected = [[scipy.stats.kurtosis(x[0, :4], bias=False), scipy.stats.kurtosis(x[0, 4:], bias=False)]]
    np.testing.assert_allclose(kurtosis(x, 4), expected, rtol=1e-12)
    np.testing.assert_allclose(kurtosis(x, 5), [[scipy.stats.kurtosis(x[0, :5], bias=False)]], rtol=1e-12)
    impulse = torch.zeros(3, 2, 16)
    impulse[..., 0] = 5
    np.testing.assert_allclose(spectral_entropy(impulse, 64), np.full((3, 2, 1), math.log(33)), rtol=1e-6)
    tones = torch.arange(64) * 2 * math.pi / 64
    found = dominant_frequencies(2 * torch.sin(5 * tones) + torch.sin(9 * tones), sampling_rate=64.0, fft_size=64)
    assert found.tolist() == [9.0, 5.0]


def features_q15_of(window, rate, size):
    window = window.tolist()
    scaled = [max(-32768, min(32767, value * 128)) for value in window]
    repeated = torch.tensor([scaled[index % 32] for index in range(size)], dtype=torch.int16)
    magnitudes = magnitude_q15(rfft_q15(repeated)).tolist()[: size // 2 + 1]
    pool = size // 32
    found = []
    for index in range(16):
        group = [min(32767, 128 * value) for value in magnitudes[1 + pool * index : 1 + pool * (index + 1)]]
        found.append(round(sum(group) / pool))
    found += [0] * 4
    signs = [(value > 0) - (value < 0) for value in window]
    found.append(1000 * sum(signs[index] != signs[index + 1] for index in range(31)))
    slopes = [window[index + 1] - window[index] for index in range(31)]
    last, changes = (slopes[0] > 0) - (slopes[0] < 0), 0
    for slope in slopes[1:]:
        sign = (slope > 0) - (slope < 0)
        if abs(slope) > 1 and sign != last:
            last, changes = sign, changes + 1
    found.append(1000 * changes)
    first = second = 0
    for index in range(1, size // 2 + 1):
        value = magnitudes[index]
        if value > (magnitudes[first] if first else 0):
            first, second = index, first
        elif value > (magnitudes[second] if second else 0):
            second = index
    millihertz = round(1000 * rate)
    found += [min(32767, first * millihertz // size), min(32767, second * millihertz // size)]
    return [*found, 0]


def raw_frames(seed, count):
    rng = np.random.default_rng(seed)
    waves = frames(seed, count) * rng.uniform(0, 1, (count, 1)) + 128
    x = np.clip(np.rint(waves), 0, 255)
    x[0], x[1] = 128, 255 * rng.integers(0, 2, 125)
    x[2] = 128 + rng.integers(-1, 2, 125)
    return x


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rate", [31.25, 100.0])
def test_fixed_point_features_are_those_of_the_loop(size, rate):
    x = raw_frames(size, 8)
    expected = [[features_q15_of(window, rate, size) for window in windows_of(frame.astype(int) - 128)] for frame in x]
    found = pir_features_q15(torch.from_numpy(x).reshape(2, 4, 125), sampling_rate=rate, fft_size=size)
    assert found.dtype == torch.int16
    assert np.array_equal(found.flatten(0, 1), expected)
    for kind in (torch.uint8, torch.int16, torch.float32):
        assert torch.equal(pir_features_q15(torch.from_numpy(x).to(kind), rate, size), found.flatten(0, 1))


def test_fixed_point_spectrum_is_near_that_in_floating_point():
    """Within 5 units of the magnitude, for a signal so small that nothing saturates.

    The factor is 128 of the input, 1/64 of the FFT, 1/2 of the magnitude and 128 of the output.
    """
    x = torch.from_numpy(np.rint(6 * np.sin(np.arange(125) * 0.7)) + 128)
    fixed, floating = pir_features_q15(x).double(), pir_features(x - 128)
    assert (fixed[:, :16] - 128 * floating[:, :16]).abs().max() < 5 * 128
    assert fixed[:, :16].max() > 5000


def test_values_beyond_8_bits_saturate():
    x = torch.full((125,), 1e9)
    assert torch.equal(pir_features_q15(x), pir_features_q15(torch.full((125,), 500)))


@pytest.mark.parametrize("features", [pir_features, pir_features_q15])
def test_other_frames_are_refused(features):
    with pytest.raises(InputError, match=r"found frames of 128 values; allowed: 125"):
        features(torch.zeros(2, 128))
    with pytest.raises(InputError, match=r"found fft_size 48; allowed: "):
        features(torch.zeros(2, 125), fft_size=48)
