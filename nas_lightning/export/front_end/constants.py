"""Sizes and other numbers of a front end, as C knows them."""

import math

import torch

from nas_lightning.data import pir
from nas_lightning.data.features import FrontEnd
from nas_lightning.data.spectrum import LEAST_THRESHOLD
from nas_lightning.errors import InputError

WIDTH = 116  # of lines of C
SPECTRAL = {"ENT_FE", "DOM_FE", "PIR_FE"}  # whose floating-point transform has fft_size points
_PIR_CONSTANTS = {"WINDOW_SIZE": 32, "WINDOW_HOP": 4, "PADDING": 4, "OFFSET": "128.0f"}
_PIR_CHUNK = 8


def is_pir(front_end: FrontEnd) -> bool:
    """Whether its steps are those of windows of a frame."""
    return bool({"PIR_FE", "PIR_FE_Q15"} & set(front_end.names))


def float_fft_size(front_end: FrontEnd) -> int:
    """Values of the floating-point transform."""
    return int(front_end.settings["fft_size"] if SPECTRAL & set(front_end.names) else front_end.frame_size or 0)


def fixed_fft_size(front_end: FrontEnd) -> int:
    """Values of the fixed-point transform."""
    return int(front_end.settings["fft_size"] if is_pir(front_end) else front_end.frame_size or 0)


def group_sizes(front_end: FrontEnd) -> tuple[int, int, int]:
    """Of BINNING and BIN_Q15: how many groups there are, their width, and the first value of the first one."""
    settings = front_end.settings
    groups = settings["feature_size_per_frame"]
    width = (front_end.frame_size or 0) // 2 // groups // settings["analysis_bandwidth"]
    return groups, width, settings["min_bin"] - ("DC_REMOVE" in front_end.names)


def macros(front_end: FrontEnd) -> dict[str, str]:
    """``#define`` lines by name."""
    settings, names = front_end.settings, set(front_end.names)
    values: dict[str, object] = {
        "FRAMES": front_end.num_frames,
        "FRAME_SIZE": front_end.frame_size,
        "FRAME_HOP": front_end.frame_hop,
        "FFT_SIZE": float_fft_size(front_end),
        "FFT_POINTS": "(FFT_SIZE / 2)",
        "BINS": "(FFT_SIZE / 2 + 1)",
        "Q15_SIZE": fixed_fft_size(front_end),
        "Q15_POINTS": "(Q15_SIZE / 2)",
        "Q15_BINS": "(Q15_SIZE / 2 + 1)",
        "SHIFT": abs(settings["q15_scale_factor"]),
        "CHUNK_SIZE": settings["kurt_chunk_size"] if "KURT_FE" in names else _PIR_CHUNK,
        "RESOLUTION": literal("kurt_chunk_size", torch.finfo(torch.float32).resolution),
    }
    if front_end.scale is not None:
        values["SCALE"] = literal("scale", front_end.scale)
    if {"BINNING", "BIN_Q15"} & names:
        values |= zip(("GROUPS", "GROUP_WIDTH", "FIRST_BIN"), group_sizes(front_end), strict=True)
    if "LOG_DB" in names:
        values |= _log_constants(front_end)
    if {*SPECTRAL, "PIR_FE_Q15"} & names:
        rate = settings["new_sr"] or settings["sampling_rate"] or 1.0
        values["HERTZ_PER_BIN"] = literal("sampling_rate", rate / settings["fft_size"])
        values["MILLIHERTZ"] = round(1000 * rate)
        values |= {"WINDOWS": pir.NUM_WINDOWS, "WINDOW_FEATURES": pir.NUM_FEATURES, **_PIR_CONSTANTS}
        values["SPREAD"] = f"({'FFT' if 'PIR_FE' in names else 'Q15'}_SIZE / WINDOW_SIZE)"
    return {name: f"#define {name} {value}\n" for name, value in values.items()}


def _log_constants(front_end: FrontEnd) -> dict[str, str]:
    settings = front_end.settings
    base, threshold = settings["log_base"], settings["log_threshold"]
    factor = settings["log_mul"] / (1.0 if base == "e" else math.log(float(base)))
    return {
        "LOG_FACTOR": literal("log_mul", factor),
        "LOG_THRESHOLD": literal("log_threshold", threshold),
        "LOG_LEAST": literal("log_threshold", max(threshold, LEAST_THRESHOLD)),
    }


def literal(key: str, value: float) -> str:
    """``value`` as a float constant of C, with all the digits that float32 holds."""
    single = torch.tensor(value, dtype=torch.float32).item()
    if not math.isfinite(single):
        raise InputError(f"`{key}`: leads to the number {value}; allowed in C code: what float32 holds")
    digits = f"{single:.9g}"
    return f"{digits}f" if {".", "e"} & set(digits) else f"{digits}.0f"
