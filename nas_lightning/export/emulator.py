"""What the firmware takes on a core: linked by the Arm compiler, and run in QEMU.

QEMU executes instructions exactly and knows nothing of cycles, flash wait states or caches; so instructions are
counted, and never called cycles.
"""

import bisect
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from nas_lightning.cost.budget import milliseconds
from nas_lightning.export.host import EMPTY, NETWORK, make

TOOLS = ("make", "gcc", "arm-none-eabi-gcc", "qemu-system-arm")
"""What a measurement needs on PATH."""

CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33")
"""What can be measured, by the names that the compiler gives them."""

ASSUMPTION = (
    "one instruction a clock cycle; instructions were counted in an emulator, and a real core takes longer: "
    "loads, branches and divisions take several cycles, and flash has wait states"
)
"""What ``milliseconds`` rests on."""

_STACK_MARGIN = 64  # bytes, for what calls the network


FIGURES = ("flash_bytes", "ram_bytes", "stack_bytes", "instructions")
"""What is measured of each part."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a part of the firmware takes on a core.

    Attributes:
        flash_bytes: of the linked program, less that of the same program with an empty network.
        ram_bytes: static memory, less that of the same program with an empty network.
        stack_bytes: the most that one run used.
        instructions: of one run, the mean over the samples but the first.
        milliseconds: of one run on the device's clock, an estimate; None if the clock is not known.
        assumption: what the estimate rests on.
    """

    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    instructions: int
    milliseconds: float | None = None
    assumption: str | None = None


@dataclass(frozen=True, kw_only=True)
class Measured(Usage):
    """What came of a measurement.

    Attributes:
        outputs: of all samples, ``[N, ...]``.
        program_flash_bytes: of the whole program, with start-up code, and input and output by semihosting.
        program_ram_bytes: of the whole program, with the arrays for a sample and its result.
        functions: by name: bytes of code, and instructions of one run.
    """

    outputs: NDArray[np.float32]
    program_flash_bytes: int
    program_ram_bytes: int
    functions: Mapping[str, tuple[int, float]]

    def usage(self, clock_mhz: float | None) -> Usage:
        """What of it stands in ``cost.json``."""
        found = Usage(**{name: getattr(self, name) for name in FIGURES})
        if clock_mhz is None:
            return found
        return replace(found, milliseconds=milliseconds(self.instructions, clock_mhz), assumption=ASSUMPTION)


def compiler_version() -> str:
    """The Arm compiler and its version."""
    return _printed("gcc", "--version").splitlines()[0]


