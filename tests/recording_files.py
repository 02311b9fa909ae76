"""Writes the same labelled recordings in every format that is read."""

import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat, wavfile

from nas_lightning.data.collect import collect
from nas_lightning.data.readers import open_source
from nas_lightning.data.reading import Reading

LABELS = ("calm", "wild")


def read_with(path, **said):
    """The recordings of a path, and what its reader decided, with what a user says."""
    source = open_source(None, str(path), Reading(**said))
    return collect(source), source.findings


def places_of(recordings):
    """By name: class, group and split."""
    groups = recordings.groups or [None] * len(recordings)
    splits = recordings.splits or [None] * len(recordings)
    labels = [recordings.label_names[number] for number in recordings.labels]
    return dict(zip(recordings.names, zip(labels, groups, splits, strict=True), strict=True))


def make_recordings(lengths=(40,) * 12, channels=2, seed=0):
    """``(name, values [T, C], label)``: sines of two frequencies with noise, values with three decimals."""
    random = np.random.default_rng(seed)
    rows = []
    for i, length in enumerate(lengths):
        time = np.arange(length)[:, None] + random.uniform(0, 20)
        values = np.sin(time * (0.3 if i % 2 == 0 else 1.3)) + 0.1 * random.standard_normal((length, channels))
        rows.append((f"r{i:02d}", values.round(3), LABELS[i % 2]))
    return rows


def class_folders(folder, recordings, write, ending):
    for name, values, label in recordings:
        target = folder / "classes" / label
        target.mkdir(parents=True, exist_ok=True)
        write(target / f"{name}.{ending}", values)
    return folder


def csv_text(values, delimiter=",", header=True, decimal="."):
    lines = [delimiter.join(["time", *(f"ch{c}" for c in range(values.shape[1]))])] if header else []
    for t, row in enumerate(values):
        cells = ([str(t)] if header else []) + [f"{v:.3f}".replace(".", decimal) for v in row]
        lines.append(delimiter.join(cells))
    return "\n".join(lines) + "\n"


def csv_folder(folder, recordings, delimiter=",", header=True, decimal=".", ending="csv", encoding="utf-8"):
    def write(path, values):
        path.write_bytes(csv_text(values, delimiter, header, decimal).encode(encoding))

    return class_folders(folder, recordings, write, ending)


def npy_folder(folder, recordings):
    def write(path, values):
        np.save(path, np.column_stack([np.arange(len(values)), values]))

    return class_folders(folder, recordings, write, "npy")


def mat_folder(folder, recordings):
    def write(path, values):
        savemat(path, {"signal": values, "device": "made", "rate": 50.0})

    return class_folders(folder, recordings, write, "mat")


def hdf5_folder(folder, recordings, ending="h5"):
    h5py = pytest.importorskip("h5py")

    def write(path, values):
        with h5py.File(path, "w") as file:
            file.create_dataset("measured/signal", data=values, compression="gzip")
            file.attrs["device"] = "made"

    return class_folders(folder, recordings, write, ending)


def excel_folder(folder, recordings):
    pytest.importorskip("openpyxl")

    def write(path, values):
        frame = pd.DataFrame(values, columns=[f"ch{c}" for c in range(values.shape[1])])
        frame.insert(0, "time", np.arange(len(values)) / 50)
        frame.to_excel(path, index=False)

    return class_folders(folder, recordings, write, "xlsx")


