"""The cost model against linked and emulated firmware: one JSON line for each network, core and form of its numbers.

    python benchmarks/firmware_costs.py --networks 60 > rows.jsonl
    python benchmarks/fit_cores.py rows.jsonl

Networks: the presets with random genotypes, random outlines with all operations, random weights, shapes of samples as
sensors have them. Each is exported, quantized, compiled, linked and run in QEMU; its outputs must be those of ONNX
Runtime bit for bit (float32: within the tolerance). A row has the estimate, what was measured, and what both are made
of.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import torch

from nas_lightning.config.compose import compose_config
from nas_lightning.cost.code import features_of, signature_of
from nas_lightning.cost.exact import Numbers, cost_of
from nas_lightning.export import emulator, host
from nas_lightning.export.contract import InputDescription
from nas_lightning.export.emx import compile_network
from nas_lightning.export.firmware import Sources, Vectors, write_firmware
from nas_lightning.export.int8 import integer_core, quantize
from nas_lightning.export.onnx import run_onnx, to_onnx
from nas_lightning.graph.trace import Layer, trace
from nas_lightning.runs.build import build_size
from nas_lightning.space.cells.genotype import Genotype
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size
from nas_lightning.space.ops import DEFAULT_OPS, OPS
from nas_lightning.tasks import Classes, Classification

PRESETS = ("s", "m", "l", "xl", "xxl")
MODELS = {"int8": "model.c", "float32": "model_float.c"}
KIND_OF_OPERATOR = {
    **{"MaxPool": "max_pool", "AveragePool": "avg_pool", "Concat": "concat", "Relu": "relu", "Gemm": "linear"},
    **{"Sub": "subtract", "Mul": "multiply", "Add": "add", "DequantizeLinear": "dequantize"},
}


def draw(rng: random.Random, i: int) -> tuple[str, Network, Classification]:
    """Network i: every second one of a preset."""
    task = Classification(
        rng.choice([1, 2, 3, 6]), rng.choice([24, 64, 96, 100, 128, 152, 187, 256, 400]), rng.randint(2, 12)
    )
    name = PRESETS[i // 2 % len(PRESETS)] if i % 2 == 0 else "random"
    if name == "random":
        nodes = rng.randint(2, 5)
        counts = (rng.randint(3, 8), nodes, rng.randint(1, 8), rng.randint(1, 4), rng.randint(1, nodes))
        size = Size(*counts, post_reduction_stride=rng.choice([1, 1, 2]))
    else:
        size = build_size(compose_config([f"nas_model_size={name}"]))
    ops = [op for op in (OPS if rng.random() < 0.5 else DEFAULT_OPS) if op != "none"]
    cells = [
        tuple((rng.choice(ops), rng.randrange(node)) for node in range(1, size.nodes_per_layer + 1)) for _ in range(2)
    ]
    return name, Network(Genotype(*cells), size, task), task


def give_weights(network: Network, samples: torch.Tensor) -> None:
    """Random weights, and the statistics that go with them."""
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    network.train()
    with torch.no_grad():
        network(samples)
    network.eval()


def signatures_of(model: onnx.ModelProto) -> list[str]:
    """For each operator of a compiled model the signature of its layer; the exporter may have changed their order."""
    graph = model.graph
    values = [*graph.input, *graph.value_info, *graph.output]
    shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in values}
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    return [repr(_signature(node, shapes)) for node in graph.node]


def _signature(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> tuple[Any, ...]:
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    op = node.op_type.removeprefix("QLinear")
    x = shapes[node.input[2 if node.op_type == "QLinearConcat" else 0]][1:]
    y = shapes[node.output[0]][1:]
    if op == "Conv":
        kernel = shapes[node.input[3 if node.op_type == "QLinearConv" else 1]][2:]
        if x[1:] == kernel == (1,):
            return ("linear", x[:1], y[:1], ())
        groups, is_bare = attributes.get("group", 1), len(node.input) == (8 if node.op_type == "QLinearConv" else 2)
        kind = "depthwise" if groups > 1 else "pointwise" if kernel == (1,) else "conv"
        return (kind, x, y, (kernel, tuple(attributes["strides"]), tuple(attributes["dilations"]), groups, is_bare))
    if op in ("GlobalAveragePool", "ReduceMean"):
        return ("global_avg_pool", x, y[:1], ())
    return (KIND_OF_OPERATOR[op], x, y, ())


def parts(
    layers: Sequence[Layer], model: onnx.ModelProto, functions: tuple[str, ...], found: emulator.Measured
) -> list[dict[str, Any]]:
    """For each layer what the cost model sees of it, and what its function takes.

    The normalisation is a subtraction, a multiplication and an addition in float32; in int8 it has no function of its
    own, as ReLU.
    """
    names: dict[str, str] = dict(zip(signatures_of(model), functions, strict=True))
    entry = [names.pop(key) for key in list(names) if key.startswith(("('subtract'", "('multiply'", "('add'"))]
    last = [names.pop(key) for key in list(names) if key.startswith("('dequantize'")]
    rows = []
    for layer in layers:
        group = [names[repr(signature_of(layer))]] if repr(signature_of(layer)) in names else []
        group += entry if layer.kind.name == "affine" else last if layer.kind.name == "linear" else []
        if not group:
            assert layer.kind.name in ("relu", "affine"), layer
            continue
        rows.append(
            {
                "kind": layer.kind.name,
                "signature": repr(signature_of(layer)),
                "features": features_of(layer),
                "inputs": len(layer.inputs),
                "code_bytes": sum(found.functions[name][0] for name in group),
                "instructions": sum(found.functions[name][1] / functions.count(name) for name in group),
            }
        )
    return rows


def measure(
    name: str, network: Network, task: Classification, cores: list[str], all_numbers: list[str]
) -> Iterator[dict[str, Any]]:
    """The rows of one network."""
    samples = torch.randn(16, task.in_channels, task.length)
    give_weights(network, samples)
    layers = trace(network, task.in_channels, task.length).layers
    with TemporaryDirectory() as place:
        folder = Path(place)
        floats = to_onnx(network, (task.in_channels, task.length))
        integer = quantize(floats, [samples])
        forms = {"int8": integer, "float32": floats}
        logits = {key: run_onnx(model.SerializeToString(), [samples]).numpy() for key, model in forms.items()}
        vectors = Vectors(None, samples.numpy(), logits["float32"], logits["int8"])
        names = tuple(str(k) for k in range(task.num_classes))
        sources = Sources(InputDescription("benchmark", name, Classes(tuple(names))))
        write_firmware(folder / "firmware", floats, integer, vectors, sources)
        compiled = {"int8": integer_core(integer)[0], "float32": onnx.shape_inference.infer_shapes(floats)}
        functions = {key: compile_network(model).functions for key, model in compiled.items()}
        for core in cores:
            for numbers in all_numbers:
                found = emulator.measure(folder / "firmware", core, MODELS[numbers], vectors.inputs[:2])
                tolerance = 0.0 if numbers == "int8" else host.TOLERANCE
                host.compare(folder / MODELS[numbers], found.outputs, logits[numbers][:2], tolerance)
                bits = 8 if numbers == "int8" else 32
                estimate = cost_of(network, task.in_channels, task.length, Numbers(bits, bits, core))
                row: dict[str, Any] = {"network": name, "task": asdict(task), "core": core, "numbers": numbers}
                row["params"], row["macs"] = estimate.params, estimate.macs
                for key in ("flash_bytes", "ram_bytes", "instructions"):
                    row[key] = {"estimate": getattr(estimate, key), "measured": getattr(found, key)}
                row["stack_bytes"] = found.stack_bytes
                row["entry_instructions"] = found.functions["model_run"][1]
                row["entry_elements"] = task.in_channels * task.length
                own = Numbers(bits, bits, core, code_bytes=0, code_bytes_per_layer=0)
                row["constant_bytes"] = sum(map(own.own_bytes, layers))
                row["layers"] = parts(layers, compiled[numbers], functions[numbers], found)
                yield row


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", type=int, default=60)
    parser.add_argument("--first", type=int, default=0, help="to go on: the number of the first network")
    parser.add_argument("--cores", nargs="+", default=list(emulator.CORES), choices=emulator.CORES)
    parser.add_argument("--numbers", nargs="+", default=list(MODELS), choices=MODELS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for i in range(options.first, options.first + options.networks):
        torch.manual_seed(i)
        name, network, task = draw(random.Random(i), i)
        for row in measure(name, network, task, options.cores, options.numbers):
            print(json.dumps({"index": i, **row}))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
