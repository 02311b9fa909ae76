"""Memory that reading a large folder takes: recordings of random numbers, overlapping windows, one pass over train.

One JSON line a format: bytes of the folder and of its values as float32, and for the process that reads it the peak of
its own memory (anonymous) and of all resident memory (with pages of mapped files, which the system takes back when it
needs them), in bytes and as a share of the values.
"""

import argparse
import json
import multiprocessing
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

CLASSES = ("a", "b")


def write_folder(folder: Path, ending: str, gib: float, num_files: int) -> int:
    """Write class folders whose files are ``gib`` GiB together; returns the bytes of the values as float32."""
    random, channels = np.random.default_rng(0), 4
    bytes_of_value = {"npy": 4 * (channels + 1) / channels, "csv": 8}[ending]
    rows = int(gib * 2**30 / num_files / bytes_of_value / channels)
    for number in range(num_files):
        target = folder / "classes" / CLASSES[number % len(CLASSES)]
        target.mkdir(parents=True, exist_ok=True)
        values = random.standard_normal((rows, channels), np.float32)
        path = target / f"{number:04d}.{ending}"
        if ending == "npy":
            np.save(path, np.column_stack([np.arange(rows, dtype=np.float32), values]))
        else:
            np.savetxt(path, values, "%.4f", ",")
    return 4 * rows * channels * num_files


def read_folder(folder: str, results: multiprocessing.SimpleQueue) -> None:
    """Read, split, cut and go once through train; runs in a process of its own."""
    peak = {"RssAnon": 0, "VmRSS": 0}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            for line in Path("/proc/self/status").read_text().splitlines():
                name = line.split(":")[0]
                if name in peak:
                    peak[name] = max(peak[name], 1024 * int(line.split()[1]))

    from nas_lightning.data.datamodule import TimeSeriesData
    from nas_lightning.data.features import FrontEnd

    before = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())["RssAnon"]
    threading.Thread(target=watch, daemon=True).start()
    start = time.perf_counter()
    data = TimeSeriesData(None, folder, FrontEnd(frame_size=1024, stride_size=0.5), batch_size=256)
    data.setup()
    setup_seconds = time.perf_counter() - start
    num_samples = sum(len(y) for _, y in data.train_dataloader())
    ended.set()
    results.put(
        {
            "peak_anonymous_bytes": peak["RssAnon"],
            "peak_resident_bytes": peak["VmRSS"],
            "imports_bytes": 1024 * int(before.split()[0]),
            "train_samples": num_samples,
            "setup_seconds": round(setup_seconds, 1),
            "seconds": round(time.perf_counter() - start, 1),
        }
    )


def measure(ending: str, gib: float, num_files: int) -> dict[str, object]:
    """One row."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        values_bytes = write_folder(folder, ending, gib, num_files)
        folder_bytes = sum(path.stat().st_size for path in folder.rglob("*.*"))
        context = multiprocessing.get_context("spawn")
        results = context.SimpleQueue()
        process = context.Process(target=read_folder, args=(name, results))
        process.start()
        process.join()
        row = results.get()
    row = {"format": ending, "files": num_files, "folder_bytes": folder_bytes, "values_bytes": values_bytes, **row}
    row["anonymous_share"] = round((row["peak_anonymous_bytes"] - row["imports_bytes"]) / values_bytes, 3)
    return row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=2.0, help="size of the folder")
    parser.add_argument("--files", type=int, default=64, help="recordings")
    parser.add_argument("--formats", default="npy,csv", help="npy, csv")
    options = parser.parse_args()
    for ending in options.formats.split(","):
        print(json.dumps(measure(ending, options.gib, options.files)), flush=True)
