"""TI parts without a free compiler or emulator (C2000, NPU): the command line of the vendor's own tool.

The command lines are those of TI's tinyml-tensorlab (commit ca0ef47): ``references/common/compilation.py`` and
``timeseries/constants.py``. Nothing of it was run here; the tool is not on a package registry.
"""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_lightning.cost.npu import NpuRow
from nas_lightning.files import write_text

FOLDER = "ti"
TOOL = "tvmc"


@dataclass(frozen=True)
class Compiler:
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
        return Compiler(found.program, found.mcpu, found.options.replace("fpu32", "fpu64"))
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
    (folder / FOLDER).mkdir()
    write_text(folder / FOLDER / "compile.sh", _script(name, compiler))
    write_text(folder / FOLDER / "README.md", _readme(name, core or "", npu, npu_report))
    return folder / FOLDER / "compile.sh"


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


def _script(name: str, compiler: Compiler) -> str:
    return f"""#!/bin/sh
# Compiles the float network for the CPU of {name} by TI's tool (ti_mcu_nnc). Not tested: it is not freely available.
set -e
cd "$(dirname "$0")"
tvmc compile ../../model.onnx -o mod.a \\
    --target="c, ti-npu type=soft skip_normalize=false output_int=false" --target-c-mcpu={compiler.mcpu} \\
    --executor=aot --executor-aot-interface-api=c --executor-aot-unpacked-api=1 --runtime=crt \\
    --pass-config tir.usmp.enable=1 --pass-config tir.usmp.algorithm=hill_climb --pass-config tir.disable_vectorize=1 \\
    --cross-compiler={compiler.program} --cross-compiler-options="{compiler.options}"
"""


_INTRODUCTION = """\
# {name}

Nothing in this folder was tested: there is no free compiler or emulator of this part. `compile.sh` is the command line
of TI's own tool for the float network on the CPU; it gives `mod.a` and `tvmgen_default.h`.
"""
_C28X = """\
A C28x has no 8-bit type, `char` has 16 bits: `../model.c` does not compile there. `../model_float.c` is plain C99 with
32-bit floats and integers; its results were checked on a PC, not on a C28x.
"""
_NPU = """\
The NPU takes a network only after TI's own quantization (`tinyml_torchmodelopt`, kind TINPU), which starts from the
float network (`nas_lightning.load(RUN_FOLDER)`); then `type=hard skip_normalize=true output_int=true` in `--target`.
Layers by TI's published rules:
"""


def _readme(name: str, core: str, npu: str | None, npu_report: Sequence[NpuRow]) -> str:
    parts = [_INTRODUCTION.format(name=name)]
    if core.startswith("C28x"):
        parts.append(_C28X)
    if npu is not None:
        rows = [f"| {row.layer} | {row.kind} | {_text(row)} |" for row in npu_report]
        parts += [_NPU, "\n".join(["| layer | kind | on the NPU |", "|---|---|---|", *rows]) + "\n"]
    return "\n".join(parts)


def _text(row: NpuRow) -> str:
    return "yes" if row.accelerated else f"no: {row.reason}"
