"""The front end as C99, for firmware: what ``FrontEnd`` computes, with every size a constant.

The files ``c/front_end_*.c`` hold the functions. A front end gets those that its steps need, the constants and tables
that these need, and a loop over channels and frames.

Fixed-point steps give the same bits. Floating-point steps give the same but for rounding: sums have another order, and
the PIR steps take fewer transforms.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from textwrap import fill

import torch
from torch import Tensor

from nas_lightning.data import fixed_point, pir
from nas_lightning.data.features import LEAST_THRESHOLD, STATISTICS, FrontEnd
from nas_lightning.errors import InputError

_SECTION = "data_processing_feature_extraction"
_SPECTRAL = {"ENT_FE", "DOM_FE", "PIR_FE"}  # whose floating-point transform has fft_size points
_PIR_CONSTANTS = {"WINDOW_SIZE": 32, "WINDOW_HOP": 4, "PADDING": 4, "OFFSET": "128.0f"}
_PIR_CHUNK = 8
_SMALLEST_FAST_FFT = 8
_WIDTH = 116
_NO_FAST_MATH = """\
#if defined(__FAST_MATH__) || defined(__RECIPROCAL_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "compile this file without -ffast-math and -Ofast: they compute other features than those of the training"
#endif
"""
_INCLUDES = {"math.h": r"\b(rintf|sqrtf|logf|fabsf|isnan)\(", "stdint.h": r"\bu?int(16|32|64)_t\b"}

_HEADER = """\
/*
 * Feature extraction: from raw rows to the input of the network.
 *
 * {steps}
 */
#ifndef FEATURE_EXTRACTION_H
#define FEATURE_EXTRACTION_H

#ifdef __cplusplus
extern "C" {{
#endif

#define FEATURE_EXTRACTION_CHANNELS {channels}
#define FEATURE_EXTRACTION_ROWS {rows}
#define FEATURE_EXTRACTION_FEATURES {features} /* {shape} */

/*
 * rows: FEATURE_EXTRACTION_CHANNELS x FEATURE_EXTRACTION_ROWS raw values, channel by channel.
 * features: FEATURE_EXTRACTION_FEATURES values, channel by channel of the network's input.
 *
 * Calls must not overlap, because the memory it works in is static. Compile it with -std=c99 or -ffp-contract=off: a
 * multiplication and addition in one instruction would round differently from the front end that was trained with.
 */
void feature_extraction_run(const float *rows, float *features);

#ifdef __cplusplus
}}
#endif