def flat_folder(folder, recordings):
    """All files beside each other, and a table of their labels."""
    lines = ["file,label"]
    for name, values, label in recordings:
        (folder / f"{name}.csv").write_text(csv_text(values))
        lines.append(f"{name}.csv,{label}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def wav_folder(folder, recordings):
    def write(path, values):
        wavfile.write(path, 100, (values / 4).astype(np.float32))

    return class_folders(folder, recordings, write, "wav")


def zip_of_folder(folder, recordings):
    inside = csv_folder(folder / "inside", recordings)
    with zipfile.ZipFile(folder / "data.zip", "w") as archive:
        for path in sorted(inside.rglob("*.csv")):
            archive.write(path, path.relative_to(inside))
    return folder / "data.zip"


def npz_file(folder, recordings):
    x = np.stack([values.T for _, values, _ in recordings]).astype(np.float32)
    y = np.array([label for _, _, label in recordings])
    np.savez(folder / "data.npz", X_train=x[:8], y_train=y[:8], X_test=x[8:], y_test=y[8:])
    return folder / "data.npz"


def ts_pair(folder, recordings):
    for split, part in (("TRAIN", recordings[:8]), ("TEST", recordings[8:])):
        lines = [
            "#made here",
            "@problemName made",
            "@timeStamps false",
            "@univariate false",
            "@classLabel true calm wild",
        ]
        lines.append("@data")
        for _, values, label in part:
            dimensions = [",".join(f"{v:.3f}" for v in channel) for channel in values.T]
            lines.append(":".join([*dimensions, label]))
        (folder / f"made_{split}.ts").write_text("\n".join(lines) + "\n")
    return folder / "made_TRAIN.ts"


def tsv_pair(folder, recordings):
    longest = max(len(values) for _, values, _ in recordings)
    for split, part in (("TRAIN", recordings[:8]), ("TEST", recordings[8:])):
        lines = []
        for _, values, label in part:
            cells = [f"{v:.3f}" for v in values[:, 0]] + ["NaN"] * (longest - len(values))
            lines.append("\t".join([str(1 + LABELS.index(label)), *cells]))
        (folder / f"made_{split}.tsv").write_text("\n".join(lines) + "\n")
    return folder / "made_TRAIN.tsv"


def arff_pair(folder, recordings):
    for split, part in (("TRAIN", recordings[:8]), ("TEST", recordings[8:])):
        length = len(part[0][1])
        lines = ["@relation made", *(f"@attribute att{t} numeric" for t in range(length))]
        lines += ["@attribute target {calm,wild}", "@data"]
        lines += [",".join([*(f"{v:.3f}" for v in values[:, 0]), label]) for _, values, label in part]
        (folder / f"made_{split}.arff").write_text("\n".join(lines) + "\n")
    return folder / "made_TRAIN.arff"


def long_table(recordings):
    parts = []
    for name, values, label in recordings:
        part = pd.DataFrame(values, columns=[f"ch{c}" for c in range(values.shape[1])])
        part.insert(0, "recording", name)
        part.insert(1, "time", np.arange(len(values)) / 50)
        part["label"] = label
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def csv_table(folder, recordings):
    long_table(recordings).to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


def parquet_table(folder, recordings):
    long_table(recordings).to_parquet(folder / "table.parquet")
    return folder / "table.parquet"


def saved_dataset(folder, recordings):
    """What ``datasets.Dataset.save_to_disk`` leaves: Arrow streams and two JSON files."""
    import pyarrow as pa

    splits = {"train": recordings[:8], "test": recordings[8:]}
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
    for split, part in splits.items():
        (folder / split).mkdir()
        table = pa.table({"signal": [v.tolist() for _, v, _ in part], "label": [LABELS.index(c) for _, _, c in part]})
        path = str(folder / split / "data-00000-of-00001.arrow")
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        features = {"label": {"names": list(LABELS), "_type": "ClassLabel"}}
        (folder / split / "dataset_info.json").write_text(json.dumps({"features": features}))
        state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}
        (folder / split / "state.json").write_text(json.dumps(state))
    return folder


FORMATS = {
    "csv folder": csv_folder,
    "txt folder": lambda f, r: csv_folder(f, r, delimiter="\t", ending="txt"),
    "npy folder": npy_folder,
    "tsv folder": lambda f, r: csv_folder(f, r, delimiter="\t", ending="tsv"),
    "wav folder": wav_folder,
    "mat folder": mat_folder,
    "h5 folder": hdf5_folder,
    "hdf5 folder": lambda f, r: hdf5_folder(f, r, ending="hdf5"),
    "xlsx folder": excel_folder,
    "csv files and labels.csv": flat_folder,
    "zip of a folder": zip_of_folder,
    "npz": npz_file,
    "ts": ts_pair,
    "tsv": tsv_pair,
    "arff": arff_pair,
    "csv table": csv_table,
    "parquet table": parquet_table,
    "saved dataset": saved_dataset,
}
"""By name: ``(folder, recordings) -> path``."""

ONE_CHANNEL = ("tsv", "arff")
SCALE = {"wav folder": 4}
FIXED_TEST = ("npz", "ts", "tsv", "arff", "saved dataset")
EQUAL_LENGTH = ("npz", "arff")
