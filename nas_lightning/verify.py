"""``nas-lightning verify deploy.zip``: the parity tests once more, on any machine, with nothing but the archive."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from nas_lightning.errors import InputError
from nas_lightning.export import emulator, host
from nas_lightning.export.bundle import unpack_bundle
from nas_lightning.export.onnx import run_onnx
from nas_lightning.files import read_json

Arrays = dict[str, NDArray[np.float32]]

_NEEDED = (
    *("model.onnx", "model_int8.onnx", "vectors.npz", "cost.json", "metrics.json", "firmware/model_integer.onnx"),
    *("firmware/Makefile", "firmware/model.c", "firmware/model_float.c"),
)
_NUM_EMULATED = 4
_MOST_OTHER = 0.1  # of the samples, whose int8 logits rounding in the front end may change


def verify(path: Path) -> None:
    """Unpack a bundle, compare its checksums, and run its networks on its samples; print a line for each test.

    Compared are the results that the archive holds, those of the ONNX files, and those of the C files compiled on this
    machine and, where the tools are installed, in the emulated core that was measured.

    Raises:
        InputError: if the archive is damaged.
        ParityError: if anything computes something else here.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        unpack_bundle(path, folder)
        print(f"{path}: checksums hold")
        for line in _tests(folder):
            print(line)


def _tests(folder: Path) -> Iterator[str]:
    for name in _NEEDED:
        if not (folder / name).is_file():
            raise InputError(f"deploy.zip: has no {name}; give the archive of a run with compilation.enable=true")
    arrays = _read_vectors(folder / "vectors.npz")
    count, firmware = len(arrays["inputs"]), folder / "firmware"
    rows = arrays.get("rows", arrays["inputs"])
    whole = rows if (folder / "front_end.json").is_file() else arrays["inputs"]
    found = host.compare(Path("model.onnx"), _run(folder / "model.onnx", whole), arrays["logits_float"])
    yield f"model.onnx: {count} samples, differs by at most {found:.2g}"
    is_network = whole is arrays["inputs"]
    int8 = _run(folder / "model_int8.onnx", whole)
    wrong = int((int8 != arrays["logits_int8"]).any(1).sum())
    yield f"model_int8.onnx: {count} samples, {count - wrong} equal bit for bit"
    if wrong > (0 if is_network else _MOST_OTHER * count):
        raise host.ParityError(f"model_int8.onnx: computes other bits here on {wrong} of {count} samples")
    report = read_json(folder / "metrics.json").get("firmware", {})
    yield from _c_tests(firmware, arrays, report.get("front_end_tolerance", host.TOLERANCE))
    yield from _emulated_tests(folder, arrays)


def _c_tests(firmware: Path, arrays: Arrays, tolerance: float) -> Iterator[str]:
    if missing := host.missing_tools():
        yield f"C files: not compiled, because {' and '.join(missing)} is not installed"
        return
    inputs = torch.from_numpy(arrays["inputs"])
    integer = onnx.load(firmware / "model_integer.onnx")
    yield f"model.c: {host.check_int8(firmware, integer, [inputs])} samples, all equal bit for bit"
    with host.host_program(firmware, "model_float.c") as program:
        found = host.compare(Path("model_float.c"), program(arrays["inputs"]), arrays["logits_float"])
    yield f"model_float.c: {len(inputs)} samples, differs by at most {found:.2g}"
    if "rows" in arrays:
        found = host.check_front_end(firmware, [(torch.from_numpy(arrays["rows"]), inputs)], tolerance)
        yield f"feature_extraction.c: {len(inputs)} samples, differs by at most {found:.2g}"


def _emulated_tests(folder: Path, arrays: Arrays) -> Iterator[str]:
    measured = read_json(folder / "cost.json").get("measured")
    if measured is None:
        return
    if missing := host.missing_tools(emulator.TOOLS):
        yield f"{measured['core']}: not emulated, because {' and '.join(missing)} is not installed"
        return
    is_int8 = measured["numbers"] == "int8"
    model, logits = ("model.c", "logits_int8") if is_int8 else ("model_float.c", "logits_float")
    inputs, expected = arrays["inputs"][:_NUM_EMULATED], arrays[logits][:_NUM_EMULATED]
    found = emulator.measure(folder / "firmware", measured["core"], model, inputs)
    where = Path(f"{model} on {measured['core']}")
    differs = host.compare(where, found.outputs, expected, tolerance=0.0 if is_int8 else host.TOLERANCE)
    outcome = "all equal bit for bit" if is_int8 else f"differs by at most {differs:.2g}"
    yield f"{measured['core']}: {len(inputs)} samples, {outcome}; {found.instructions:,} instructions"


def _run(path: Path, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return run_onnx(path, [torch.from_numpy(samples)]).numpy()


def _read_vectors(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    if not {"inputs", "logits_float", "logits_int8"} <= arrays.keys():
        raise InputError(f"{path.name}: holds {', '.join(arrays)}; a bundle has inputs, logits_float and logits_int8")
    return arrays
