"""What an addition takes on each core: small networks linked and emulated with and without one, and the row that fits.

    python benchmarks/addition_costs.py > rows.jsonl
    python benchmarks/addition_costs.py --fit rows.jsonl      # writes the rows "add" of nas_lightning/cost/cores.json

No operation that ships adds, so ``firmware_costs.py`` meets no addition. That of int8 is measured as emx-onnx-cgen
writes it, in floats; no firmware gets it (``export/emx/edits.py: CHANGES``).
"""

import argparse
import itertools
import json
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from firmware_costs import MODELS, give_weights
from torch import Tensor, nn

from nas_lightning.export import emulator
from nas_lightning.export.contract import InputDescription
from nas_lightning.export.emx import edits, functions
from nas_lightning.export.firmware import Sources, Vectors, write_firmware
from nas_lightning.export.int8 import quantize
from nas_lightning.export.onnx import run_onnx, to_onnx
from nas_lightning.space.reference import ConvNet
from nas_lightning.tasks import Classes, Classification

CORES = Path(__file__).parents[1] / "nas_lightning" / "cost" / "cores.json"
CONSTANTS = {"int8": 5, "float32": 0}  # bytes of the scale and zero point of what is made
MARGIN = 1.06  # as in fit_cores.py


class Block(nn.Module):
    """A convolution, and what it reads added to it or not."""

    def __init__(self, channels: int, adds: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm1d(channels))
        self.relu, self.adds = nn.ReLU(), adds

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, L]`` to the same shape."""
        return self.relu(self.body(x) + x if self.adds else self.body(x))


def measure() -> None:
    """Print a row for each network, core and form."""
    edits._BY_OPERATOR["QLinearAdd"] = None
    functions._HELPERS["ref_scalar_f32_minimum"] = (
        "static inline float {}(float a, float b) {{ return a < b ? a : b; }}"
    )
    for channels, length, blocks, adds in itertools.product((2, 5), (16, 60, 128), (1, 2), (False, True)):
        torch.manual_seed(0)
        network = ConvNet(Classification(2, length, 3), [channels], 3)
        network.blocks.extend(Block(channels, adds) for _ in range(blocks))
        samples = torch.randn(16, 2, length)
        give_weights(network, samples)
        floats = to_onnx(network, (2, length))
        integer = quantize(floats, [samples])
        logits = (run_onnx(model.SerializeToString(), [samples]).numpy() for model in (floats, integer))
        vectors = Vectors(None, samples.numpy(), *logits)
        with TemporaryDirectory() as place:
            folder = Path(place) / "firmware"
            sources = Sources(InputDescription("benchmark", "add", Classes(("0", "1", "2"))))
            write_firmware(folder, floats, integer, vectors, sources)
            for core, form in itertools.product(emulator.CORES, MODELS):
                found = emulator.measure(folder, core, MODELS[form], vectors.inputs[:1])
                sizes = {"c": channels, "L": length, "n": blocks, "adds": int(adds), "core": core, "form": form}
                print(json.dumps({**sizes, "flash": found.flash_bytes, "instructions": found.instructions}), flush=True)


def fit(path: Path) -> None:
    """Write the rows: instructions by least squares, relative; bytes the least that are nowhere below the truth."""
    found = defaultdict[tuple[str, str], dict[tuple[int, ...], tuple[int, int]]](dict)
    for row in map(json.loads, path.read_text().splitlines()):
        key = (row["c"], row["L"], row["n"], row["adds"])
        found[row["core"], row["form"]][key] = (row["flash"], row["instructions"])
    content = json.loads(CORES.read_text())
    for (core, form), sizes in found.items():
        more = {
            key[:3]: np.subtract(sizes[key], sizes[(*key[:3], 0)]) for key in sizes if key[3] and (*key[:3], 0) in sizes
        }
        last = {key: instructions for key, (_, instructions) in more.items() if key[2] == 1}  # no convolution reads it
        features = np.array([(1, c, c * length) for c, length, _ in last], float)
        truth = np.array(list(last.values()), float)
        numbers = np.linalg.lstsq(features / truth[:, None], np.ones(len(truth)), rcond=None)[0]
        flash = {key: bytes_ - CONSTANTS[form] * key[2] for key, (bytes_, _) in more.items()}
        call = max(flash[c, length, 2] - flash[c, length, 1] for c, length, n in flash if n == 2)
        code = max(bytes_ - n * call for (_, _, n), bytes_ in flash.items())
        entry = content[core][form]
        entry["code_bytes"]["add"], entry["call_bytes"]["add"] = (
            int(np.ceil(MARGIN * max(0, x))) for x in (code, call)
        )
        entry["instructions"]["add"] = [round(float(x), 3) for x in numbers]
        print(core, form, entry["code_bytes"]["add"], entry["call_bytes"]["add"], entry["instructions"]["add"])
        print("    relative errors", np.round(features @ numbers / truth - 1, 3).tolist())
    CORES.write_text(json.dumps(content, indent=1) + "\n")


def main() -> None:
    """Measure, or fit what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fit", type=Path, metavar="ROWS")
    options = parser.parse_args()
    if options.fit:
        fit(options.fit)
    else:
        measure()


if __name__ == "__main__":
    main()
