"""The C code of front ends computes what they compute: for every preset, found by listing, and for the other chains.

It is compiled with sanitizers, and with warnings as errors.
"""

import math
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import nas_lightning.export
from nas_lightning.config.compose import compose_config, conf_dir
from nas_lightning.data.features import STEPS, FrontEnd
from nas_lightning.export.front_end import front_end_sources
from nas_lightning.runs.build import build_data

SECTION = "data_processing_feature_extraction"
NAMES = sorted(path.stem for path in (conf_dir() / "features").glob("*.yaml"))
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wdouble-promotion", "-Werror", "-pedantic"]
FLAGS = ["-std=c99", "-O2", "-ffp-contract=off", *WARNINGS]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
ARM = "arm-none-eabi-"
CORES = {"m0plus": ["-mcpu=cortex-m0plus"], "m4": ["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]}
MAIN = """
#include "feature_extraction.h"
#include <stdio.h>

static float rows[FEATURE_EXTRACTION_CHANNELS * FEATURE_EXTRACTION_ROWS];
static float features[FEATURE_EXTRACTION_FEATURES];

int main(void)
{
    while (fread(rows, sizeof rows, 1, stdin) == 1) {
        feature_extraction_run(rows, features);
        fwrite(features, sizeof features, 1, stdout);
    }
    return 0;
}
"""
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
needs_arm = pytest.mark.skipif(shutil.which(f"{ARM}gcc") is None, reason=f"there is no {ARM}gcc")


def chain(names, frame_size, **settings):
    return FrontEnd(names.split(), frame_size=frame_size, **settings)


CHAINS = {  # what no preset has
    "window-to-q15": chain("WINDOWING TO_Q15 FFT_Q15 Q15_MAG", 64, scale=2000),
    "mean-in-q15": chain("RAW_FE FFT_Q15 Q15_MAG DC_REMOVE", 32),
    "right-shift": chain("FFT_Q15 Q15_SCALE Q15_MAG ROUND_OFF ABS", 128, q15_scale_factor=-2),
    "q15-to-decibel": chain("FFT_Q15 Q15_MAG LOG_DB", 32, log_base=2, log_threshold=0.5),
    "bins-of-q15": chain("FFT_Q15 Q15_MAG ABS BINNING LOG_DB", 64, feature_size_per_frame=8, normalize_bin=True),
    "statistics-of-q15": chain("FFT_Q15 Q15_MAG BIN_Q15 KURT_FE ENT_FE", 64, feature_size_per_frame=16),
    "group-beyond": chain("FFT_Q15 Q15_MAG DC_REMOVE BIN_Q15", 32, feature_size_per_frame=16, min_bin=2),
    "frames-of-q15": chain("TO_Q15 FFT_Q15 Q15_MAG CONCAT", 32, scale=-500, num_frame_concat=3, stride_size=0.3),
    "q15-as-float": chain("WINDOWING TO_Q15 ROUND_OFF ABS", 20, scale=2000),
    "q15-to-fft": chain("TO_Q15 FFT_FE ABS", 16, scale=2000),
    "slow-transform": chain("FFT_FE NORMALIZE ABS DC_REMOVE", 125),
    "rounded-transform": chain("WINDOWING FFT_FE ROUND_OFF FFT_POS_HALF ABS", 31),
    "small-transform": chain("FFT_FE ABS", 4),
    "frames": chain("RAW_FE CONCAT", 20, num_frame_concat=3, stride_size=0.3, stacking="1D", scale=7),
    "first-row-off": chain("DC_REMOVE ABS", 9),
    "frames-apart": chain("CONCAT", 5, num_frame_concat=2, stride_size=1.6, scale=7),
    "statistics": chain("KURT_FE ENT_FE ZCR_FE DOM_FE SLOPE_FE CONCAT", 30, num_frame_concat=2, sampling_rate=50),
    "spectrum-of-a-part": chain("WINDOWING ENT_FE DOM_FE DC_REMOVE", 40, fft_size=16, new_sr=33.3),
    "one-frequency": chain("DOM_FE SLOPE_FE", 8, fft_size=3, sampling_rate=2),
    "pir-small": chain("PIR_FE", 125, fft_size=32, scale=3),
    "pir-slow": chain("PIR_FE", 125, fft_size=96, kurt_chunk_size=4),
    "pir-q15-small": chain("PIR_FE_Q15", 125, fft_size=32, sampling_rate=5000),
    "pir-q15-large": chain("PIR_FE_Q15", 125, fft_size=256, scale=0.5),
    **{f"q15-{size}": chain("FFT_Q15 Q15_SCALE Q15_MAG", size) for size in (256, 2048, 4096, 8192)},
}  # fmt: skip


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Programs by front end; presets that differ in their names only share one."""
    programs = {}

    def compiled(front_end, channels):
        sources = front_end_sources(front_end, channels)
        key = tuple(sources.values())
        if key not in programs:
            folder = write(tmp_path_factory.mktemp("front_end"), {**sources, "main.c": MAIN})
            call(["gcc", *FLAGS, *SANITIZERS, "feature_extraction.c", "main.c", "-o", "program", "-lm"], folder)
            programs[key] = folder / "program"
        return programs[key]

    return compiled


def write(folder, sources):
    for name, text in sources.items():
        (folder / name).write_text(text)
    return folder


def call(arguments, folder, data=None):
    done = subprocess.run(arguments, cwd=folder, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def run(path, x):
    out = call([path], path.parent, x.numpy().tobytes())
    return torch.from_numpy(np.frombuffer(out, np.float32).copy()).view(len(x), -1)


def samples(channels, rows, seed=0):
    """Noise, soft to loud; a tone; whole numbers around an offset; constants; zeros."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((5, channels, rows))
    tone = 1000 * np.sin(np.arange(rows) * random.uniform(0.01, 3, (channels, 1))) + 300 * noise[0]
    whole = np.round(20 * noise[1] + 120)
    constants = [np.full((channels, rows), value) for value in (0.1, -1000.0, 0.0)]
    x = np.stack([noise[2], 1000 * noise[3], 30000 * noise[4], tone, whole, *constants])
    return torch.tensor(x, dtype=torch.float32)


def is_exact(front_end):
    """Whether nothing makes the features but fixed point, and single operations on floats."""
    names = set(front_end.names)
    has_mean = "RAW_FE" in names and "FFT_Q15" not in names
    return not has_mean and not names & {"FFT_FE", "LOG_DB", "KURT_FE", "ENT_FE", "DOM_FE", "PIR_FE"}


def check(front_end, channels, program, x=None):
    x = samples(channels, front_end.rows) if x is None else x
    expected = front_end(x).flatten(1)
    found = run(program(front_end, channels), x)
    assert found.shape == expected.shape
    if is_exact(front_end):
        assert torch.equal(found, expected)
        return
    # A constant without its mean is nothing but rounding: so two units of the rows are allowed too.
    allowed = 1e-4 * expected.abs().amax(1, keepdim=True) + 2e-7 * x.abs().amax((1, 2))[:, None]
    if {"FFT_FE", "LOG_DB"} <= set(front_end.names):
        allowed = allowed + change_by_rounding(front_end, x, torch.minimum(expected, found))
    assert ((found - expected).abs() <= allowed).all(), (found - expected).abs().amax(1)


def change_by_rounding(front_end, x, lower):
    """What a rounding error of the spectrum, of 2e-8 of the sum of a frame, can make of a logarithm.

    It counts where neighbouring values cancel out: in the spectrum of a constant nothing but rounding is left.
    """
    settings = front_end.settings
    error = 2e-8 * front_end.frame_size * x.double().abs().amax((1, 2))[:, None]
    if "NORMALIZE" in front_end.names:
        error /= front_end.frame_size
    if "BINNING" in front_end.names and not settings["normalize_bin"]:
        error *= front_end.frame_size // 2 // settings["feature_size_per_frame"] // settings["analysis_bandwidth"]
    factor = settings["log_mul"] / (1 if settings["log_base"] == "e" else math.log(settings["log_base"]))
    return factor * torch.log1p(error / torch.exp(lower.double() / factor))


@cache
def preset(name):
    overrides = []
    if name.startswith("Custom") or name == "none":
        overrides = [f"{SECTION}.frame_size=64", f"{SECTION}.feature_size_per_frame=16"]
    config = compose_config([f"features={name}", *overrides])
    return build_data(config).front_end, config.data_processing_feature_extraction.variables or 1


@needs_gcc
@pytest.mark.parametrize("name", NAMES)
def test_a_preset_computes_the_same(name, program):
    check(*preset(name), program)


@needs_gcc
@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_computes_the_same(name, program):
    front_end = CHAINS[name]
    # The mean of whole numbers has no rounding but one, so that int16 comes out equal too.
    x = samples(2, front_end.rows).round() if "RAW_FE" in front_end.names else None
    check(front_end, 2, program, x)


@needs_gcc
@pytest.mark.parametrize("name", ["right-shift", "q15-8192"])
def test_full_scale_saturates_the_same(name, program):
    """Square waves, of which each pair of values is a quarter of a wave apart: between the stages int16 overflows."""
    front_end = CHAINS[name]
    pairs, second = torch.arange(front_end.rows) // 2, torch.arange(front_end.rows) % 2
    waves = [4 * math.pi * waves * pairs / front_end.rows + second * math.pi / 2 for waves in (3, 5)]
    x = torch.stack([40000 * torch.sign(torch.cos(wave + phase)) for wave in waves for phase in (0.1, 0.7, 2.0)])
    check(front_end, 1, program, x[:, None])


@needs_gcc
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["Generic_32Input_FFTBIN_4Feature_8Frame", "ECG2500Input_Roundoff_1Frame", "to-q15"])
def test_what_is_not_a_number_has_the_same_effect(name, value, program):
    front_end = chain("TO_Q15", 8) if name == "to-q15" else preset(name)[0]
    x = samples(1, front_end.rows)[:2]
    x[1, 0, 3] = value
    found, expected = run(program(front_end, 1), x), front_end(x).flatten(1)
    assert torch.equal(found.isnan(), expected.isnan())
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4, equal_nan=True)