#endif
"""

_RUN = """\
void feature_extraction_run(const float *rows, float *features)
{{
    for (int channel = 0; channel < FEATURE_EXTRACTION_CHANNELS; channel++) {{
{body}
        rows += FEATURE_EXTRACTION_ROWS;
    }}
}}
"""


def front_end_sources(front_end: FrontEnd, channels: int) -> dict[str, str]:
    """The C files of a front end: ``feature_extraction_run`` computes ``front_end(x)[0]`` from the rows ``x[0]``.

    They use no heap, and all that a linker sees of them is that function.

    Args:
        front_end: with frames of a fixed size.
        channels: C; ``x`` is ``[1, C, front_end.rows]``.

    Returns:
        the text of ``feature_extraction.h`` and ``feature_extraction.c``, by name.

    Raises:
        InputError: if samples are whole recordings, there is no channel or no feature, or a number is beyond float32.
    """
    if front_end.rows == 0:
        raise InputError(f"{_SECTION}.frame_size: is null; C code needs frames of a fixed size")
    if channels < 1:
        raise InputError(f"{_SECTION}.variables: found {channels} channels; allowed: 1 or more")
    with torch.no_grad():
        out_channels, length = front_end(torch.zeros(1, channels, front_end.rows)).shape[1:]
    if out_channels * length == 0:
        raise InputError(f"{_SECTION}.feat_ext_transform: {front_end.names} leaves no feature")
    header = _HEADER.format(
        steps=_list_of_steps(front_end),
        channels=channels,
        rows=front_end.rows,
        features=out_channels * length,
        shape=f"{out_channels} x {length}",
    )
    return {"feature_extraction.h": header, "feature_extraction.c": _source(front_end)}


def _list_of_steps(front_end: FrontEnd) -> str:
    scale = [] if front_end.scale is None else [f"rows divided by {front_end.scale:g}"]
    steps = ", ".join([*scale, *front_end.names]) or "none, the rows as they are"
    return fill(f"Steps: {steps}.", _WIDTH).replace("\n", "\n * ")


def _source(front_end: FrontEnd) -> str:
    plan = _plan_of_windows(front_end) if _is_pir(front_end) else _plan_of_frames(front_end)
    run = _RUN.format(body=plan.body)
    pieces = {**_constants(front_end), **_tables(front_end), **plan.arrays, **_functions(front_end), "load(": plan.load}
    needed = _needed(pieces, run)
    defines = "".join(text for text in needed if text.startswith("#define"))
    others = [text for text in needed if not text.startswith("#define")]
    code = "\n".join([*([defines] if defines else []), *others, run])
    includes = [f"#include <{name}>\n" for name, pattern in _INCLUDES.items() if re.search(pattern, code)]
    return "\n".join(
        ['#include "feature_extraction.h"\n', _NO_FAST_MATH, *(["".join(includes)] if includes else []), code]
    )


def _needed(pieces: Mapping[str, str], root: str) -> list[str]:
    """The pieces that ``root`` names, and those that they name, in the order of ``pieces``.

    The name of a function has an opening parenthesis, so that a variable of the same name does not count as a call.
    """
    found: set[str] = set()
    texts = [root]
    while texts:
        code = re.sub(r"/\*.*?\*/", "", texts.pop(), flags=re.DOTALL)
        new = (set(re.findall(r"\w+\(?", code)) & pieces.keys()) - found
        found |= new
        texts += [pieces[name] for name in new]
    return [text for name, text in pieces.items() if name in found]


def _functions(front_end: FrontEnd) -> dict[str, str]:
    """Functions and types by name, as ``_needed`` takes it, each with its comment, in an order that C accepts."""
    is_power_of_4 = _fixed_fft_size(front_end).bit_length() % 2 == 0  # the points of the transform, half its values
    names = ["steps", "fft" if _is_fast(_fft_size(front_end)) else "dft", "statistics", "pir"]
    names += ["int16", "fft_q15", "radix_4" if is_power_of_4 else "radix_2", "q15", "pir_q15"]
    folder = files("nas_lightning.export") / "c"
    texts = [(folder / f"front_end_{name}.c").read_text(encoding="utf-8") for name in names]
    # A closing brace in the first column ends a function or type.
    blocks = [block for text in texts for block in re.findall(r"\S.*?^\}.*?\n", text, re.DOTALL | re.MULTILINE)]
    return {_name_of(block): block for block in blocks}


def _name_of(block: str) -> str:
    match = re.search(r"^static [^(]*?(\w+\()|^\} (\w+);", block, re.MULTILINE)
    assert match is not None, block  # nosec B101 # of C templates of the package, which the tests compile
    return match[1] or match[2]


def _is_pir(front_end: FrontEnd) -> bool:
    return bool({"PIR_FE", "PIR_FE_Q15"} & set(front_end.names))


def _is_fast(size: int) -> bool:
    """Whether a transform of ``size`` values takes N log N steps."""
    return size >= _SMALLEST_FAST_FFT and size & (size - 1) == 0


def _fft_size(front_end: FrontEnd) -> int:
    """Values of the floating-point transform."""
    return int(front_end.settings["fft_size"] if _SPECTRAL & set(front_end.names) else front_end.frame_size or 0)


def _fixed_fft_size(front_end: FrontEnd) -> int:
    """Values of the fixed-point transform."""
    return int(front_end.settings["fft_size"] if _is_pir(front_end) else front_end.frame_size or 0)


def _group_sizes(front_end: FrontEnd) -> tuple[int, int, int]:
    """Of BINNING and BIN_Q15: how many groups there are, their width, and the first value of the first one."""
    settings = front_end.settings
    groups = settings["feature_size_per_frame"]
    width = (front_end.frame_size or 0) // 2 // groups // settings["analysis_bandwidth"]
    return groups, width, settings["min_bin"] - ("DC_REMOVE" in front_end.names)


def _constants(front_end: FrontEnd) -> dict[str, str]:
    """``#define`` lines by name."""
    settings, names = front_end.settings, set(front_end.names)
    values: dict[str, object] = {
        "FRAMES": front_end.num_frames,
        "FRAME_SIZE": front_end.frame_size,
        "FRAME_HOP": front_end.frame_hop,
        "FFT_SIZE": _fft_size(front_end),
        "FFT_POINTS": "(FFT_SIZE / 2)",
        "BINS": "(FFT_SIZE / 2 + 1)",
        "Q15_SIZE": _fixed_fft_size(front_end),
        "Q15_POINTS": "(Q15_SIZE / 2)",
        "Q15_BINS": "(Q15_SIZE / 2 + 1)",
        "SHIFT": abs(settings["q15_scale_factor"]),
        "CHUNK_SIZE": settings["kurt_chunk_size"] if "KURT_FE" in names else _PIR_CHUNK,
        "RESOLUTION": _literal("kurt_chunk_size", torch.finfo(torch.float32).resolution),
    }
    if front_end.scale is not None:
        values["SCALE"] = _literal("scale", front_end.scale)
    if {"BINNING", "BIN_Q15"} & names:
        values |= zip(("GROUPS", "GROUP_WIDTH", "FIRST_BIN"), _group_sizes(front_end), strict=True)
    if "LOG_DB" in names:
        values |= _log_constants(front_end)
    if {*_SPECTRAL, "PIR_FE_Q15"} & names:
        rate = settings["new_sr"] or settings["sampling_rate"] or 1.0
        values["HERTZ_PER_BIN"] = _literal("sampling_rate", rate / settings["fft_size"])
        values["MILLIHERTZ"] = round(1000 * rate)
        values |= {"WINDOWS": pir.NUM_WINDOWS, "WINDOW_FEATURES": pir.NUM_FEATURES, **_PIR_CONSTANTS}
        values["SPREAD"] = f"({'FFT' if 'PIR_FE' in names else 'Q15'}_SIZE / WINDOW_SIZE)"
    return {name: f"#define {name} {value}\n" for name, value in values.items()}


