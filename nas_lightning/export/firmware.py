"""``firmware/``: a network as C files with test vectors, a Makefile for PCs and Cortex-M cores, and an example."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from nas_lightning.data.features import FrontEnd
from nas_lightning.export.emx import NAME, CNetwork, compile_network
from nas_lightning.export.front_end import front_end_sources
from nas_lightning.export.int8 import Entry, integer_core
from nas_lightning.files import write_bytes, write_json, write_text

Backend = Callable[[ModelProto], CNetwork]
"""What makes C of a network: an integer core or a float network in, its C text out."""

BACKENDS: dict[str, Backend] = {"emx": compile_network}

FLOAT, INTEGER, SOURCES = "model_float.onnx", "model_integer.onnx", "sources.json"
"""With ``vectors.npz`` all that the folder is written from: the two networks, and what else goes into the C files."""

NUM_VECTORS = 4
"""Samples that the example carries."""


@dataclass(frozen=True)
class Description:
    """What the comments and names of the C files say.

    Attributes:
        version: of the package that wrote them.
        identity: which network it is: the hash of its genotype.
        class_names: in the order of the logits.
    """

    version: str
    identity: str
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Vectors:
    """Samples, and what they give.

    Attributes:
        rows: raw rows ``[N, C, rows]`` if there is a front end.
        inputs: of the network, ``[N, C, L]``.
        logits_float: of the float network, ``[N, K]``.
        logits_int8: of the int8 network, ``[N, K]``.
    """

    rows: NDArray[np.float32] | None
    inputs: NDArray[np.float32]
    logits_float: NDArray[np.float32]
    logits_int8: NDArray[np.float32]


def write_firmware(
    folder: Path,
    network: ModelProto,
    integer: ModelProto,
    front_end: FrontEnd | None,
    vectors: Vectors,
    description: Description,
    backend: str = "emx",
) -> None:
    """Write the folder.

    Args:
        folder: made anew.
        network: the float network without its front end.
        integer: its integer form.
        front_end: whose C files are written, with frames of a fixed size; None if there is none.
        vectors: what the example and ``vectors.bin`` hold.
        description: for comments and names.
        backend: one of ``BACKENDS``.
    """
    copy_templates(folder)
    compile_model = BACKENDS[backend]
    core, entry = integer_core(integer)
    int8, floats = compile_model(core), compile_model(network)
    (_, channels, steps), classes = vectors.inputs.shape, vectors.logits_float.shape[1]
    write_text(folder / "model.h", _header(channels, steps, classes, description))
    write_text(folder / "model.c", _int8_source(int8, entry, channels, steps, description))
    write_text(folder / "model_float.c", _float_source(floats, description))
    write_text(folder / "vectors.h", _vectors_header(vectors))
    write_bytes(folder / "vectors.bin", vectors.inputs.astype("<f4").tobytes())
    if front_end is not None and vectors.rows is not None:
        for name, text in front_end_sources(front_end, vectors.rows.shape[1]).items():
            write_text(folder / name, text)
    for name, model in ((FLOAT, network), (INTEGER, integer)):
        write_bytes(folder / name, model.SerializeToString())
    write_json(folder / SOURCES, _sources(front_end, description, backend))


def copy_templates(folder: Path) -> None:
    """Make a folder anew with the Makefile, the programs and all else that is the same for all networks."""
    shutil.rmtree(folder, ignore_errors=True)
    with as_file(files("nas_lightning.export") / "c") as templates:
        shutil.copytree(templates, folder, ignore=shutil.ignore_patterns("front_end_*", "__pycache__", "__init__.py"))


def _sources(front_end: FrontEnd | None, description: Description, backend: str) -> dict[str, Any]:
    settings = None if front_end is None else front_end.settings
    return {"writers": writers(), "backend": backend, "description": asdict(description), "front_end": settings}


def writers() -> dict[str, str]:
    """The packages that the C files depend on, and their versions."""
    return {name: version(name) for name in ("nas-lightning", "emx-onnx-cgen")}


def _title(name: str, text: str, description: Description) -> str:
    return (
        f"/* {name}: {text}\n * nas_lightning {description.version}, network {description.identity}\n"
        f" * The functions of the network are written by {NAME}. */\n"
    )


def _header(channels: int, steps: int, classes: int, description: Description) -> str:
    names = ", ".join(c_string(name) for name in description.class_names)
    return f"""/* model.h: a classifier of time series, int8 (model.c) or float (model_float.c); link one of them.
 * nas_lightning {description.version}, network {description.identity} */
