"""``firmware/``: a network as C files with test vectors, a Makefile for PCs and Cortex-M cores, and an example."""

import shutil
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from textwrap import indent
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from nas_lightning.data.features import FrontEnd
from nas_lightning.export.backends import BACKENDS
from nas_lightning.export.contract import InputDescription
from nas_lightning.export.decision import decision_sources
from nas_lightning.export.emx import NAME, CNetwork
from nas_lightning.export.front_end import front_end_sources
from nas_lightning.export.int8 import Entry, integer_core
from nas_lightning.export.texts import c_float, c_list, filled, header, readme, with_prefix
from nas_lightning.files import write_bytes, write_json, write_text
from nas_lightning.tasks.base import InC

FLOAT, INTEGER, SOURCES = "model_float.onnx", "model_integer.onnx", "sources.json"
PACKAGE = "nas-lightning"
"""With ``vectors.npz`` all that the folder is written from: the two networks, and what else goes into the C files."""

NUM_VECTORS = 4
"""Samples that the example carries."""


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


@dataclass(frozen=True)
class Sources:
    """What the C files are written from besides networks and vectors; ``to_dict`` is the content of ``sources.json``.

    Attributes:
        description: of what goes in and comes out.
        front_end: whose C files there are, with frames of a fixed size; None if there are none.
        backend: one of ``BACKENDS``.
        prefix: before the names of functions and macros, so that several networks can be linked into one program.
    """

    description: InputDescription
    front_end: FrontEnd | None = None
    backend: str = "emx"
    prefix: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, with the versions of the writers."""
        settings = None if self.front_end is None else self.front_end.settings
        about = {"description": self.description.to_dict(), "front_end": settings}
        return {"writers": writers(), "backend": self.backend, "prefix": self.prefix, **about}


def write_firmware(folder: Path, network: ModelProto, integer: ModelProto, vectors: Vectors, sources: Sources) -> None:
    """Write the folder.

    Args:
        folder: made anew.
        network: the float network without its front end.
        integer: its integer form.
        vectors: what the example and ``vectors.bin`` hold.
        sources: all else; a front end without raw rows is left out.
    """
    sources = sources if vectors.rows is not None else replace(sources, front_end=None)
    prefix, front_end, outputs = sources.prefix, sources.front_end, sources.description.outputs.in_c
    samples = vectors.inputs if front_end is None else vectors.rows
    assert samples is not None  # nosec B101 # for mypy: there are rows where there is a front end
    about = sources.description.of_rows(*samples.shape[1:])
    copy_templates(folder, outputs, prefix)
    core, entry = integer_core(integer)
    int8, floats = BACKENDS[sources.backend](core), BACKENDS[sources.backend](network)
    channels, steps = vectors.inputs.shape[1:]
    write_text(folder / "README.md", readme(front_end is not None, about, prefix))
    write_text(folder / "model.h", header(channels, steps, front_end is not None, about, prefix))
    write_text(folder / "model.c", _int8_source(int8, entry, about, prefix))
    text = f"32-bit floats, {floats.arena_bytes} bytes of arena"
    run = with_prefix("void model_run(const float *x, float *logits)\n{\n    network(x, logits);\n}\n", prefix)
    write_text(folder / "model_float.c", _source("model_float.c", text, None, floats, about, run))
    for name, source in decision_sources(about, prefix).items():
        write_text(folder / name, source)
    write_text(folder / "vectors.h", with_prefix(_vectors_header(vectors, outputs.count), prefix))
    write_bytes(folder / "vectors.bin", vectors.inputs.astype("<f4").tobytes())
    if front_end is not None:
        for name, text in front_end_sources(front_end, samples.shape[1]).items():
            write_text(folder / name, with_prefix(text, prefix))
    for name, model in ((FLOAT, network), (INTEGER, integer)):
        write_bytes(folder / name, model.SerializeToString())
    write_json(folder / SOURCES, sources.to_dict())


def copy_templates(folder: Path, outputs: InC, prefix: str = "") -> None:
    """Make a folder anew with the Makefile, the programs and all else that is the same for all networks of a task."""
    shutil.rmtree(folder, ignore_errors=True)
    others = shutil.ignore_patterns("front_end_*", "filled", "__pycache__", "__init__.py")
    with as_file(files("nas_lightning.export") / "c") as templates:
        shutil.copytree(templates, folder, ignore=others)
    for path in (*folder.rglob("*.c"), *folder.rglob("*.h")):
        text = path.read_text(encoding="utf-8").replace("MODEL_OUTPUTS", outputs.count)
        text = text.replace("@EXAMPLE@", indent(outputs.example, " " * 8).lstrip())
        write_text(path, with_prefix(text, prefix))


def writers() -> dict[str, str]:
    """The packages that the C files depend on, and their versions."""
    return {name: version(name) for name in (PACKAGE, "emx-onnx-cgen")}


def _int8_source(network: CNetwork, entry: Entry, description: InputDescription, prefix: str) -> str:
    text = f"8-bit integers, {network.arena_bytes} bytes of arena"
    words = {name.upper(): c_list(map(c_float, getattr(entry, name))) for name in ("mean", "factor", "offset")}
    words |= {"SCALE": c_float(entry.scale), "ZERO_POINT": str(entry.zero_point)}
    words |= {"LOW": str(-128 - entry.zero_point), "HIGH": str(127 - entry.zero_point)}
    run = filled("model_run.c", words | {"INPUT_OFFSET": str(network.input_offset)}, prefix)
    return _source("model.c", text, "<limits.h>", network, description, run)


def _source(
    name: str, text: str, include: str | None, network: CNetwork, description: InputDescription, run: str
) -> str:
    title = (
        f"/* {name}: {text}\n * nas_lightning {description.version}, network {description.identity}\n"
        f" * The functions of the network are written by {NAME}. */\n"
    )
    names = ["<float.h>", *([include] if include else []), "<math.h>", "<stdint.h>", "<string.h>", '"model.h"']
    includes = "\n".join(f"#include {each}" for each in names)
    return f"{title}\n{includes}\n\n{network.text}\n{run}"


def _vectors_header(vectors: Vectors, count_macro: str) -> str:
    tables = [("input", "MODEL_CHANNELS * MODEL_STEPS", vectors.inputs)]
    tables += [("float", count_macro, vectors.logits_float), ("int8", count_macro, vectors.logits_int8)]
    if vectors.rows is not None:
        tables.insert(0, ("rows", str(vectors.rows[0].size), vectors.rows))
    count = min(NUM_VECTORS, len(vectors.inputs))
    lines = ["/* vectors.h: samples of the data, and what the network gives for them. */", f"#define VECTORS {count}"]
    for name, size, values in tables:
        rows = ",\n    ".join(c_list(map(c_float, row.flatten())) for row in values[:count])
        lines.append(f"static const float vectors_{name}[VECTORS][{size}] = {{\n    {rows}}};")
    return "\n".join(lines) + "\n"
