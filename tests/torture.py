"""Whole runs on a disk that fills up, and whole runs that are killed; then resumed, to the result of an unbroken run.

    python tests/torture.py disk --cases 48        # as root: it mounts a small tmpfs
    python tests/torture.py temporary --cases 12   # the same with a full folder for temporary files
    python tests/torture.py kill --cases 100       # SIGKILL at random moments, of resumed runs too

One JSON line a case, the counts at the end, exit status 1 if a case is wrong. Every run is a process forked from this
one, so that the time for imports is spent once; the data, the search, the trainings, int8 and the firmware are real.
"""

import argparse
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas_lightning.__main__ import main as nas_lightning

SETTINGS = (
    "training.nas_epochs=2", "training.training_epochs=4", "selection.candidates=2", "control.num_random=1",
    "export.finetune.epochs=1", "compilation.enable=true", "callbacks=none", "training.batch_size=8",
)  # fmt: skip
RESULTS = (
    "genotype.json", "genotype_history.json", "metrics.json", "cost.json", "contest.json", "model.onnx",
    "model_int8.onnx", "vectors.npz", "annotations/report.json", "firmware/model.c", "firmware/model_float.c",
)  # fmt: skip
TIMES = ("seconds",)


def write_data(path: Path) -> None:
    """3 classes of 2 x 32: sines of three frequencies in noise."""
    generator = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, count in (("train", 60), ("test", 30)):
        y = np.arange(count) % 3
        time_steps = np.arange(32)[None, None] + generator.uniform(0, 9, (count, 2, 1))
        x = np.sin(time_steps * (1 + y)[:, None, None] / 3) + generator.normal(0, 0.3, (count, 2, 32))
        arrays |= {f"X_{split}": x.astype(np.float32), f"y_{split}": y}
    np.savez(path, **arrays)


