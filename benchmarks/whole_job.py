"""The time table of a whole job: start-up, search, training, test and export of one run. One JSON line a part.

    python benchmarks/whole_job.py
    python benchmarks/whole_job.py --data WISDM.npz --size m --batch 64
    python benchmarks/whole_job.py --data WISDM.npz --size s --batch 256 training.nas_kernels=torch

The job runs in a process of its own, from an empty folder, by the command line that users call. ``start_up`` is the
time from its launch to the first search step. The parts of the search are shares of the search alone: ``step`` is the
two optimizer steps themselves, ``lightning`` what is left when all named parts are taken off.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.profilers import SimpleProfiler

LAUNCHED = "WHOLE_JOB_LAUNCHED"
recorders: list["Recorder"] = []


class Recorder(SimpleProfiler):
    """Keeps itself, so that the durations can be read when the run is over; prints nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.first_step: float | None = None
        self.logging_seconds = 0.0
        recorders.append(self)

    def start(self, action_name: str) -> None:
        """Also note when the first step begins."""
        if self.first_step is None and "training_step" in action_name:
            self.first_step = time.time()
        super().start(action_name)

    def describe(self) -> None:
        """Print nothing."""

    def seconds(self, *words: str) -> float:
        """The sum of all durations of actions whose name holds all words."""
        durations = self.recorded_durations.items()
        return sum(sum(values) for action, values in durations if all(word in action for word in words))


def run_child(arguments: argparse.Namespace) -> None:
    """Do the job in this process and print the table."""
    from nas_lightning.__main__ import main as nas_lightning
    from nas_lightning.search.module import SearchModule

    torch.set_num_threads(arguments.threads)
    sys.modules["whole_job"] = sys.modules["__main__"]
    count_batch = SearchModule._count_batch

    def timed_count_batch(self: SearchModule, *values: Any) -> None:
        start = time.perf_counter()
        count_batch(self, *values)
        recorders[-1].logging_seconds += time.perf_counter() - start

    SearchModule._count_batch = timed_count_batch  # type: ignore[method-assign]
    sys.argv = ["nas-lightning", f"nas_model_size={arguments.size}"]
    sys.argv += [f"dataset.input_data_path={arguments.data}"] if arguments.data else []
    sys.argv += [f"training.nas_epochs={arguments.nas_epochs}", f"training.training_epochs={arguments.training_epochs}"]
    sys.argv += [f"training.batch_size={arguments.batch}", "hydra.run.dir=run"]
    own = Path("conf") / "trainer" / "recorder.yaml"  # what is called is named by a folder of configuration
    own.parent.mkdir(parents=True)
    own.write_text("_target_: whole_job.Recorder\n")
    sys.argv += ["--config-dir", "conf", "+trainer.profiler._target_=whole_job.Recorder"]
    sys.argv += ["run.backend=here", *arguments.overrides]  # one process is what is looked into
    nas_lightning()
    total = time.time() - float(os.environ[LAUNCHED])
    metrics = json.loads(Path("run/metrics.json").read_text())
    search = next(recorder for recorder in recorders if recorder.recorded_durations)
    report(arguments, total, metrics, search)


def report(arguments: argparse.Namespace, total: float, metrics: dict[str, Any], search: Recorder) -> None:
    """Print the parts of the job, and the parts of the search."""
    case = {"size": arguments.size, "batch": arguments.batch, "threads": arguments.threads}
    assert search.first_step is not None
    start_up = search.first_step - float(os.environ[LAUNCHED])
    seconds = {"start_up": start_up} | {part: metrics[part]["seconds"] for part in ("search", "control", "training")}
    seconds["test_and_export"] = total - sum(seconds.values())
    for part, value in [*seconds.items(), ("total", total)]:
        row = {"part": part, "seconds": round(value, 2), "share": round(value / total, 4)}
        print(json.dumps(case | row), flush=True)
    whole = metrics["search"]["seconds"]
    parts = {
        "step": search.seconds("Strategy", "training_step") - search.logging_seconds,
        "logging": search.logging_seconds,
        "validation": search.seconds("Strategy", "validation_step"),
        "data": search.seconds("dataloader_next"),
        "pictures": search.seconds("Callback", "AlphaPictures"),
        "derivation": search.seconds("Callback", "GenotypeHistory.on_train_epoch_end"),
        "checkpoints": search.seconds("Callback", "Checkpoint"),
        "progress_bar": search.seconds("Callback", "StageBar"),
        "hooks": search.seconds("LightningModule", "SearchModule"),
    }
    parts["lightning"] = whole - sum(parts.values())
    for part, value in parts.items():
        row = {"part": f"search.{part}", "seconds": round(value, 2), "share_of_search": round(value / whole, 4)}
        print(json.dumps(case | row), flush=True)
    accuracy = {"part": "result", "test_accuracy": metrics["test"]["accuracy"], "steps": metrics["search"]["steps"]}
    print(json.dumps(case | accuracy), flush=True)


def main() -> None:
    """Launch the job and hand its table on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=lambda text: str(Path(text).absolute()), help="a .npz file; else BasicMotions")
    parser.add_argument("--size", default="m")
    parser.add_argument("--nas-epochs", type=int, default=10)
    parser.add_argument("--training-epochs", type=int, default=15)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", help="settings, for example training.nas_kernels=torch")
    arguments = parser.parse_args()
    if arguments.child:
        run_child(arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {LAUNCHED: str(time.time())}
        call = [sys.executable, str(Path(__file__).absolute()), *sys.argv[1:], "--child"]
        call += ["--data", arguments.data] if arguments.data else []  # absolute: the job runs in another folder
        done = subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    print("\n".join(line for line in done.stdout.splitlines() if line.startswith("{")))


if __name__ == "__main__":
    main()
