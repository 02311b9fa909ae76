"""The constant arrays of a front end: window, cosines and sines, start values of roots."""

import math
from textwrap import fill

import torch
from torch import Tensor

from nas_lightning.data import fixed_point
from nas_lightning.data.features import FrontEnd
from nas_lightning.export.front_end.constants import SPECTRAL, WIDTH, fixed_fft_size, float_fft_size, literal

_SMALLEST_FAST_FFT = 8


def is_fast(size: int) -> bool:
    """Whether a transform of ``size`` values takes N log N steps."""
    return size >= _SMALLEST_FAST_FFT and size & (size - 1) == 0


def tables_of(front_end: FrontEnd) -> dict[str, str]:
    """Constant arrays by name."""
    names = set(front_end.names)
    tables = {}
    if "WINDOWING" in names:
        tables["hann"] = _hann(front_end)
    if "FFT_FE" in names or SPECTRAL & names:
        size = float_fft_size(front_end)
        angles = torch.arange(size, dtype=torch.float64) * (2 * math.pi / size)
        turns = torch.stack([angles.cos(), angles.sin()], dim=1)
        turns[turns.abs() < torch.finfo(torch.float64).resolution] = 0
        about = "of 2 pi i / FFT_SIZE."
        if is_fast(size):
            tables["cosines"] = _table(f"Cosine {about}", "float cosines[FFT_SIZE / 2]", turns[: size // 2, 0])
        else:
            tables["turns"] = _table(f"Cosine and sine {about}", "float turns[FFT_SIZE][2]", turns)
    if {"FFT_Q15", "PIR_FE_Q15"} & names:
        tables |= _fixed_tables(fixed_fft_size(front_end))
    return tables


def _hann(front_end: FrontEnd) -> str:
    size = front_end.frame_size or 0
    window = torch.hann_window(size, periodic=False)
    if needs_whole_window(front_end):
        return _table("Window.", "float hann[FRAME_SIZE]", window)
    half = window[: (size + 1) // 2]
    return _table("Window; its second half mirrors the first.", "float hann[(FRAME_SIZE + 1) / 2]", half)


def needs_whole_window(front_end: FrontEnd) -> bool:
    """Whether both halves are kept. They differ by rounding, which no spectrum shows; but int16 or a slope can."""
    return "FFT_FE" not in front_end.names or "TO_Q15" in front_end.names


def _fixed_tables(size: int) -> dict[str, str]:
    turns, (split, _) = fixed_point.twiddles(size // 2), fixed_point.split_coefficients(size)
    about_turns = "Cosine and sine of 2 pi i / Q15_POINTS, in Q15, rounded down."
    about_split = "(1 - sine) / 2 and -cosine / 2 of 2 pi i / Q15_SIZE, in Q15."
    about_roots = "1 / sqrt(i / 32) for i from 8 to 31, in Q28."
    return {
        "turns_q15": _table(about_turns, "int16_t turns_q15[3 * Q15_POINTS / 4][2]", turns),
        "split_turns": _table(about_split, "int16_t split_turns[Q15_SIZE / 4 + 1][2]", split[: size // 4 + 1]),
        "inverse_roots": _table(about_roots, "uint32_t inverse_roots[24]", fixed_point.sqrt_start_values()),
    }


def _table(about: str, declaration: str, values: Tensor) -> str:
    """A constant array; values in pairs stay together."""
    is_float = values.is_floating_point()
    texts = [literal("frame_size", value) if is_float else str(value) for value in values.flatten().tolist()]
    if values.ndim > 1:
        texts = [f"{{{real},_{imag}}}" for real, imag in zip(texts[::2], texts[1::2], strict=True)]
    indent = " " * 4
    lines = fill(", ".join(texts), WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    return f"/* {about} */\nstatic const {declaration} = {{\n{lines.replace('_', ' ')}\n}};\n"
