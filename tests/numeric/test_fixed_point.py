"""Q15 arithmetic against what CMSIS-DSP's C gave (``tests/numeric/golden_q15.py`` made the file), value by value."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_lightning.data.fixed_point import (
    FFT_SIZES,
    bin_q15,
    magnitude_q15,
    rfft_q15,
    shift_q15,
    split_coefficients,
    sqrt_start_values,
    to_q15,
    twiddles,
)
from nas_lightning.errors import InputError

with np.load(Path(__file__).with_name("cmsis_q15.npz"), allow_pickle=False) as arrays:
    GOLDEN = dict(arrays)


def digest(values):
    return np.frombuffer(hashlib.sha256(values.numpy().astype("<i2").tobytes()).digest(), np.uint8)


def int16(values):
    return torch.tensor(values, dtype=torch.int16)


@pytest.mark.parametrize("size", [16, 32, 64, 128, 256, 512, 1024, 2048, 4096])
def test_twiddle_factors_are_those_of_the_library(size):
    assert np.array_equal(digest(twiddles(size)), GOLDEN[f"twiddles_{size}_sha256"])


def test_other_tables_are_those_of_the_library():
    first, second = split_coefficients(8192)
    assert np.array_equal(digest(first), GOLDEN["realCoefAQ15_sha256"])
    assert np.array_equal(digest(second), GOLDEN["realCoefBQ15_sha256"])
    assert np.array_equal(sqrt_start_values(), GOLDEN["sqrt_start_values"])


@pytest.mark.parametrize("size", FFT_SIZES)
def test_coefficients_of_a_shorter_fft_are_every_nth_of_the_table(size):
    assert torch.equal(split_coefficients(size), split_coefficients(8192)[:, :: 8192 // size])


@pytest.mark.parametrize("size", FFT_SIZES)
def test_spectrum_is_that_of_the_library(size):
    found = rfft_q15(torch.from_numpy(GOLDEN["inputs"][:, :size]))
    if f"rfft_{size}" in GOLDEN:
        assert np.array_equal(found, GOLDEN[f"rfft_{size}"])
    assert np.array_equal(digest(found), GOLDEN[f"rfft_{size}_sha256"])


@pytest.mark.parametrize("size", FFT_SIZES)
def test_spectrum_is_the_transform_divided_by_the_length(size):
    """Within 15 units, of which each stage's rounding down takes some; -0.5 on average."""
    x = (10000 * torch.sin(torch.arange(8 * size) * 0.17)).round().to(torch.int16).reshape(8, size)
    exact = torch.view_as_real(torch.fft.fft(x.double()) / size).flatten(1)
    error = rfft_q15(x) - exact
    assert error.abs().max() < 15
    assert -0.7 < error.mean() < -0.2


def test_leading_dimensions_are_kept():
    x = torch.from_numpy(GOLDEN["inputs"][:, :128])
    assert torch.equal(rfft_q15(x[:12].reshape(3, 2, 2, 128)), rfft_q15(x[:12]).reshape(3, 2, 2, 256))
    assert torch.equal(rfft_q15(x[4]), rfft_q15(x)[4])
    assert rfft_q15(x[:0]).shape == (0, 256)
    assert rfft_q15(x[:, None].expand(-1, 2, -1)).shape == (13, 2, 256)


def test_input_stays_as_it_is():
    x = torch.from_numpy(GOLDEN["inputs"][:, :64]).clone()
    before = x.clone()
    magnitude_q15(shift_q15(rfft_q15(x), 4))
    assert torch.equal(x, before)


@pytest.mark.parametrize("size", [0, 16, 100, 16384])
def test_other_lengths_are_refused(size):
    with pytest.raises(InputError, match=rf"FFT_Q15: found frames of {size} values; allowed: 32, 64, .*8192$"):
        rfft_q15(torch.zeros(2, size, dtype=torch.int16))


def test_magnitude_is_that_of_the_library():
    assert np.array_equal(magnitude_q15(torch.from_numpy(GOLDEN["pairs"]))[:, 0], GOLDEN["magnitudes"])


def test_magnitude_is_half_of_the_exact_one():
    """Rounded down, and by one more where the root ends just below a whole number."""
    pairs = GOLDEN["pairs"].astype(float)
    exact = np.hypot(pairs[:, 0], pairs[:, 1]) / 2
    found = magnitude_q15(torch.from_numpy(GOLDEN["pairs"])).numpy()[:, 0]
    assert -1.01 < (found - exact).min() < -0.9
    assert (found - exact).max() <= 0


@pytest.mark.parametrize("bits", range(-15, 16))
def test_shift_is_that_of_the_library(bits):
    assert np.array_equal(shift_q15(torch.from_numpy(GOLDEN["edges"]), bits), GOLDEN["shifts"][bits + 15])


@pytest.mark.parametrize("bits", [-16, 16, 40])
def test_shifts_beyond_the_word_are_refused(bits):
    with pytest.raises(InputError, match=f"found a shift by {bits} bits; allowed: -15 to 15"):
        shift_q15(int16([1]), bits)


@pytest.mark.parametrize(("size", "bits", "num_bins"), [(1024, 4, 128), (512, 5, 32), (256, 5, 16), (256, 5, 8)])
@pytest.mark.parametrize("offset", [0, 1])
def test_steps_of_the_presets_give_what_the_library_gives(size, bits, num_bins, offset):
    x = torch.from_numpy(GOLDEN["inputs"][:, :size])
    magnitudes = magnitude_q15(shift_q15(rfft_q15(x), bits)[..., : size + 2])[..., 1:]
    found = bin_q15(magnitudes, num_bins, size // 2 // num_bins, offset)
    assert found.dtype == torch.int16
    assert np.array_equal(found, GOLDEN[f"preset_{size}_{bits}_{num_bins}_{offset}"])
    assert found.abs().max() > 1000


def test_bins_are_means_rounded_down():
    x = int16([[9, 1, 2, -1, -2, 8], [0, 32767, 32767, -32768, -32768, -1]])
    assert bin_q15(x, num_bins=2, width=2, offset=1).tolist() == [[1, -2], [32767, -32768]]
    assert bin_q15(x, num_bins=3, width=2, offset=1).tolist() == [[1, -2, 4], [32767, -32768, -1]]
    assert bin_q15(x, num_bins=4, width=2, offset=1)[:, 3].tolist() == [0, 0]
    assert bin_q15(x, num_bins=1, width=3, offset=0).tolist() == [[4], [21844]]


def test_to_q15_rounds_halves_to_even_and_saturates():
    values = np.array([0.0, 0.25, -1.0, 1.0, 0.99999, -1.5, 3.0, 0.5 / 32768, 1.5 / 32768, -2.5 / 32768, 1e-6])
    expected = np.clip(np.round(values * 32768), -32768, 32767).astype(np.int16)
    for kind in (torch.float32, torch.float64):
        found = to_q15(torch.tensor(values, dtype=kind))
        assert found.dtype == torch.int16
        assert np.array_equal(found, expected)