def test_the_chains_have_every_step_and_use_every_function():
    assert set().union(*(front_end.names for front_end in CHAINS.values())) == set(STEPS)
    folder = Path(nas_lightning.export.__file__).parent / "c"
    written = [path.read_text() for path in folder.glob("front_end_*.c")]
    made = [front_end_sources(front_end, 1)["feature_extraction.c"] for front_end in CHAINS.values()]
    defined = re.compile(r"^static [^(=]*?(\w+)\(", re.MULTILINE)
    names_written, names_made = (
        {name for text in texts for name in defined.findall(text)} for texts in (written, made)
    )
    assert len(names_written) > 40
    assert names_made == names_written | {"load"}


@needs_arm
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("name", CHAINS)
def test_a_microcontroller_takes_it(name, core, tmp_path):
    """It compiles, shows one name, and needs neither a heap nor files nor arithmetic in double."""
    write(tmp_path, front_end_sources(CHAINS[name], 2))
    call([f"{ARM}gcc", *FLAGS, *CORES[core], "-mthumb", "-c", "feature_extraction.c"], tmp_path)
    symbols = call([f"{ARM}nm", "-g", "feature_extraction.o"], tmp_path).decode().split("\n")
    assert [line.split()[2] for line in symbols if len(line.split()) == 3] == ["feature_extraction_run"]
    needed = {line.split()[1] for line in symbols if len(line.split()) == 2}
    arithmetic = {name for name in needed if re.match(r"__aeabi_(?!d(add|sub|mul|div|cmp))|__gnu_thumb1_case", name)}
    assert needed - arithmetic <= {"logf", "sqrtf", "rintf", "memcpy", "memset"}