def _log_constants(front_end: FrontEnd) -> dict[str, str]:
    settings = front_end.settings
    base, threshold = settings["log_base"], settings["log_threshold"]
    factor = settings["log_mul"] / (1.0 if base == "e" else math.log(float(base)))
    return {
        "LOG_FACTOR": _literal("log_mul", factor),
        "LOG_THRESHOLD": _literal("log_threshold", threshold),
        "LOG_LEAST": _literal("log_threshold", max(threshold, LEAST_THRESHOLD)),
    }


def _literal(key: str, value: float) -> str:
    """``value`` as a float constant of C, with all the digits that float32 holds."""
    single = torch.tensor(value, dtype=torch.float32).item()
    if not math.isfinite(single):
        raise InputError(f"{_SECTION}.{key}: leads to the number {value}; allowed in C code: what float32 holds")
    digits = f"{single:.9g}"
    return f"{digits}f" if {".", "e"} & set(digits) else f"{digits}.0f"


def _tables(front_end: FrontEnd) -> dict[str, str]:
    """Constant arrays by name."""
    names = set(front_end.names)
    tables = {}
    if "WINDOWING" in names:
        tables["hann"] = _hann(front_end)
    if "FFT_FE" in names or _SPECTRAL & names:
        size = _fft_size(front_end)
        angles = torch.arange(size, dtype=torch.float64) * (2 * math.pi / size)
        turns = torch.stack([angles.cos(), angles.sin()], dim=1)
        turns[turns.abs() < torch.finfo(torch.float64).resolution] = 0
        about = "of 2 pi i / FFT_SIZE."
        if _is_fast(size):
            tables["cosines"] = _table(f"Cosine {about}", "float cosines[FFT_SIZE / 2]", turns[: size // 2, 0])
        else:
            tables["turns"] = _table(f"Cosine and sine {about}", "float turns[FFT_SIZE][2]", turns)
    if {"FFT_Q15", "PIR_FE_Q15"} & names:
        tables |= _fixed_tables(_fixed_fft_size(front_end))
    return tables


def _hann(front_end: FrontEnd) -> str:
    size = front_end.frame_size or 0
    window = torch.hann_window(size, periodic=False)
    if _needs_whole_window(front_end):
        return _table("Window.", "float hann[FRAME_SIZE]", window)
    half = window[: (size + 1) // 2]
    return _table("Window; its second half mirrors the first.", "float hann[(FRAME_SIZE + 1) / 2]", half)


def _needs_whole_window(front_end: FrontEnd) -> bool:
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
    texts = [_literal("frame_size", value) if is_float else str(value) for value in values.flatten().tolist()]
    if values.ndim > 1:
        texts = [f"{{{real},_{imag}}}" for real, imag in zip(texts[::2], texts[1::2], strict=True)]
    indent = " " * 4
    lines = fill(", ".join(texts), _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    return f"/* {about} */\nstatic const {declaration} = {{\n{lines.replace('_', ' ')}\n}};\n"


@dataclass(frozen=True)
class _Plan:
    """What is special to one front end.

    Attributes:
        load: the function that copies raw values to where they are worked on.
        arrays: the arrays that hold them, by name.
        body: what the loop over the channels does.
    """

    load: str
    arrays: dict[str, str]
    body: str


def _array(name: str, size: int) -> dict[str, str]:
    return {name: f"static {'int16_t' if name.endswith('q15') else 'float'} {name}[{size}];\n"}


def _scaled(front_end: FrontEnd, row: str) -> str:
    return f"rows[{row}]" if front_end.scale is None else f"rows[{row}] / SCALE"


_LOAD_WINDOW = """\
/* The first window begins PADDING rows before the frame; zeros stand for them. */
static void load(const float *rows, int window, {kind} *out)
{{
    for (int i = 0; i < WINDOW_SIZE; i++) {{
        const int row = window * WINDOW_HOP + i - PADDING;
        out[i] = row < 0 ? 0 : {value};
    }}
}}
"""

_WINDOWS = """\
        for (int window = 0; window < WINDOWS; window++) {{
            load(rows, window, {scratch});
            {features}({scratch}, features + window);
        }}
        features += WINDOWS * WINDOW_FEATURES;"""


def _plan_of_windows(front_end: FrontEnd) -> _Plan:
    """The PIR steps: windows of a frame, each in the array that its spectrum takes."""
    value = _scaled(front_end, "row")
    size = int(front_end.settings["fft_size"])
    if "PIR_FE_Q15" in front_end.names:
        # Rounded before the offset is taken off: that would make a half of a number that is close to one.
        load = _LOAD_WINDOW.format(kind="int16_t", value=f"to_int16(rintf({value}) - OFFSET)")
        body = _WINDOWS.format(scratch="scratch_q15", features="pir_features_q15")
        return _Plan(load, _array("scratch_q15", size + 2), body)
    load = _LOAD_WINDOW.format(kind="float", value=value)
    return _Plan(load, _array("scratch", size + 2), _WINDOWS.format(scratch="scratch", features="pir_features"))


def _plan_of_frames(front_end: FrontEnd) -> _Plan:
    chain = _Chain(front_end)
    arrays = {name: text for name, size in chain.sizes.items() for name, text in _array(name, size).items()}
    if front_end.num_frames == 1:
        body = "\n".join(f"        {call}" for call in chain.calls)
    else:
        calls = "\n".join(f"            {call}" for call in chain.calls)
        body = f"        for (int frame = 0; frame < FRAMES; frame++) {{\n{calls}\n        }}"
    return _Plan(_load_of_frame(front_end), arrays, body)


_LOAD_FRAME = """\
static void load(const float *rows, {kind} *out)
{{
{mean}    for (int i = 0; i < FRAME_SIZE; i++) {{
        out[i] = {value};
    }}
}}
"""

_MEAN = """\
    running_sum total = {{0.0f, 0.0f}};
    for (int i = 0; i < FRAME_SIZE; i++) {{
        add(&total, {value});
    }}
    const float mean = total.sum / (float)FRAME_SIZE;
"""


def _load_of_frame(front_end: FrontEnd) -> str:
    """The function that copies a frame, with the steps that take one value at a time."""
    names = set(front_end.names)
    value, mean = _scaled(front_end, "i"), ""
    if "WINDOWING" in names:
        whole, half = "hann[i]", "hann[i < FRAME_SIZE / 2 ? i : FRAME_SIZE - 1 - i]"
        value += f" * {whole if _needs_whole_window(front_end) else half}"
    if "FFT_Q15" not in names:
        return _LOAD_FRAME.format(kind="float", mean=mean, value=value)
    if _has_mean_to_remove(front_end):
        # Here, where the rows are at hand: afterwards an array of floats would be needed.
        value, mean = f"{value} - mean", _MEAN.format(value=value)
    value = f"{'to_q15' if 'TO_Q15' in names else 'to_int16'}({value})"
    return _LOAD_FRAME.format(kind="int16_t", mean=mean, value=value)


def _has_mean_to_remove(front_end: FrontEnd) -> bool:
    return "RAW_FE" in front_end.names and bool(front_end.settings["dc_remove"])


class _Chain:
    """The calls for a frame, step by step, and where its values are between them.

    The last step that changes the number of values writes them to the features, where the steps after it work; the
    steps before it work in an array for one frame.

    Attributes:
        calls: statements of C.
        sizes: how long the arrays have to be, by name.
    """

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end
        self.names = set(front_end.names)
        self.calls: list[str] = []
        self.sizes: dict[str, int] = {}
        self._size = front_end.frame_size or 0
        self._last = self._last_resizing()
        is_fixed = "FFT_Q15" in self.names
        self._place = "features" if self._last is None else "scratch_q15" if is_fixed else "scratch"
        self._first = 0  # value of the array that counts
        self._resize(self._size, "FRAME_SIZE")
        self._call("load(rows + frame * FRAME_HOP, {values})" if front_end.num_frames > 1 else "load(rows, {values})")
        for name in front_end.names:
            step = getattr(self, f"_{name.lower()}", None)
            if step is not None:
                step()
        listed = [name for name in front_end.names if name in STATISTICS]
        if listed:
            self._statistics(listed)
        self.calls.append(f"features += {self._words};")

    def _last_resizing(self) -> str | None:
        """The last step that changes the number of values; statistics run after all others."""
        if self.names & set(STATISTICS):
            return "STATISTICS"
        resizing = {"Q15_MAG", "DC_REMOVE", "BIN_Q15", "BINNING", *(["ABS"] if "FFT_FE" in self.names else [])}
        return next((name for name in reversed(self.front_end.names) if name in resizing), None)

    @property
    def _is_fixed(self) -> bool:
        """Whether the values are int16 now."""
        return self._place == "scratch_q15"

    @property
    def _is_whole(self) -> bool:
        """Whether the values are whole numbers now, which float holds."""
        return "TO_Q15" in self.names and "FFT_FE" not in self.names

    @property
    def _values(self) -> str:
        return f"{self._place} + {self._first}" if self._first else self._place

    def _call(self, call: str) -> None:
        self.calls.append(call.format(values=self._values, count=self._words) + ";")

    def _move(self, step: str, call: str, count: int, words: str) -> None:
        """Add the call of a step that writes ``count`` values, in C ``words``, elsewhere or over the old ones."""
        values, old_words = self._values, self._words
        self._place, self._first = "features" if step == self._last else "scratch", 0
        self._resize(count, words)
        self.calls.append(call.format(values=values, count=old_words, out=self._place) + ";")

    def _resize(self, count: int, words: str) -> None:
        self._count, self._words = count, words
        self._need(count)

    def _need(self, count: int) -> None:
        if self._place != "features":
            self.sizes[self._place] = max(self.sizes.get(self._place, 0), self._first + count)

    def _make_float(self, step: str = "") -> None:
        if self._is_fixed:
            self._move(step, "to_float({values}, {out}, {count})", self._count, self._words)

    def _raw_fe(self) -> None:
        if _has_mean_to_remove(self.front_end) and not self._is_fixed:
            self._call("remove_mean({values}, {count})")

    def _to_q15(self) -> None:
        if not self._is_fixed:
            self._call("round_to_q15({values}, {count})")

    def _fft_q15(self) -> None:
        self._need(self._size + 2)
        self._call("fft_q15({values})")

    def _q15_scale(self) -> None:
        bits = self.front_end.settings["q15_scale_factor"]
        if bits != 0:
            self._call(f"shift_{'left' if bits > 0 else 'right'}({{values}}, 2 * Q15_BINS)")

    def _q15_mag(self) -> None:
        self._call("magnitudes_q15({values})")
        self._resize(self._size // 2 + 1, "Q15_BINS")
        if self._last == "Q15_MAG":
            self._make_float("Q15_MAG")

    def _fft_fe(self) -> None:
        self._need(2 * (self._size // 2 + 1))
        self._call("real_fft({values})")

    def _normalize(self) -> None:
        self._call("divide({values}, 2 * BINS, FRAME_SIZE)")

    def _round_off(self) -> None:
        if "FFT_FE" in self.names:
            self._call("round_off({values}, 2 * BINS)")
        elif not self._is_fixed and not self._is_whole:
            self._call("round_off({values}, {count})")

    def _abs(self) -> None:
        if "FFT_FE" in self.names:
            self._magnitudes()
        elif self._is_whole and "FFT_Q15" not in self.names:
            self._call("absolute_q15({values}, {count})")
        elif "FFT_Q15" not in self.names:
            self._call("absolute({values}, {count})")

    def _magnitudes(self) -> None:
        is_half = "FFT_POS_HALF" in self.names
        count, words = (self._size // 2 + 1, "BINS") if is_half else (self._size, "FRAME_SIZE")
        self._move("ABS", "magnitudes({values}, {out})", count, words)
        if not is_half:
            self._call("mirror({values})")

    def _dc_remove(self) -> None:
        self._first += 1
        self._count, self._words = self._count - 1, f"{self._words} - 1"
        if self._last == "DC_REMOVE":
            function = "to_float" if self._is_fixed else "copy"
            self._move("DC_REMOVE", f"{function}({{values}}, {{out}}, {{count}})", self._count, self._words)

    def _bin_q15(self) -> None:
        groups, width, first = _group_sizes(self.front_end)
        if first + groups * width > self._count:
            self.calls.append(f"{self._place}[Q15_BINS] = 0; /* the last group reaches one bin beyond the spectrum */")
        self._move("BIN_Q15", "group_means_q15({values}, {out})", groups, "GROUPS")

    def _binning(self) -> None:
        self._make_float()
        self._move("BINNING", "group_sums({values}, {out})", _group_sizes(self.front_end)[0], "GROUPS")
        if self.front_end.settings["normalize_bin"]:
            self._call("divide({values}, {count}, GROUP_WIDTH)")

    def _log_db(self) -> None:
        self._make_float()
        self._call("log_db({values}, {count})")

    def _statistics(self, listed: Sequence[str]) -> None:
        self._make_float()
        chunks = self._count // self.front_end.settings["kurt_chunk_size"]
        fft_size = _fft_size(self.front_end)
        sizes = {"KURT_FE": chunks, "DOM_FE": min(2, fft_size // 2)}
        first = {name: sum(sizes.get(before, 1) for before in listed[:i]) for i, name in enumerate(listed)}
        count = sum(sizes.get(name, 1) for name in listed)
        if "KURT_FE" in listed:
            self._call(f"kurtosis({{values}}, {chunks}, features + {first['KURT_FE']})")
        if "ZCR_FE" in listed:
            self._call(f"features[{first['ZCR_FE']}] = sign_changes({{values}}, {{count}}) / (float)({{count}})")
        if "SLOPE_FE" in listed:
            self._call(f"features[{first['SLOPE_FE']}] = slope_changes({{values}}, {{count}}) / (float)({{count}} - 1)")
        if _SPECTRAL & set(listed):
            self._spectral_statistics(first, fft_size)
        self._words = str(count)

    def _spectral_statistics(self, first: Mapping[str, int], fft_size: int) -> None:
        """Last of the statistics, because the spectrum takes the place of the values."""
        self._need(2 * (fft_size // 2 + 1))
        if self._count < fft_size:
            self._call("fill_up({values}, {count})")
        self._call("real_fft({values})")
        self._call("magnitudes({values}, {values})")
        if "ENT_FE" in first:
            self._call(f"features[{first['ENT_FE']}] = spectral_entropy({{values}})")
        if "DOM_FE" in first:
            has_one_bin = fft_size // 2 == 1
            dominant = f"dominant_frequencies({{values}}, features + {first['DOM_FE']})"
            self._call(f"features[{first['DOM_FE']}] = HERTZ_PER_BIN" if has_one_bin else dominant)
