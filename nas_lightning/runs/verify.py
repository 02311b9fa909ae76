"""``nas-lightning verify deploy.zip``: the parity tests once more, on any machine, with nothing but the archive.

An archive may be a stranger's. Of what it holds only the ONNX files run, in a process of its own and if they hold no
other operators than are written here. C text is written anew from them by this package, and compiled with its own
Makefile and programs; the text of the archive is compared with it.
"""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, ValueInfoProto

from nas_lightning import progress
from nas_lightning.data.archive import checked_members
from nas_lightning.errors import InputError, ParityError, said_of
from nas_lightning.export import emulator, host, session
from nas_lightning.export.allowed import read_model
from nas_lightning.export.bundle import unpack_bundle
from nas_lightning.export.confined import LIMITS, MOST_BYTES, run_confined
from nas_lightning.export.firmware import FLOAT, INTEGER, SOURCES, Sources, Vectors, writers
from nas_lightning.export.limits import shown
from nas_lightning.export.rebuild import (
    copy_with_templates,
    difference,
    parse_sources,
    parse_writers,
    rebuild,
)
from nas_lightning.files import read_json
from nas_lightning.tasks.decisions import Decision

Array = NDArray[np.float32]

_NEEDED = (
    *("model.onnx", "model_int8.onnx", "vectors.npz", "cost.json", "metrics.json", f"firmware/{INTEGER}"),
    *("firmware/model.h", "firmware/model.c", "firmware/model_float.c"),
)
_NUM_EMULATED = 4
_NUM_TOGETHER = 16
_MOST_OTHER = 0.1  # of the samples, whose int8 logits rounding in the front end may change
_MOST_SAMPLES = 4096
_MOST_NETWORK = 32 << 20  # bytes, far more than any microcontroller holds
_MOST_VECTORS = 64 << 20  # bytes, if they are constant and pack to nothing
_ONNX = LIMITS


@dataclass(frozen=True)
class _Archive:
    """What an unpacked archive holds, checked.

    Attributes:
        folder: where it lies.
        vectors: samples, and what they give.
        whole: what ``model.onnx`` takes: rows, or inputs of the network.
        networks: ONNX files that nothing runs yet, by name.
        core: that was measured; None if none was.
        is_int8: whether the measured numbers are.
        tolerance: of the front end.
    """

    folder: Path
    vectors: Vectors
    whole: Array
    networks: dict[str, ModelProto]
    core: str | None
    is_int8: bool
    tolerance: float


