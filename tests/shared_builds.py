"""Each program of the firmware is compiled once in a session: the same files give the same program.

What is there already is laid into the folder of the build, newer than its sources, so that the real ``make`` finds it
up to date; it still runs what the target runs. Everything else is compiled as ever.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

BUILT = {"check": ("check",), "elf": ("measure.elf", "linked.ld", "measure.map")}
BUILT["qemu"] = (*BUILT["elf"], "count.so")
"""By target what the compilers write."""


def key_of(firmware: Path, target: str, variables: dict[str, str | int]) -> str:
    """All that a build depends on: every file, the settings, and the tools that are found."""
    found = hashlib.sha256(repr((target, sorted(variables.items()), os.environ["PATH"])).encode())
    for path in sorted(firmware.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            found.update(repr((str(path.relative_to(firmware)), len(data))).encode() + data)
    return found.hexdigest()


def sharing(make: Callable[..., str], store: Path) -> Callable[..., str]:
    """``nas_lightning.export.host.make``, with what it compiled before."""

    def call(firmware: Path, build: Path, target: str, **variables: str | int) -> str:
        if target not in BUILT:
            return make(firmware, build, target, **variables)
        kept = store / key_of(firmware, target, variables)
        if kept.is_dir() and not any((build / name).exists() for name in BUILT[target]):
            build.mkdir(exist_ok=True)
            for name in BUILT[target]:
                shutil.copy(kept / name, build / name)  # without its time
        printed = make(firmware, build, target, **variables)
        if not kept.is_dir():
            kept.mkdir()
            for name in BUILT[target]:
                shutil.copy(build / name, kept / name)
        return printed

    return call
