"""What readouts take on each core: small networks with one, linked and emulated, and the rows that fit.

    python benchmarks/readout_costs.py > rows.jsonl
    python benchmarks/readout_costs.py --fit rows.jsonl      # writes their rows of nas_lightning/cost/cores.json

No operation of the cells is a pool of windows side by side, so ``firmware_costs.py`` meets none. Instructions are those
of the pool's own function. On a core without a unit for floats these are calls of a library, which the emulator does
not tell apart by caller: there a value costs a third of what an element costs of a pool of three steps. Bytes are the
difference to the same network with the mean over time, less what the cost model knows of both heads.
"""

import argparse
import itertools
import json
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from addition_costs import CORES, MARGIN
from firmware_costs import MODELS, give_weights
from scipy.optimize import nnls

from nas_lightning.cost.code import features_of
from nas_lightning.cost.exact import Numbers
from nas_lightning.export import emulator, host
from nas_lightning.export.contract import InputDescription
from nas_lightning.export.firmware import Sources, Vectors, write_firmware
from nas_lightning.export.int8 import quantize
from nas_lightning.export.onnx import run_onnx, to_onnx
from nas_lightning.graph.trace import Layer, trace
from nas_lightning.space.readouts import DEPLOYABLE
from nas_lightning.space.trunk import Block, Trunk
from nas_lightning.tasks import Classes, Classification

FUNCTIONS = {
    "segment_mean": ("averagepool", "qlinearaveragepool", "mean_in_float"),
    "segment_max": ("maxpool",),
    "flatten": ("flatten",),
}
OF_THREE = {"segment_mean": "avg_pool", "segment_max": "max_pool"}
WITH_FLOATS = ("cortex-m4", "cortex-m7", "cortex-m33")


def measure() -> None:
    """Print a row for each network, core and form."""
    for channels, length, readout in itertools.product((3, 8), (16, 45, 64, 125), DEPLOYABLE):
        torch.manual_seed(0)
        network = Trunk(Classification(2, length, 3), [Block("full", channels, 3)], readout)
        samples = torch.randn(16, 2, length)
        give_weights(network, samples)
        floats = to_onnx(network, (2, length))
        models = {"float32": floats, "int8": quantize(floats, [samples])}
        logits = {form: run_onnx(model.SerializeToString(), [samples]).numpy() for form, model in models.items()}
        vectors = Vectors(None, samples.numpy(), logits["float32"], logits["int8"])
        head = trace(network, 2, length).layers[3:]
        with TemporaryDirectory() as place:
            folder = Path(place) / "firmware"
            sources = Sources(InputDescription("benchmark", readout, Classes(("0", "1", "2"))))
            write_firmware(folder, floats, models["int8"], vectors, sources)
            for core, form in itertools.product(emulator.CORES, MODELS):
                found = emulator.measure(folder, core, MODELS[form], vectors.inputs[:4])
                tolerance = 0.0 if form == "int8" else host.TOLERANCE
                host.compare(folder / MODELS[form], found.outputs, logits[form][:4], tolerance)
                row = {"c": channels, "L": length, "readout": readout, "core": core, "form": form}
                row |= {"flash": found.flash_bytes, "head": [known(layer, core, form) for layer in head]}
                for kind, names in FUNCTIONS.items():
                    row[kind] = sum(n for name, (_, n) in found.functions.items() if name.startswith(names))
                print(json.dumps(row), flush=True)


def known(layer: Layer, core: str, form: str) -> dict[str, Any]:
    """The features of a layer of the head, and its bytes by the cost model; of what is new only its constants."""
    is_new, bits = layer.kind.name in FUNCTIONS, 8 if form == "int8" else 32
    numbers = Numbers(bits, bits, core, code_bytes_per_layer=0 if is_new else None)
    flash = numbers.own_bytes(layer) + numbers.function_bytes(layer)
    return {"kind": layer.kind.name, "features": features_of(layer), "flash": flash}


def fit(path: Path) -> None:
    """Write the rows: instructions by least squares, relative; bytes the least that are nowhere below the truth."""
    content = json.loads(CORES.read_text())
    cells = defaultdict[tuple[str, str], dict[tuple[int, int, str], dict[str, Any]]](dict)
    for row in map(json.loads, path.read_text().splitlines()):
        cells[row["core"], row["form"]][row["c"], row["L"], row["readout"]] = row
    for (core, form), found in cells.items():
        entry = content[core][form]
        for kind in FUNCTIONS:
            rows = {key: row for key, row in found.items() if any(layer["kind"] == kind for layer in row["head"])}
            features = [
                next(layer["features"] for layer in row["head"] if layer["kind"] == kind) for row in rows.values()
            ]
            truth = np.array([row[kind] for row in rows.values()], float)
            numbers, errors = fitted(np.array(features, float), truth)
            if kind in OF_THREE and form == "float32" and core not in WITH_FLOATS:
                numbers, errors = np.array([0, 0, entry["instructions"][OF_THREE[kind]][2] / 3, 0]), np.zeros(1)
            entry["instructions"][kind] = [round(float(x), 3) for x in numbers]
            more = [bytes_of(row) - bytes_of(found[(*key[:2], "mean")]) for key, row in rows.items()]
            flash = 0 if kind == "flatten" else max(0, *more)  # it always comes with a pool, and is counted there
            entry["code_bytes"][kind], entry["call_bytes"][kind] = int(np.ceil(MARGIN * flash)), 0
            shown = np.round([errors.min(), errors.max()], 3).tolist()
            print(core, form, kind, entry["code_bytes"][kind], entry["instructions"][kind], "errors", shown)
    CORES.write_text(json.dumps(content, indent=1) + "\n")


def fitted(features: Any, truth: Any) -> tuple[Any, Any]:
    """Numbers, none below 0, as what is longer never takes less; and relative errors."""
    if not truth.any():
        return np.zeros(features.shape[1]), np.zeros(1)
    numbers, _ = nnls(features / truth[:, None], np.ones(len(truth)))
    return numbers, features @ numbers / truth - 1


def bytes_of(row: dict[str, Any]) -> int:
    """Of all but what is known of the head."""
    return int(row["flash"] - sum(layer["flash"] for layer in row["head"]))


def main() -> None:
    """Measure, or fit what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fit", type=Path, metavar="ROWS")
    options = parser.parse_args()
    if options.fit:
        fit(options.fit)
    else:
        torch.set_num_threads(1)
        measure()


if __name__ == "__main__":
    main()
