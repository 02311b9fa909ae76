"""The front end as C99, for firmware: what ``FrontEnd`` computes, with every size a constant.

The files ``c/front_end_*.c`` hold the functions. A front end gets those that its steps need, the constants and tables
that these need, and a loop over channels and frames.

Fixed-point steps give the same bits. Floating-point steps give the same but for rounding: sums have another order, and
the PIR steps take fewer transforms.
"""

import re
from collections.abc import Mapping
from importlib.resources import files
from textwrap import fill

import torch

from nas_lightning.data.features import FrontEnd
from nas_lightning.errors import InputError
from nas_lightning.export.front_end.constants import WIDTH, fixed_fft_size, float_fft_size, is_pir, macros
from nas_lightning.export.front_end.plan import plan_of_frames, plan_of_windows
from nas_lightning.export.front_end.tables import is_fast, tables_of
from nas_lightning.export.texts import filled

_INCLUDES = {"math.h": r"\b(rintf|sqrtf|logf|fabsf|isnan)\(", "stdint.h": r"\bu?int(16|32|64)_t\b"}


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
        raise InputError("`frame_size`: is null; C code needs frames of a fixed size")
    if channels < 1:
        raise InputError(f"`variables`: found {channels} channels; allowed: 1 or more")
    with torch.no_grad():
        out_channels, length = front_end(torch.zeros(1, channels, front_end.rows)).shape[1:]
    if out_channels * length == 0:
        raise InputError(f"`feat_ext_transform`: {front_end.names} leaves no feature")
    sizes = {"CHANNELS": channels, "ROWS": front_end.rows, "FEATURES": out_channels * length}
    words = {"STEPS": _list_of_steps(front_end), "SHAPE": f"{out_channels} x {length}"}
    header = filled("feature_extraction.h", words | {name: str(size) for name, size in sizes.items()})
    return {"feature_extraction.h": header, "feature_extraction.c": _source(front_end)}


def _list_of_steps(front_end: FrontEnd) -> str:
    scale = [] if front_end.scale is None else [f"rows divided by {front_end.scale:g}"]
    steps = ", ".join([*scale, *front_end.names]) or "none, the rows as they are"
    return fill(f"Steps: {steps}.", WIDTH).replace("\n", "\n * ")


def _source(front_end: FrontEnd) -> str:
    plan = plan_of_windows(front_end) if is_pir(front_end) else plan_of_frames(front_end)
    run = filled("feature_extraction_run.c", {"BODY": plan.body})
    pieces = {**macros(front_end), **tables_of(front_end), **plan.arrays, **_functions(front_end), "load(": plan.load}
    needed = _needed(pieces, run)
    defines = "".join(text for text in needed if text.startswith("#define"))
    others = [text for text in needed if not text.startswith("#define")]
    code = "\n".join([*([defines] if defines else []), *others, run])
    includes = [f"#include <{name}>\n" for name, pattern in _INCLUDES.items() if re.search(pattern, code)]
    return "\n".join(
        [
            '#include "feature_extraction.h"\n',
            filled("no_fast_math.c", {}),
            *(["".join(includes)] if includes else []),
            code,
        ]
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
    is_power_of_4 = fixed_fft_size(front_end).bit_length() % 2 == 0  # the points of the transform, half its values
    names = ["steps", "fft" if is_fast(float_fft_size(front_end)) else "dft", "statistics", "pir"]
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