#ifndef MODEL_H
#define MODEL_H

#define MODEL_CHANNELS {channels}
#define MODEL_STEPS {steps}
#define MODEL_CLASSES {classes}
#define MODEL_CLASS_NAMES {{{names}}}

#ifdef __cplusplus
extern "C" {{
#endif

/* x: MODEL_STEPS values of the first channel, then those of the next one, in the unit of the recordings.
 * logits: MODEL_CLASSES values; the class is the largest. Not to be called again before it returns: it works in one
 * static arena, and takes no memory from a heap. */
void model_run(const float *x, float *logits);

#ifdef __cplusplus
}}
#endif
#endif
"""


def _int8_source(network: CNetwork, entry: Entry, channels: int, steps: int, description: Description) -> str:
    text = f"8-bit integers, {network.arena_bytes} bytes of arena"
    low, high = -128 - entry.zero_point, 127 - entry.zero_point
    return f"""{_title("model.c", text, description)}
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "model.h"

{network.text}
/* The normalisation of the input, and its quantization. */
static const float factor[MODEL_CHANNELS] = {_list(entry.factor)};
static const float offset[MODEL_CHANNELS] = {_list(entry.offset)};

static int8_t quantized(float value)
{{
    value = value / {c_float(entry.scale)};
    value = value > {low}.0f ? value : {low}.0f;
    value = value < {high}.0f ? value : {high}.0f;
    return (int8_t)((int32_t)((value + 12582912.0f) - 12582912.0f) + {entry.zero_point}); /* half to even */
}}

void model_run(const float *x, float *logits)
{{
    int8_t *const input = arena + {network.input_offset};
    for (int c = 0; c < MODEL_CHANNELS; ++c) {{
        for (int t = 0; t < MODEL_STEPS; ++t) {{
            const int i = c * MODEL_STEPS + t;
            input[i] = quantized(x[i] * factor[c] + offset[c]);
        }}
    }}
    network(input, logits);
}}
"""


def _float_source(network: CNetwork, description: Description) -> str:
    text = f"32-bit floats, {network.arena_bytes} bytes of arena"
    return f"""{_title("model_float.c", text, description)}
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "model.h"

{network.text}
void model_run(const float *x, float *logits)
{{
    network(x, logits);
}}
"""


def _vectors_header(vectors: Vectors) -> str:
    sizes = ("MODEL_CHANNELS * MODEL_STEPS", "MODEL_CLASSES", "MODEL_CLASSES")
    tables = [("input", sizes[0], vectors.inputs)]
    tables += [("float", sizes[1], vectors.logits_float), ("int8", sizes[2], vectors.logits_int8)]
    if vectors.rows is not None:
        tables.insert(0, ("rows", str(vectors.rows[0].size), vectors.rows))
    count = min(NUM_VECTORS, len(vectors.inputs))
    lines = ["/* vectors.h: samples of the data, and what the network gives for them. */", f"#define VECTORS {count}"]
    for name, size, values in tables:
        rows = ",\n    ".join(_list(row.flatten()) for row in values[:count])
        lines.append(f"static const float vectors_{name}[VECTORS][{size}] = {{\n    {rows}}};")
    return "\n".join(lines) + "\n"


def _list(values: NDArray[np.float32]) -> str:
    return "{" + ", ".join(c_float(value) for value in values) + "}"


def c_float(value: np.float32) -> str:
    """A float as C reads it back without a difference.

    >>> c_float(np.float32(0.1)), c_float(np.float32(3))
    ('0.1f', '3.0f')
    """
    return str(np.float32(value)) + "f"


def c_string(text: str) -> str:
    r"""A string literal of C99 in UTF-8, whatever is in it.

    >>> print(c_string('a "b" ??/ é'))
    "a \042b\042 \077\077/ \303\251"
    """
    plain = set(map(chr, range(32, 127))) - set('"\\?')
    return '"' + "".join(chr(b) if chr(b) in plain else f"\\{b:03o}" for b in text.encode()) + '"'