def start(arguments: list[str], output: Path, environment: dict[str, str] | None = None) -> int:
    """Fork a process that calls the program; returns its number, which is that of its process group."""
    sys.stdout.flush()
    number = os.fork()
    if number:
        return number
    os.setsid()
    os.environ |= environment or {}
    tempfile.tempdir = None
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = ["nas-lightning", *arguments]
    status = 0
    try:
        torch.set_num_threads(1)
        nas_lightning()
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def wait(number: int, seconds: float | None = None) -> int | None:
    """The exit status, or None where the process was killed after so many seconds."""
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        done, status = os.waitpid(number, 0 if end is None else os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if end is not None and time.monotonic() > end:
            os.killpg(number, signal.SIGKILL)
            os.waitpid(number, 0)
            return None
        time.sleep(0.002)


def results(folder: Path) -> dict[str, Any]:
    """What an unbroken run and a resumed one must share: all but how long it took."""
    found: dict[str, Any] = {}
    for name in RESULTS:
        if name.endswith(".json"):
            found[name] = without_times(json.loads((folder / name).read_text()))
        else:
            found[name] = (folder / name).read_bytes()
    weights = torch.load(folder / "model.pt", weights_only=True)
    return found | {"model.pt": {name: value.tolist() for name, value in weights.items()}}


def without_times(content: Any) -> Any:
    """JSON without the seconds that something took."""
    if isinstance(content, dict):
        return {name: without_times(value) for name, value in content.items() if name not in TIMES}
    return [without_times(value) for value in content] if isinstance(content, list) else content


def differing(folder: Path, expected: dict[str, Any]) -> list[str]:
    """The files that are not those of the unbroken run."""
    try:
        found = results(folder)
    except OSError as error:
        return [str(error)]
    return [name for name in expected if found[name] != expected[name]]


class Bench:
    """A folder with the data and an unbroken run, beside which the cases are tried."""

    def __init__(self, place: Path, seed: int) -> None:
        self.place, self.random = place, random.Random(seed)
        write_data(place / "data.npz")
        self.settings = [*SETTINGS, f"dataset.input_data_path={place / 'data.npz'}"]
        self.output = place / "output.txt"
        begin = time.monotonic()
        status = wait(self.begin(place / "unbroken"))
        self.seconds = time.monotonic() - begin
        assert status == 0, self.output.read_text()
        self.expected = results(place / "unbroken")
        files = [path for path in (place / "unbroken").rglob("*") if path.is_file()]
        self.kibibytes = sum(-(-path.stat().st_size // 4096) * 4 for path in files) + 4 * len(files)

    def begin(self, folder: Path, environment: dict[str, str] | None = None) -> int:
        """Start in ``folder``, or go on where something of a run is there."""
        arguments = [*self.settings, f"hydra.run.dir={folder}"]
        if (folder / "config.yaml").is_file():
            arguments = [f"resume={folder}"]
        return start(arguments, self.output, environment)

    def complaint(self, status: int | None, folder: Path) -> list[str]:
        """What is wrong with how a run ended on a full disk: anything but status 1 and one sentence."""
        text = self.output.read_text(errors="replace")
        last = (text.strip().splitlines() or [""])[-1]
        found = [] if status == 1 else [f"status {status}"]
        found += ["traceback"] if "Traceback" in text or "Logging error" in text else []
        told = "go on with: nas-lightning resume=" in last or "start it again" in last
        return found + ([] if last.startswith("error: ") and told else [f"last line: {last[-300:]}"])


def disk(bench: Bench, cases: int, variable: str) -> list[dict[str, Any]]:
    """Runs on a tmpfs from nearly nothing to nearly enough; then it is made larger, and the run goes on."""
    small = bench.place / "small"
    small.mkdir()
    largest = round(0.86 * bench.kibibytes) if variable == "folder" else 4096  # nothing fails above
    rows = []
    for case in range(cases):
        size = 8 + (largest - 8) * case // cases
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", small], check=True)
        try:
            folder = small / "run" if variable == "folder" else bench.place / f"run_{case}"
            environment = {} if variable == "folder" else {"TMPDIR": str(small)}
            status = wait(bench.begin(folder, environment))
            wrong = [] if status == 0 else bench.complaint(status, folder)
            stopped_at = max((p.stat().st_mtime, p.name) for p in folder.rglob("*"))[1] if folder.is_dir() else ""
            subprocess.run(["mount", "-o", "remount,size=256m", small], check=True)
            last = (bench.output.read_text(errors="replace").strip().splitlines() or [""])[-1]
            if status != 0:
                wrong += (
                    []
                    if wait(bench.begin(folder, environment)) == 0
                    else [f"resume: {bench.output.read_text()[-300:]}"]
                )
            wrong += differing(folder, bench.expected)
            rows.append(row(case=case, kibibytes=size, status=status, newest=stopped_at, said=last[:200], wrong=wrong))
            leftovers = [p.name for p in folder.rglob("*.tmp")]
            rows[-1]["wrong"] += leftovers
        finally:
            subprocess.run(["umount", small], check=True)
    return rows


def kill(bench: Bench, cases: int) -> list[dict[str, Any]]:
    """SIGKILL at a random moment of a run, of its resume too in every third case, and then to the end."""
    rows = []
    for case in range(cases):
        folder = bench.place / f"run_{case}"
        kills, status = 0, None
        planned = 1 + bench.random.randint(1, 2) * (case % 3 == 0)
        while status is None:
            seconds = bench.random.uniform(0, bench.seconds) if kills < planned else None
            status = wait(bench.begin(folder), seconds)
            kills += status is None
            if (folder / "metrics.json").is_file() and "training" in json.loads((folder / "metrics.json").read_text()):
                status = 0  # killed behind its last file
        wrong = differing(folder, bench.expected) if status == 0 else [bench.output.read_text()[-300:]]
        rows.append(row(case=case, kills=kills, wrong=wrong))
        shutil.rmtree(folder)
    return rows


def row(**content: Any) -> dict[str, Any]:
    """Print a case."""
    print(json.dumps(content), flush=True)
    return content


def main() -> None:
    """Try all cases of a kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["disk", "temporary", "kill"])
    parser.add_argument("--cases", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), arguments.seed)
        print(json.dumps({"unbroken_seconds": round(bench.seconds, 1), "kibibytes": bench.kibibytes}), flush=True)
        if arguments.kind == "kill":
            rows = kill(bench, arguments.cases)
        else:
            rows = disk(bench, arguments.cases, "folder" if arguments.kind == "disk" else "temporary")
    counts = collections.Counter("wrong" if each["wrong"] else "right" for each in rows)
    statuses = collections.Counter(str(each.get("status")) for each in rows)
    print(json.dumps({"kind": arguments.kind, "cases": len(rows), **counts, "status": statuses}))
    sys.exit(1 if counts["wrong"] else 0)


if __name__ == "__main__":
    main()
