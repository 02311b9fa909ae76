"""Large data, from the launch of the command line to the first step of the search. One JSON line a kind of source.

    python benchmarks/reading.py
    python benchmarks/reading.py --kinds npz,files --share 0.1

Kinds: ``npz`` and ``npz_compressed`` (arrays of 1,000,000 samples of 3 channels and 128 steps), ``parquet`` (a long
table of the same, sorted by its text column ``recording``), ``files`` (100,000 .csv files of 3 x 128 in class folders),
``npy`` and ``csv`` (64 long recordings of 4 channels, 2 GiB, cut into windows that overlap by half). ``--share`` makes
all of them smaller. The job runs in a process of its own, on a terminal, and is ended after its first step.

``start_s``, ``read_s``, ``setup_s`` and ``step_s`` count from the launch: until the reading begins (imports), until all
is read, until it is split and checked, and until the first step of the search is done. ``bar_s`` is the time from the
beginning of the reading until the terminal shows a bar. ``peak_rss_bytes`` is the peak of resident memory, mapped files
and libraries included, as /usr/bin/time says it; ``anonymous_bytes`` leaves the mapped files out. ``ratio`` is the peak
over the values as float32.
"""

import argparse
import json
import os
import pty
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

CHANNELS, STEPS, SAMPLES, FILES = 3, 128, 1_000_000, 100_000
LAUNCHED = "READING_LAUNCHED"
WINDOWS = ["data_processing_feature_extraction.frame_size=1024", "data_processing_feature_extraction.stride_size=0.5"]
PART = 10_000