def _printed(tool: str, *arguments: str) -> str:
    """What one of the Arm tools prints."""
    command = [f"arm-none-eabi-{tool}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # nosec B603 # no shell, own arguments
    return done.stdout


def measure(firmware: Path, core: str, model: str, samples: NDArray[np.float32], chain: int = NETWORK) -> Measured:
    """Link a part of the firmware for a core and run it in QEMU.

    Args:
        firmware: the folder.
        core: one of ``CORES``.
        model: ``model.c`` or ``model_float.c``.
        samples: ``[N, ...]``; a single one runs twice.
        chain: which part.
    """
    given = len(samples)
    samples = samples if given > 1 else np.repeat(samples, 2, axis=0)
    with TemporaryDirectory() as folder:
        build, empty = Path(folder) / "measured", Path(folder) / "empty"
        first_counts, _, _ = _emulate(firmware, build, core, model, samples[:1], chain)
        counts, stack, outputs = _emulate(firmware, build, core, model, samples, chain)
        make(firmware, empty, "elf", MODEL=EMPTY, CORE=core, CHAIN=NETWORK)
        sizes, empty_sizes = _sizes(build / "measure.elf"), _sizes(empty / "measure.elf")
        symbols = _symbols(build / "measure.elf")
    per_run = {address: (n - first_counts.get(address, 0)) / (len(samples) - 1) for address, n in counts.items()}
    flash, empty_flash = (sum(found.get(name, 0) for name in _FLASH) for found in (sizes, empty_sizes))
    ram, empty_ram = (sum(found.get(name, 0) for name in _RAM) for found in (sizes, empty_sizes))
    return Measured(
        flash_bytes=flash - empty_flash,
        ram_bytes=ram - empty_ram,
        stack_bytes=stack,
        instructions=round(sum(per_run.values())),
        outputs=outputs[:given],
        program_flash_bytes=flash,
        program_ram_bytes=ram + sizes[".buffers"],
        functions=_by_function(symbols, per_run),
    )


def overflow(firmware: Path, core: str, model: str, chain: int, memories: Mapping[str, int]) -> dict[str, int]:
    """Link a part of the firmware for memories of the device's size: by how many bytes it exceeds them, {} if it fits.

    Args:
        firmware: the folder.
        core: one of ``CORES``.
        model: ``model.c`` or ``model_float.c``.
        chain: which part.
        memories: ``flash_bytes`` and ``ram_bytes`` of the device, and the ``stack_bytes`` that were needed.
    """
    sizes = {name.upper(): size for name, size in memories.items()}
    sizes["STACK_BYTES"] += _STACK_MARGIN
    with TemporaryDirectory() as folder:
        try:
            make(firmware, Path(folder), "elf", MODEL=model, CORE=core, CHAIN=chain, **sizes)
        except RuntimeError as error:
            found = re.findall(r"region `(\w+)' overflowed by (\d+) bytes?", str(error))
            if not found:
                raise
            return {f"{region.lower()}_bytes": int(count) for region, count in found}
    return {}


def _emulate(
    firmware: Path, build: Path, core: str, model: str, samples: NDArray[np.float32], chain: int
) -> tuple[dict[int, int], int, NDArray[np.float32]]:
    """Instructions by the address of their block, the stack that was needed, and the results."""
    build.mkdir(exist_ok=True)
    (build / "in.bin").write_bytes(np.ascontiguousarray(samples, dtype="<f4").tobytes())
    printed = make(firmware, build, "qemu", MODEL=model, CORE=core, CHAIN=chain)
    numbers = dict(line.split() for line in printed.splitlines() if line.count(" ") == 1)
    if int(numbers["samples"]) != len(samples):
        raise RuntimeError(f"{firmware}: {numbers['samples']} of {len(samples)} samples ran on {core}")
    counts: dict[int, int] = {}
    for line in (build / "instructions.txt").read_text().splitlines():
        address, count = line.split()
        counts[int(address, 16)] = counts.get(int(address, 16), 0) + int(count)
    return counts, int(numbers["stack_bytes"]), np.fromfile(build / "out.bin", "<f4").reshape(len(samples), -1)


_FLASH, _RAM = (".text", ".ARM.exidx", ".data"), (".data", ".bss")


def _sizes(elf: Path) -> dict[str, int]:
    """Bytes by section."""
    printed = _printed("size", "-A", str(elf))
    return {m[1]: int(m[2]) for m in re.finditer(r"^(\.[\w.]+)\s+(\d+)", printed, re.M)}


def _symbols(elf: Path) -> list[tuple[int, int, str]]:
    """Address, bytes and name of each function, by address."""
    printed = _printed("nm", "-S", str(elf))
    found = re.finditer(r"^([0-9a-f]+) ([0-9a-f]+) [tTwW] (\w+)", printed, re.M)
    return sorted((int(m[1], 16), int(m[2], 16), m[3]) for m in found)


def _by_function(symbols: list[tuple[int, int, str]], counts: Mapping[int, float]) -> dict[str, tuple[int, float]]:
    starts = [address for address, _, _ in symbols]
    found = {name: (size, 0.0) for _, size, name in symbols}
    for address, count in counts.items():
        _, size, name = symbols[bisect.bisect_right(starts, address) - 1]
        found[name] = (size, found[name][1] + count)
    return found
