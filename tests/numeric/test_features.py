"""The chains of the presets against NumPy, written from the table of steps with plain loops."""

import numpy as np
import pytest
import torch
from scipy.signal import get_window

from nas_lightning.config.compose import compose_config
from nas_lightning.data import fixed_point
from nas_lightning.data.features import FrontEnd
from nas_lightning.errors import InputError
from nas_lightning.runs.build import build_data


def front_end_of(name):
    return build_data(compose_config([f"features={name}"])).front_end


def samples(rows, channels=1, count=2, seed=0):
    random = np.random.default_rng(seed)
    tone = np.sin(2 * np.pi * np.cumsum(random.uniform(0.01, 0.3, (count, channels, 1)) * np.ones(rows), axis=-1))
    return 3 + tone + 0.3 * random.standard_normal((count, channels, rows))


def by_hand(x, size, frame):
    """Frames of each channel in order, each through ``frame``, joined."""
    return np.array([[np.concatenate([frame(c[i : i + size]) for i in range(0, len(c), size)]) for c in s] for s in x])


def bins_of(spectrum, groups, width, first):
    return np.array([spectrum[first + i * width : first + (i + 1) * width].sum() for i in range(groups)])


CHAIN_A = {  # frame size, groups, width, first bin
    "FFT1024Input_256Feature_1Frame_Full_Bandwidth": (1024, 256, 2, 1),
    "FFT1024Input_256Feature_1Frame_Half_Bandwidth": (1024, 256, 1, 122),
    "FFT1024Input_64Feature_4Frame_Half_Bandwidth": (1024, 64, 4, 1),
    "FFT1024Input_32Feature_8Frame_Quarter_Bandwidth": (1024, 32, 4, 1),
}