def verify(path: Path, trust: bool = False) -> list[str]:
    """Unpack a bundle, compare its checksums, and run its networks on its samples; print a line for each test.

    Compared are the results that the archive holds, those of the ONNX files, and those of the C files compiled on this
    machine and, where the tools are installed, in the emulated core that was measured.

    Args:
        path: of ``deploy.zip``; a stranger may have made it.
        trust: whether the C files of the archive may be compiled and run where they cannot be written anew.

    Returns:
        The lines.

    Raises:
        InputError: if the archive is damaged, or holds what is never written here.
        ParityError: if anything computes something else here, or the C files are not those of the networks.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        unpack_bundle(path, folder)
        lines = [f"{path}: checksums hold"]
        print(lines[0])
        for line in _tests(_read(folder), trust):
            print(line, flush=True)
            lines.append(line)
    return lines


def _read(folder: Path) -> _Archive:
    """Check all that is read of an archive, before anything of it is used."""
    for name in _NEEDED:
        if not (folder / name).is_file():
            raise InputError(f"deploy.zip: has no {name}; give the archive of a run with compilation.enable=true")
    vectors = _read_vectors(folder / "vectors.npz")
    limits = dict.fromkeys(("model.onnx", "model_int8.onnx"), MOST_BYTES)
    limits[f"firmware/{INTEGER}"] = _MOST_NETWORK
    if (folder / "firmware" / FLOAT).is_file():
        limits[f"firmware/{FLOAT}"] = _MOST_NETWORK
    networks = {name: read_model(folder, name, most) for name, most in limits.items()}
    core, is_int8 = _measured(_read_dict(folder, "cost.json"))
    report = _read_dict(folder, "metrics.json").get("firmware", {})
    tolerance = report.get("front_end_tolerance", host.TOLERANCE) if isinstance(report, dict) else None
    if not isinstance(tolerance, int | float) or not 0 < tolerance <= 1:
        raise InputError(f"metrics.json: firmware.front_end_tolerance is {shown(tolerance)}; allowed: above 0, up to 1")
    has_front_end = vectors.rows is not None and (folder / "front_end.json").is_file()
    whole = vectors.rows if vectors.rows is not None and has_front_end else vectors.inputs
    return _Archive(folder, vectors, whole, networks, core, is_int8, tolerance)


def _read_vectors(path: Path) -> Vectors:
    with said_of(f"{path.name}: cannot be read"):
        with zipfile.ZipFile(path) as archive:
            checked_members(path, archive, _MOST_VECTORS, path.name)
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    ranks = {"inputs": 3, "logits_float": 2, "logits_int8": 2}
    if not ranks.keys() <= arrays.keys():
        names = shown(", ".join(arrays))
        raise InputError(f"{path.name}: holds {names}; a bundle has inputs, logits_float and logits_int8")
    count = len(arrays["inputs"]) if arrays["inputs"].ndim else 0
    for name, rank in (ranks | ({"rows": 3} if "rows" in arrays else {})).items():
        array = arrays[name]
        if array.dtype != np.float32 or array.ndim != rank or not array.size or len(array) != count:
            raise InputError(
                f"{path.name}: {name} has shape {list(array.shape)} and type {array.dtype}; allowed: float32, {rank} "
                "axes, as many samples as inputs"
            )
    if count > _MOST_SAMPLES:
        raise InputError(f"{path.name}: holds {count:,} samples; allowed: {_MOST_SAMPLES:,}")
    if arrays["logits_float"].shape != arrays["logits_int8"].shape:
        raise InputError(f"{path.name}: logits_float and logits_int8 have other shapes")
    return Vectors(arrays.get("rows"), *(np.ascontiguousarray(arrays[name]) for name in ranks))


def _read_dict(folder: Path, name: str) -> dict[str, Any]:
    try:
        return read_json(folder / name)
    except InputError as error:
        raise InputError(f"{name}: cannot be read as a JSON object ({shown(error.__cause__)})") from error


def _measured(cost: dict[str, Any]) -> tuple[str | None, bool]:
    """The core that was measured, and whether in int8."""
    measured = cost.get("measured")
    if measured is None:
        return None, True
    found = (measured.get("core"), measured.get("numbers")) if isinstance(measured, dict) else (measured, None)
    for core in emulator.CORES:
        for numbers in ("int8", "float32"):
            if found == (core, numbers):
                return core, numbers == "int8"
    cores = ", ".join(emulator.CORES)
    raise InputError(f"cost.json: measured is {shown(found)}; allowed: a core of {cores}, and int8 or float32")


def _tests(archive: _Archive, trust: bool) -> Iterator[str]:
    vectors = archive.vectors
    count = len(vectors.inputs)
    found = host.compare(Path("model.onnx"), _run(archive, "model.onnx", archive.whole), vectors.logits_float)
    yield f"model.onnx: {count} samples, differs by at most {found:.2g}"
    int8 = _run(archive, "model_int8.onnx", archive.whole)
    wrong = int((int8 != vectors.logits_int8).any(1).sum())
    yield f"model_int8.onnx: {count} samples, {count - wrong} equal bit for bit"
    if wrong > (0 if archive.whole is vectors.inputs else _MOST_OTHER * count):
        raise ParityError(f"model_int8.onnx: computes other bits here on {wrong} of {count} samples")
    integer = _run(archive, f"firmware/{INTEGER}", vectors.inputs)
    host.check_bits(Path(INTEGER), integer, vectors.logits_int8, "vectors.npz")
    yield f"{INTEGER}: {count} samples, all equal bit for bit"
    firmware, line, decision = _firmware(archive, trust)
    yield line
    if firmware is not None:
        yield from _c_tests(archive, firmware, decision)
        yield from _emulated_tests(archive, firmware)


def _run(archive: _Archive, name: str, samples: Array, how: str = session.OPTIMIZED) -> Array:
    """What ONNX Runtime computes, in a process of its own: logits ``[N, K]``."""
    with progress.step(f"running {name}"):
        logits = run_confined(archive.folder, name, samples, how, _ONNX)
    expected = archive.vectors.logits_float[: len(samples)].shape
    if how == session.OPTIMIZED and (logits.shape != expected or logits.dtype != np.float32):
        raise ParityError(f"{name}: gives values of shape {list(logits.shape)}, not {list(expected)}")
    return logits


def _firmware(archive: _Archive, trust: bool) -> tuple[Path | None, str, Decision]:
    """The folder that may be compiled, if there is one, a line that says why, and what is decided, if that is known."""
    firmware, rebuilt, prefix = archive.folder / "firmware", archive.folder / "rebuilt", ""
    if not (firmware / SOURCES).is_file():
        why = f"it has no {SOURCES}: an older version wrote it"
    elif not (firmware / FLOAT).is_file():
        raise InputError(f"deploy.zip: has no firmware/{FLOAT}; give the archive of a run with compilation.enable=true")
    else:
        content = _read_dict(firmware, SOURCES)
        wrote, prefix = parse_writers(content)
        why = f"{_versions(wrote)} wrote it, and here are {_versions(writers())}"
        if wrote == writers():
            sources = parse_sources(content, archive.vectors)
            _check_metadata(archive, sources)
            _check_size(archive)
            floats, integer = (archive.networks[f"firmware/{name}"] for name in (FLOAT, INTEGER))
            rebuild(sources, floats, integer, archive.vectors, rebuilt)
            changed = difference(firmware, rebuilt)
            if changed is None:
                line = "firmware: all files as they are written here for these networks"
                return rebuilt, line, sources.description.decision
            why = f"{changed} is not as it is written here for these networks"
            if not trust:
                raise ParityError(f"firmware/{shown(changed)}: is not as it is written here for these networks")
    if trust:
        copy_with_templates(firmware, archive.folder / "trusted", prefix)
        return archive.folder / "trusted", f"firmware: C files of the archive, by --trust; {shown(why)}", Decision()
    line = f"firmware: not compiled, because {why}; verify with that version, or if you trust it with --trust"
    return None, line, Decision()


def _check_metadata(archive: _Archive, sources: Sources) -> None:
    """Let the ONNX files that others take say of their input what the C files say."""
    for name in ("model.onnx", "model_int8.onnx"):
        said = {entry.key: entry.value for entry in archive.networks[name].metadata_props}
        known = sources.description.metadata()
        if differs := sorted(key for key in said.keys() & known.keys() if said[key] != known[key]):
            raise ParityError(f"{name}: its metadata say another {differs[0]} than firmware/{SOURCES}")


def _versions(packages: dict[str, str]) -> str:
    return " and ".join(f"{shown(name)} {version}" for name, version in packages.items())


def _check_size(archive: _Archive) -> None:
    """Let all values of the integer network be computed at once within limits, as is done when its C is written."""
    name = f"firmware/{INTEGER}"
    model = ModelProto.FromString(archive.networks[name].SerializeToString())
    made = [output for node in model.graph.node for output in node.output if output != model.graph.output[0].name]
    model.graph.output.extend(ValueInfoProto(name=value) for value in made)
    (archive.folder / "all_values.onnx").write_bytes(model.SerializeToString())
    try:
        _run(archive, "all_values.onnx", archive.vectors.inputs[:1], session.AS_IT_IS)
    except InputError as error:
        raise InputError(f"{name}: no C can be written for it{str(error).removeprefix('all_values.onnx')}") from error


@contextmanager
def _as_parity(what: str) -> Iterator[None]:
    """Say in one sentence that something could not be compiled, or did not run to its end."""
    try:
        yield
    except ParityError:
        raise
    except (RuntimeError, ValueError, KeyError, OSError, subprocess.SubprocessError) as error:
        raise ParityError(f"{what}: cannot be compiled or run here ({shown(error)})") from error


def _c_tests(archive: _Archive, firmware: Path, decision: Decision) -> Iterator[str]:
    if missing := _missing(host.TOOLS):
        yield f"C files: not compiled, because {missing}"
        return
    vectors = archive.vectors
    count = len(vectors.inputs)
    with _as_parity("model.c"), host.host_program(firmware, "model.c") as program:
        host.check_bits(Path("model.c"), program(vectors.inputs), vectors.logits_int8, INTEGER)
    yield f"model.c: {count} samples, all equal bit for bit"
    with _as_parity("model_float.c"), host.host_program(firmware, "model_float.c") as program:
        found = host.compare(Path("model_float.c"), program(vectors.inputs), vectors.logits_float)
    yield f"model_float.c: {count} samples, differs by at most {found:.2g}"
    if vectors.rows is not None:
        path = Path("feature_extraction.c")
        with _as_parity(path.name), host.host_program(firmware, "model.c", host.FRONT_END) as program:
            found = host.compare(path, program(vectors.rows), vectors.inputs, archive.tolerance)
        yield f"{path}: {count} samples, differs by at most {found:.2g}"
    yield from _decision_tests(vectors, firmware, decision)


def _decision_tests(vectors: Vectors, firmware: Path, decision: Decision) -> Iterator[str]:
    """On the logits of the archive, as if every few of them were a recording."""
    if not decision.has_code:
        return
    begins = np.arange(len(vectors.inputs)) % _NUM_TOGETHER == 0
    with _as_parity("decision.c"):
        all_logits = (vectors.logits_int8, vectors.logits_float)
        count = sum(host.check_decision(firmware, decision, logits, begins) for logits in all_logits)
    yield f"decision.c: {count} decisions, all equal"


def _emulated_tests(archive: _Archive, firmware: Path) -> Iterator[str]:
    core, vectors = archive.core, archive.vectors
    if core is None:
        return
    if missing := _missing(emulator.TOOLS):
        yield f"{core}: not emulated, because {missing}"
        return
    model, logits = ("model.c", vectors.logits_int8) if archive.is_int8 else ("model_float.c", vectors.logits_float)
    inputs = vectors.inputs[:_NUM_EMULATED]
    with _as_parity(core):
        found = emulator.measure(firmware, core, model, inputs)
        tolerance = 0.0 if archive.is_int8 else host.TOLERANCE
        differs = host.compare(Path(f"{model} on {core}"), found.outputs, logits[:_NUM_EMULATED], tolerance)
    outcome = "all equal bit for bit" if archive.is_int8 else f"differs by at most {differs:.2g}"
    yield f"{core}: {len(inputs)} samples, {outcome}; {found.instructions:,} instructions"


def _missing(tools: tuple[str, ...]) -> str | None:
    """Why nothing can be compiled here."""
    if sys.platform == "win32":
        return "what a program takes cannot be limited on Windows"
    missing = host.missing_tools(tools)
    return f"{' and '.join(missing)} is not installed" if missing else None
