"""What fixed runs leave, so that two commits can be compared: a change of structure must not change a number.

    python tests/golden_runs.py write golden.json      # at the commit before
    python tests/golden_runs.py compare golden.json    # at the commit after

Each run is the command line in a process of its own, with one thread, on data that come with the requirements. Of what
it leaves all is kept but times: JSON by its values; weights, networks and firmware by their SHA-256. ``compare`` prints
a line for each difference and ends with status 1 if there is one. Figures hold for one machine: make both there.
"""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnx
import torch

SHORT = ("training.nas_epochs=3", "training.training_epochs=4", "selection.candidates=2", "control.num_random=1")
FIRMWARE, CHANNELS = "compilation.enable=true", "data_processing_feature_extraction.variables=6"
RUNS = {
    "s_budget": ("budget.params=700", "search.num_seeds=2"),
    "m_firmware_features": ("nas_model_size=m", FIRMWARE, "features=Generic_8Input_ABS_8Feature_1Frame", CHANNELS),
    "auto_npu": ("nas_model_size=auto", "target_device=F28P55", "budget.params=3000"),
    "hand_made": ("training.nas_enabled=false", "model=cnn_s", FIRMWARE, "target_device=cortex_m4"),
    "gdas": ("search=gdas", FIRMWARE, "export.include_features=true"),
    "tunas": ("search=tunas", "budget.ram_bytes=1400"),
    "darts_pt": ("search=darts_pt", "space.shape=wide", "training.nas_optimization_mode=Compute"),
    "unrolled": ("search=darts_unrolled", "search.on_collapse=switch"),
    "pc_darts": ("search=pc_darts", "control.keep_better=true"),
    "random": ("search=random", "budget.macs=40000"),
    "smallest": ("target_accuracy=0.3", "target_rounds=2"),
    "smallest_latency": ("target_accuracy=0.3", "target_rounds=1", "target_device=cortex_m0plus",
                         "training.nas_optimization_mode=Latency", "selection.by=int8"),
    "front_ends": ("search_features=true", "features_candidates=[none,Generic_8Input_ABS_8Feature_1Frame]", FIRMWARE,
                   "target_device=cortex_m4"),
    "no_training": ("training.enable=false", "nas_model_size=m"),
    "augmented": ("augmentation=sensor", "training.class_weights=sqrt", "testing.metric=macro_f1"),
}  # fmt: skip
TIMES = {"seconds"}
NOT_COMPARED = {"started.json"}  # a digest of the data and their place


def leaves(content: Any, place: str = "") -> dict[str, Any]:
    """Every value of a JSON document by its place, times apart."""
    if isinstance(content, dict):
        items = [(f"{place}.{key}", value) for key, value in content.items() if key not in TIMES]
    elif isinstance(content, list):
        items = [(f"{place}[{i}]", value) for i, value in enumerate(content)]
    else:
        return {place: content}
    return {name: leaf for key, value in items for name, leaf in leaves(value, key).items()}


def hash_of_weights(path: Path) -> str:
    """Of the tensors, whatever way they are packed."""
    found = hashlib.sha256()
    for name, tensor in torch.load(path, weights_only=True).items():
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def without_notes(model: onnx.ModelProto) -> bytes:
    """An ONNX file without what exporters write about its nodes: places of files on the machine."""
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        value.ClearField("metadata_props")
        value.ClearField("doc_string")
    model.graph.ClearField("metadata_props")
    model.graph.ClearField("doc_string")
    return model.SerializeToString(deterministic=True)


def content_of(path: Path) -> Any:
    """What a file says of the result, without times; None if it says nothing of it."""
    if path.name in NOT_COMPARED or "checkpoints" in path.parts or not path.is_file():
        return None
    if path.suffix == ".json":
        return leaves(json.loads(path.read_text()))
    if path.suffix == ".csv":
        return leaves(list(csv.DictReader(path.read_text().splitlines())))
    if path.name == "model.pt":
        return hash_of_weights(path)
    if path.suffix == ".onnx":
        return hashlib.sha256(without_notes(onnx.load(path))).hexdigest()
    if path.suffix == ".npz" or "firmware" in path.parts:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return None


def run(name: str, root: Path) -> dict[str, Any]:
    """What one run leaves, by file."""
    folder, environment = root / name, os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "nas_lightning", f"hydra.run.dir={folder}", *SHORT, *RUNS[name]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=root, check=False)
    contents = {path.relative_to(folder).as_posix(): content_of(path) for path in sorted(folder.rglob("*"))}
    files = {place: content for place, content in contents.items() if content is not None}
    print(f"{name}: status {done.returncode}, {len(files)} files", file=sys.stderr)
    return {"status": done.returncode, "error": done.stderr[-2000:] if done.returncode else ""} | files


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """A line for each value that is not in both."""
    one, other = leaves(before), leaves(after)
    places = [place for place in sorted({*one, *other}) if one.get(place, "not there") != other.get(place, "not there")]
    return [f"{place}: {one.get(place, 'not there')} -> {other.get(place, 'not there')}" for place in places]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["write", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--runs", nargs="+", choices=list(RUNS), help="default: all, or those of the file")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    before = json.loads(arguments.file.read_text()) if arguments.what == "compare" else RUNS
    names = arguments.runs or list(before)
    with tempfile.TemporaryDirectory() as root, ThreadPoolExecutor(arguments.processes) as pool:
        contents = pool.map(lambda name: run(name, Path(root)), names)
        found = dict(zip(names, contents, strict=True))
    if arguments.what == "write":
        arguments.file.write_text(json.dumps(found, indent=1))
        return
    lines = differences({name: before[name] for name in names}, found)
    print("\n".join(lines) or f"{len(found)} runs, {len(leaves(found))} values, no difference")
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
