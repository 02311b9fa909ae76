"""The text of the C files; ``tests/contract/test_front_end_c.py`` compiles and runs them."""

import re

import pytest
import torch

from nas_lightning.data import fixed_point
from nas_lightning.data.features import FrontEnd
from nas_lightning.errors import InputError
from nas_lightning.export.front_end import front_end_sources

SPECTRUM = ["FFT_FE", "FFT_POS_HALF", "ABS", "LOG_DB"]


def sources(names, channels=1, **settings):
    texts = front_end_sources(FrontEnd(names, **settings), channels)
    assert list(texts) == ["feature_extraction.h", "feature_extraction.c"]
    return texts.values()


def numbers(code, table):
    body = re.search(rf"\b{table}\[[^=]*= \{{(.*?)\n\}};", code, re.DOTALL)[1]
    return [float(number) for number in re.findall(r"-?\d[\d.e-]*", body)]


def test_the_header_says_how_much_goes_in_and_comes_out():
    names = ["FFT_FE", "FFT_POS_HALF", "ABS", "CONCAT"]
    header, _ = sources(names, channels=3, frame_size=32, num_frame_concat=4, stride_size=0.5, stacking="1D")
    assert "#define FEATURE_EXTRACTION_CHANNELS 3\n" in header
    assert "#define FEATURE_EXTRACTION_ROWS 80\n" in header
    assert "#define FEATURE_EXTRACTION_FEATURES 204 /* 1 x 204 */\n" in header
    assert "void feature_extraction_run(const float *rows, float *features);" in header
    assert " * Steps: FFT_FE, FFT_POS_HALF, ABS, CONCAT.\n" in header


@pytest.mark.parametrize(
    ("settings", "steps"),
    [({}, "none, the rows as they are"), ({"scale": 4096.0}, "rows divided by 4096")],
)
def test_the_header_says_what_happens_to_raw_rows(settings, steps):
    header, code = sources([], frame_size=8, **settings)
    assert f" * Steps: {steps}.\n" in header
    assert "scratch" not in code


def test_each_has_only_the_code_that_its_steps_need():
    _, plain = sources(["ROUND_OFF"], frame_size=8)
    _, spectrum = sources(SPECTRUM, frame_size=64)
    _, fixed = sources(["FFT_Q15", "Q15_MAG"], frame_size=64)
    _, fixed_of_4 = sources(["FFT_Q15", "Q15_MAG"], frame_size=32)
    _, slow = sources(SPECTRUM, frame_size=48)
    assert "round_off(" in plain
    assert all(name not in plain for name in ("real_fft(", "stdint.h", "log_db(", "static float"))
    assert "cosines[" in spectrum
    assert all(name not in spectrum for name in ("stdint.h", "turns", "remove_mean(", "sign("))
    assert "radix_2(" in fixed
    assert all(name not in fixed for name in ("cosines[", "sqrtf", "static float"))
    assert "radix_2(" not in fixed_of_4
    assert "turns[" in slow
    assert "cosines[" not in slow


def test_the_window_is_halved_where_its_rounding_does_not_show():
    _, half = sources(["WINDOWING", "FFT_FE", "ABS"], frame_size=31)
    _, whole = sources(["WINDOWING", "FFT_Q15", "Q15_MAG"], frame_size=32)
    window = torch.hann_window(31, periodic=False)[:16]
    assert torch.equal(torch.tensor(numbers(half, "hann")), window)
    assert torch.equal(torch.tensor(numbers(whole, "hann")), torch.hann_window(32, periodic=False))


def test_tables_have_all_the_digits_of_float():
    _, code = sources(SPECTRUM, frame_size=64)
    angles = torch.arange(32, dtype=torch.float64) * (torch.pi / 32)
    assert (torch.tensor(numbers(code, "cosines")) - angles.cos()).abs().max() < 6e-8
    _, code = sources(SPECTRUM, frame_size=48)
    angles = torch.arange(48, dtype=torch.float64) * (torch.pi / 24)
    expected = torch.stack([angles.cos(), angles.sin()], dim=1).flatten()
    assert (torch.tensor(numbers(code, "turns")) - expected).abs().max() < 6e-8


def test_tables_in_fixed_point_are_those_of_the_training():
    _, code = sources(["FFT_Q15", "Q15_MAG"], frame_size=128)
    first, second = fixed_point.split_coefficients(128)
    assert numbers(code, "turns_q15") == fixed_point.twiddles(64).flatten().tolist()
    assert numbers(code, "split_turns") == first[:33].flatten().tolist()
    assert numbers(code, "inverse_roots") == fixed_point.sqrt_start_values().tolist()
    # What the C code derives instead of keeping it: the second half, and the other coefficients.
    assert torch.equal(first[33:], first[1:32].flip(0) * torch.tensor([1, -1]))
    assert torch.equal(second, torch.stack([(32768 - first[:, 0]).clamp(max=32767), -first[:, 1]], dim=1))


def test_constants_are_those_of_the_settings():
    _, code = sources(SPECTRUM, frame_size=16, scale=-0.1, log_mul=10, log_base="e", log_threshold=1e-12)
    for line in (
        "SCALE -0.100000001f",
        "LOG_FACTOR 10.0f",
        "LOG_THRESHOLD 9.99999996e-13f",
        "LOG_LEAST 1.00000000e-12f",
    ):
        name, value = line.split()
        found = re.search(rf"#define {name} (\S+)f\n", code)[1]
        assert torch.tensor(float(found)) == torch.tensor(float(value[:-1]))
    _, code = sources(SPECTRUM, frame_size=16)
    assert "#define LOG_THRESHOLD 0.0f\n" in code
    assert "#define LOG_LEAST 1e-30f\n" in code


def test_overlapping_frames_begin_a_hop_apart():
    _, code = sources(["CONCAT"], frame_size=20, num_frame_concat=3, stride_size=0.3)
    assert "#define FRAME_HOP 6\n" in code
    assert "#define FRAMES 3\n" in code


@pytest.mark.parametrize(
    ("names", "channels", "settings", "sentence"),
    [
        ([], 1, {}, "`frame_size`: is null; C code needs frames of a fixed size"),
        ([], 0, {"frame_size": 8}, "`variables`: found 0 channels; allowed: 1 or more"),
        (["DC_REMOVE"], 1, {"frame_size": 1}, r"`feat_ext_transform`: \['DC_REMOVE'\] leaves no feature"),
        (["FFT_Q15", "Q15_MAG"], 1, {"frame_size": 48}, "FFT_Q15: found frames of 48 values"),
        ([], 1, {"frame_size": 8, "scale": 1e300}, r"`scale`: leads to the number 1e\+300; allowed in C code"),
        (SPECTRUM, 1, {"frame_size": 8, "log_mul": 1e300}, "`log_mul`: leads to the number 4.34"),
    ],
)
def test_what_cannot_be_written_is_refused(names, channels, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        front_end_sources(FrontEnd(names, **settings), channels)