@pytest.mark.parametrize("name", CHAIN_A)
def test_windowed_spectra_in_natural_logarithm(name):
    size, groups, width, first = CHAIN_A[name]
    front_end = front_end_of(name)
    x = samples(front_end.rows)

    def frame(values):
        spectrum = np.abs(np.fft.fft(values * get_window("hann", size, fftbins=False)) / size)[: size // 2 + 1]
        return 10 * np.log(1e-12 + bins_of(spectrum, groups, width, first))

    np.testing.assert_allclose(front_end(torch.tensor(x).float()), by_hand(x, size, frame), rtol=1e-4, atol=2e-3)


CHAIN_B = {
    "Generic_1024Input_FFTBIN_64Feature_8Frame": (1024, 64, 8),
    "Generic_512Input_FFTBIN_32Feature_8Frame": (512, 32, 8),
    "Generic_32Input_FFTBIN_4Feature_8Frame": (32, 4, 4),
    "Input256_FFTBIN_16Feature_8Frame_3InputChannel_removeDC_2D1": (256, 16, 8),
}


@pytest.mark.parametrize("name", CHAIN_B)
def test_grouped_spectra_in_decibel(name):
    size, groups, width = CHAIN_B[name]
    front_end = front_end_of(name)
    x = samples(front_end.rows, 3 if "3Input" in name else 1)

    def frame(values):
        return 20 * np.log10(bins_of(np.abs(np.fft.rfft(values)), groups, width, 1) / width)

    np.testing.assert_allclose(front_end(torch.tensor(x).float()), by_hand(x, size, frame), rtol=1e-4, atol=2e-3)


def test_channels_can_be_laid_end_to_end():
    beside, end_to_end = (
        front_end_of(f"Input256_FFTBIN_16Feature_8Frame_3InputChannel_removeDC_{stacking}")
        for stacking in ("2D1", "1D")
    )
    x = torch.tensor(samples(2048, 3)).float()
    assert torch.equal(end_to_end(x)[:, 0], beside(x).flatten(1))


def test_a_spectrum_without_groups():
    front_end = front_end_of("Generic_256Input_FFT_128Feature_1Frame")
    x = samples(256)
    expected = by_hand(x, 256, lambda v: 20 * np.log10(np.abs(np.fft.rfft(v))[1:]))
    np.testing.assert_allclose(front_end(torch.tensor(x).float()), expected, rtol=1e-4, atol=2e-3)


def test_raw_frames_without_their_mean():
    front_end = front_end_of("Input128_RAW_128Feature_1Frame_3InputChannel_removeDC_2D1")
    x = samples(128, 3)
    np.testing.assert_allclose(front_end(torch.tensor(x).float()), x - x.mean(-1, keepdims=True), atol=1e-5)


def test_rounding_and_scaling():
    assert front_end_of("ECG2500Input_Roundoff_1Frame")(torch.full((1, 1, 2500), 1.6)).unique().tolist() == [2.0]
    x = torch.tensor(samples(256, 3)).float()
    assert torch.equal(front_end_of("HandGesture256Input_RangeNormalize_1Frame")(x), x / 4096)


@pytest.mark.parametrize(
    ("name", "shift"),
    [
        ("FFT256Input_FE_RFFT_16Feature_8Frame_removeDC_Full_Bandwidth", 5),
        ("ArcFault_1024Input_FE_RFFT_128Feature_8Frame_1InputChannel_removeDC_Full_Bandwidth", 4),
    ],
)
def test_the_fixed_point_chain_is_its_steps(name, shift):
    front_end = front_end_of(name)
    x = torch.tensor(3000 * samples(front_end.rows)).round().clamp(-32768, 32767).float()
    size = front_end.frame_size
    frames = x.to(torch.int16).unflatten(-1, (-1, size))
    spectrum = fixed_point.shift_q15(fixed_point.rfft_q15(frames), shift)[..., : size + 2]
    magnitudes = fixed_point.magnitude_q15(spectrum)[..., 1:]
    groups = magnitudes.int().unflatten(-1, (-1, size // 2 // (16 if size == 256 else 128))).sum(-1)
    expected = torch.div(groups, size // 2 // (16 if size == 256 else 128), rounding_mode="floor")
    assert torch.equal(front_end(x), expected.flatten(2).float())
    assert front_end(x).unique().numel() > 20


def test_overlapping_frames():
    front_end = FrontEnd(["RAW_FE", "CONCAT"], frame_size=8, stride_size=0.25, num_frame_concat=3, dc_remove=False)
    assert (front_end.rows, front_end.hop) == (12, 2)
    x = torch.arange(12.0)[None, None]
    assert front_end(x)[0, 0].tolist() == [*range(8), *range(2, 10), *range(4, 12)]


def test_statistics_of_a_frame():
    front_end = FrontEnd(
        ["KURT_FE", "ENT_FE", "ZCR_FE", "DOM_FE", "SLOPE_FE", "CONCAT"], frame_size=32, sampling_rate=32
    )
    x = torch.tensor(samples(32)).float()
    assert front_end(x - 3).shape == (2, 1, 4 + 1 + 1 + 2 + 1)
    assert front_end(x - 3)[..., 5].ne(0).all()


BASE = {"feat_ext_transform": ["WINDOWING", "RAW_FE", "FFT_FE", "ABS", "BINNING", "LOG_DB", "CONCAT"], "frame_size": 32,
        "feature_size_per_frame": 4, "num_frame_concat": 2}  # fmt: skip
CHANGES = [
    {"feature_size_per_frame": 8}, {"num_frame_concat": 3}, {"min_bin": 2, "feature_size_per_frame": 3},
    {"analysis_bandwidth": 2}, {"normalize_bin": True}, {"dc_remove": False, "min_bin": 0}, {"stacking": "1D"},
    {"scale": 2.0}, {"log_mul": 10}, {"log_base": "e"}, {"log_threshold": 1.0}, {"stride_size": 0.5},
    {"frame_size": 64},
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_every_key_changes_the_outcome(change):
    x = torch.tensor(samples(192, 2)).float()
    before, after = (FrontEnd(**(BASE | settings)) for settings in ({}, change))
    found = [front_end(x[..., : front_end.rows]) for front_end in (before, after)]
    assert found[0].shape != found[1].shape or not torch.allclose(*found)


def test_keys_of_other_steps_change_the_outcome():
    x = torch.tensor(3000 * samples(64)).float()
    steps = ["FFT_Q15", "Q15_SCALE", "Q15_MAG", "CONCAT"]
    assert not torch.equal(*(FrontEnd(steps, 64, q15_scale_factor=s)(x) for s in (1, 4)))
    assert FrontEnd(["KURT_FE"], 64, kurt_chunk_size=16)(x).shape != FrontEnd(["KURT_FE"], 64)(x).shape
    assert not torch.equal(*(FrontEnd(["ENT_FE"], 64, fft_size=s)(x) for s in (32, 64)))
    assert not torch.equal(*(FrontEnd(["DOM_FE"], 64, sampling_rate=s)(x) for s in (32, 64)))
    assert torch.equal(*(FrontEnd(["DOM_FE"], 64, sampling_rate=s, new_sr=32)(x) for s in (32, 64)))
    assert FrontEnd(["RAW_FE"], 64, frame_skip=3).hop == 3 * FrontEnd(["RAW_FE"], 64).hop


WRONG = [
    ({"feat_ext_transform": ["FFT_FE"], "num_frame_concat": 1}, "FFT_FE needs ABS, which is not in"),
    ({"feat_ext_transform": ["BINNING"], "num_frame_concat": 1}, "BINNING needs ABS"),
    (
        {"feat_ext_transform": ["FFT_FE", "FFT_Q15", "Q15_MAG", "ABS", "CONCAT"]},
        "only one transform of a frame is allowed",
    ),
    ({"stacking": "2D"}, "`stacking`: found '2D'; allowed: 2D1, 1D"),
    ({"frame_size": 0}, "`frame_size`: found 0; allowed: 1 or more"),
    ({"num_frame_concat": 0}, "`num_frame_concat`: found 0; allowed: 1 or more"),
    ({"frame_skip": 0}, "`frame_skip`: found 0; allowed: 1 or more"),
    ({"stride_size": 0}, "`stride_size`: found 0; allowed: more than 0"),
    ({"feature_size_per_frame": None}, "`feature_size_per_frame`: found None with analysis_bandwidth 1"),
    ({"min_bin": 3}, "`min_bin`: 4 groups of 4 bins do not fit from there into the 17 bins of a frame of 32"),
    ({"feat_ext_transform": ["RAW_FE"]}, "`num_frame_concat`: found 2; more than 1 needs the step CONCAT"),
]


@pytest.mark.parametrize(("settings", "text"), WRONG, ids=[text[:30] for _, text in WRONG])
def test_wrong_settings(settings, text):
    with pytest.raises(InputError) as error:
        FrontEnd(**(BASE | settings))
    assert text in str(error.value)