def samples(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random series ``[N, C, L]``, and labels 0 to 3."""
    random = np.random.default_rng(seed)
    return random.standard_normal((count, CHANNELS, STEPS), np.float32), np.arange(count) % 4


def write_npz(folder: Path, share: float, compressed: bool = False) -> tuple[Path, int]:
    """Four fifths to train on; returns the path and the bytes of the values."""
    x, y = samples(int(SAMPLES * share))
    train = len(x) * 4 // 5
    write = np.savez_compressed if compressed else np.savez
    write(folder / "data.npz", X_train=x[:train], y_train=y[:train], X_test=x[train:], y_test=y[train:])
    return folder / "data.npz", x.nbytes


def write_parquet(folder: Path, share: float) -> tuple[Path, int]:
    """A row a time step; the splits are to be made."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    count, writer = int(SAMPLES * share), None
    for start in range(0, count, PART):
        x, y = samples(min(PART, count - start), start)
        names = np.char.add("r", np.char.zfill(np.arange(start, start + len(x)).astype(str), 7))
        table = pa.table(
            {"recording": np.repeat(names, STEPS), "label": np.repeat(np.array(list("abcd"))[y], STEPS)}
            | {f"ch{i}": x[:, i].ravel() for i in range(CHANNELS)}
        )
        writer = writer or pq.ParquetWriter(folder / "data.parquet", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    return folder / "data.parquet", 4 * count * CHANNELS * STEPS


def write_files(folder: Path, share: float) -> tuple[Path, int]:
    """Small files with a header and a time column."""
    count = int(FILES * share)
    for start in range(0, count, PART):
        x, y = samples(min(PART, count - start), start)
        for label in range(4):
            (folder / "classes" / f"class{label}").mkdir(parents=True, exist_ok=True)
        for number, (values, label) in enumerate(zip(x.tolist(), y.tolist(), strict=True), start):
            rows = "\n".join(f"{t},{a:.4f},{b:.4f},{c:.4f}" for t, (a, b, c) in enumerate(zip(*values, strict=True)))
            (folder / "classes" / f"class{label}" / f"{number:06d}.csv").write_text(f"time,x,y,z\n{rows}\n")
    return folder, 4 * count * CHANNELS * STEPS


def write_long(folder: Path, share: float, ending: str) -> tuple[Path, int]:
    """64 long recordings of 4 channels; the files are 2 GiB together."""
    random, channels, num_files = np.random.default_rng(0), 4, 64
    bytes_of_value = {"npy": 4 * (channels + 1) / channels, "csv": 8}[ending]
    rows = int(share * 2**31 / num_files / bytes_of_value / channels)
    for number in range(num_files):
        target = folder / "classes" / "ab"[number % 2]
        target.mkdir(parents=True, exist_ok=True)
        values = random.standard_normal((rows, channels), np.float32)
        path = target / f"{number:04d}.{ending}"
        if ending == "npy":
            np.save(path, np.column_stack([np.arange(rows, dtype=np.float32), values]))
        else:
            np.savetxt(path, values, "%.4f", ",")
    return folder, 4 * rows * channels * num_files


WRITERS: dict[str, Callable[[Path, float], tuple[Path, int]]] = {
    "npz": write_npz,
    "npz_compressed": lambda folder, share: write_npz(folder, share, compressed=True),
    "parquet": write_parquet,
    "files": write_files,
    "npy": lambda folder, share: write_long(folder, share, "npy"),
    "csv": lambda folder, share: write_long(folder, share, "csv"),
}


def memory(name: str) -> int:
    """Bytes that /proc says of this process: ``VmHWM`` is the peak of resident memory, ``RssAnon`` its own now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def run_child(overrides: list[str]) -> None:
    """Run the command line until its first step, and print when it came to what."""
    from nas_lightning.__main__ import main as nas_lightning
    from nas_lightning.data import datamodule
    from nas_lightning.search.module import SearchModule

    seconds: dict[str, float] = {}
    peak = [0]
    open_source, collect, setup = datamodule.open_source, datamodule.collect, datamodule.TimeSeriesData.setup
    training_step = SearchModule.training_step

    def since_launch(name: str) -> None:
        seconds[name] = round(time.time() - float(os.environ[LAUNCHED]), 2)

    def watch() -> None:
        while True:
            peak[0] = max(peak[0], memory("RssAnon"))
            time.sleep(0.05)

    def timed_open(*arguments, **options):  # type: ignore[no-untyped-def]
        since_launch("start_s")
        return open_source(*arguments, **options)

    def timed_collect(*arguments, **options):  # type: ignore[no-untyped-def]
        found = collect(*arguments, **options)
        since_launch("read_s")
        return found

    def timed_setup(*arguments, **options):  # type: ignore[no-untyped-def]
        setup(*arguments, **options)
        since_launch("setup_s")

    def only_step(*arguments, **options):  # type: ignore[no-untyped-def]
        training_step(*arguments, **options)
        since_launch("step_s")
        print(json.dumps(seconds | {"peak_rss_bytes": memory("VmHWM"), "anonymous_bytes": peak[0]}), flush=True)
        os._exit(0)

    datamodule.open_source, datamodule.collect = timed_open, timed_collect
    datamodule.TimeSeriesData.setup = timed_setup  # type: ignore[method-assign]
    SearchModule.training_step = only_step  # type: ignore[method-assign]
    threading.Thread(target=watch, daemon=True).start()
    sys.argv = ["nas-lightning", *overrides]
    nas_lightning()


def launch(folder: str, overrides: list[str]) -> dict[str, float]:
    """What the child prints, and when its terminal shows the bar."""
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 100))
    shown, said = [0.0], bytearray()

    def watch() -> None:
        while True:
            try:
                said.extend(os.read(terminal, 1 << 16))
            except OSError:  # the other end was closed
                return
            if not shown[0] and b"reading " in said:
                shown[0] = time.time()

    launched = time.time()
    call = [sys.executable, str(Path(__file__).absolute()), "--child", *overrides]
    environment = os.environ | {LAUNCHED: str(launched)}
    with subprocess.Popen(call, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=end) as process:
        os.close(end)
        reader = threading.Thread(target=watch, daemon=True)
        reader.start()
        out, _ = process.communicate()
    reader.join()
    rows = [line for line in out.decode().splitlines() if line.startswith("{")]
    if process.returncode or not rows:
        sys.exit(said.decode(errors="replace"))
    row = json.loads(rows[-1])
    return row | {"bar_s": round(shown[0] - launched - row["start_s"], 2) if shown[0] else None}


def measure(kind: str, share: float, overrides: list[str]) -> dict[str, object]:
    """One row."""
    with tempfile.TemporaryDirectory() as folder:
        path, values_bytes = WRITERS[kind](Path(folder), share)
        files = [path] if path.is_file() else [file for file in path.rglob("*.*") if file.is_file()]
        row: dict[str, object] = {"kind": kind, "files": len(files)}
        row |= {"source_bytes": sum(file.stat().st_size for file in files), "values_bytes": values_bytes}
        windows = WINDOWS if kind in ("npy", "csv") else []
        with tempfile.TemporaryDirectory() as runs:
            found = launch(runs, [f"dataset.input_data_path={path}", "hydra.run.dir=run", *windows, *overrides])
    return row | found | {"ratio": round(found["peak_rss_bytes"] / values_bytes, 3)}


def main() -> None:
    """Write the data of each kind, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default="npz,npz_compressed,parquet,files", help=", ".join(WRITERS))
    parser.add_argument("--share", type=float, default=1.0, help="of the sizes above")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", help="settings, for example training.batch_size=256")
    arguments = parser.parse_args()
    if arguments.child:
        run_child(arguments.overrides)
        return
    for kind in arguments.kinds.split(","):
        print(json.dumps(measure(kind, arguments.share, arguments.overrides)), flush=True)


if __name__ == "__main__":
    main()
