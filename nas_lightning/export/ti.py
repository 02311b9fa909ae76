"""TI parts without a free compiler or emulator (C2000, NPU): the command line of the vendor's own tool.

The command lines are those of TI's tinyml-tensorlab (commit ca0ef47): ``references/common/compilation.py`` and
``timeseries/constants.py``. Nothing of it was run here; the tool is not on a package registry.
"""

import shutil
import subprocess
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from nas_lightning.cost.npu import NpuRow
from nas_lightning.files import write_text

FOLDER = "ti"
TOOL = "tvmc"


class Compiler(NamedTuple):
    """A compiler of the vendor: its name, its name of the core, and its options."""

    program: str
    mcpu: str
    options: str


_COMPILERS = {
    "C28x": Compiler("cl2000", "c28", "-O3 --opt_for_speed=5 --c99 -v28 -ml -mt --float_support=fpu32"),
    "C29x": Compiler("c29clang", "c29", "-O3"),
    "Cortex-M0+": Compiler("tiarmclang", "cortex-m0plus", "-Os -mcpu=cortex-m0plus -mfloat-abi=soft"),
    "Cortex-M33": Compiler("tiarmclang", "cortex-m33", "-O3 -mcpu=cortex-m33 -mfpu=fpv5-sp-d16"),
    "Cortex-M4F": Compiler("tiarmclang", "cortex-m4", "-O3 -mcpu=cortex-m4 -mfpu=fpv4-sp-d16"),
    "Cortex-R5F": Compiler("tiarmclang", "cortex-r5", "-O3 -mcpu=cortex-r5"),
}
_FPU64 = ("F28P65",)


def compiler_of(name: str, core: str | None) -> Compiler | None:
    """The compiler for a device, by its name and core; None if there is none here."""
    words = (core or "").split()  # "C28x + Cortex-M4", "Cortex-R5F x4": the first core
    found = _COMPILERS.get(words[0]) if words else None
    if found is not None and name in _FPU64:
        return found._replace(options=found.options.replace("fpu32", "fpu64"))
    return found


def is_needed(core: str | None, npu: str | None) -> bool:
    """Whether a device is one that only the vendor's tool serves fully: a C2000, or one with an NPU."""
    return npu is not None or (core or "").startswith(("C28x", "C29x"))


def write_ti(folder: Path, name: str, core: str | None, npu: str | None, npu_report: Sequence[NpuRow]) -> Path | None:
    """Write ``ti/compile.sh`` and ``ti/README.md`` in the firmware folder; None if no compiler is known for the core.

    Args:
        folder: the firmware folder.
        name: of the device.
        core: of the device.
        npu: of the device; None if it has none.
        npu_report: a row for each layer, from ``cost.json``.
    """
    compiler = compiler_of(name, core)
    if compiler is None:
        return None
    parts = ["README.md", *(["c28x.md"] if (core or "").startswith("C28x") else []), *(["npu.md"] if npu else [])]
    rows = "".join(f"| {row.layer} | {row.kind} | {_text(row)} |\n" for row in npu_report)
    words = {"NAME": name, **{key.upper(): value for key, value in compiler._asdict().items()}}
    (folder / FOLDER).mkdir()
    write_text(folder / FOLDER / "README.md", "\n".join(_template(part, words) for part in parts) + rows)
    write_text(folder / FOLDER / "compile.sh", _template("compile.sh", words))
    return folder / FOLDER / "compile.sh"


def _template(name: str, words: dict[str, str]) -> str:
    text = (files("nas_lightning.export") / "c" / FOLDER / name).read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text


def _text(row: NpuRow) -> str:
    return "yes" if row.accelerated else f"no: {row.reason}"


def run_tool(script: Path) -> str | None:
    """Run the script if the tool is on PATH; what came of it in a line, None without the tool."""
    if shutil.which(TOOL) is None:
        return None
    command = ["sh", script.name]
    done = subprocess.run(  # nosec B603 # the script that this module wrote
        command, cwd=script.parent, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return f"{TOOL}: wrote {script.parent / 'mod.a'}"
    lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
    return f"{TOOL}: ended with status {done.returncode}: {lines[-1]}"
