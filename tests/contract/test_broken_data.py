"""Broken files and folders: each ends in one sentence that names the file, and the row where there is one."""

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from recording_files import csv_folder, csv_text, long_table, make_recordings, saved_dataset, ts_pair
from scipy.io import wavfile

from nas_lightning.data.collect import collect
from nas_lightning.data.readers import open_source
from nas_lightning.errors import InputError

GOOD = make_recordings((12,) * 6)


def file_of(name, content):
    """A folder of good CSV files, and one that holds ``content``."""

    def write(folder):
        csv_folder(folder, GOOD)
        path = folder / "classes" / "calm" / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return write


def alone(name, content):
    def write(folder):
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return folder / name

    return write


def npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def zip_with(*members, attributes=0, damage=False, name="data.zip"):
    def write(folder):
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in members:
                info = zipfile.ZipInfo(member)
                info.external_attr = attributes
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, content)
        if damage:
            content = bytearray((folder / name).read_bytes())
            content[40:60] = b"\xff" * 20
            (folder / name).write_bytes(content)
        return folder / name

    return write


def bomb(folder):
    with (
        zipfile.ZipFile(folder / "data.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("classes/calm/a.csv", "w", force_zip64=True) as member,
    ):
        for _ in range(1100):
            member.write(b"0" * (1 << 20))
    return folder / "data.zip"


def empty_class(folder):
    csv_folder(folder, GOOD)
    (folder / "classes" / "extra").mkdir()
    return folder


def one_class(folder):
    return csv_folder(folder, [row for row in GOOD if row[2] == "calm"])


def link_loop(folder):
    csv_folder(folder, GOOD)
    (folder / "classes" / "calm" / "loop.csv").symlink_to(folder / "classes" / "calm" / "loop.csv")
    return folder


def link_to_nothing(folder):
    csv_folder(folder, GOOD)
    (folder / "classes" / "calm" / "gone.csv").symlink_to("nowhere.csv")
    return folder


def folder_loop(folder):
    csv_folder(folder, GOOD)
    (folder / "classes" / "calm" / "up").symlink_to(folder / "classes", target_is_directory=True)
    (folder / "classes" / "calm" / "bad.csv").write_text("")
    return folder


def foreign_link(*parts, target="secret.csv"):
    """A link at ``parts`` of a good folder that leads to a file or folder beside it."""

    def write(folder):
        csv_folder(folder / "data", GOOD)
        (folder / "secret.csv").write_text("root:x:0:0\n")
        (folder / "outside").mkdir()
        link = folder.joinpath("data", *parts)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder / target)
        return folder / "data"

    return write


def foreign_partner(folder):
    path = ts_pair(folder, make_recordings((12,) * 12))
    (folder / "made_TEST.ts").rename(folder.parent / "outside.ts")
    (folder / "made_TEST.ts").symlink_to(folder.parent / "outside.ts")
    return path


def foreign_classes(folder):
    csv_folder(folder / "elsewhere", GOOD)
    (folder / "data").mkdir()
    (folder / "data" / "classes").symlink_to(folder / "elsewhere" / "classes", target_is_directory=True)
    return folder / "data"


def foreign_arrow(folder):
    saved_dataset(folder, make_recordings((12,) * 12))
    path = folder / "train" / "data-00000-of-00001.arrow"
    path.rename(folder.parent / "outside.arrow")
    path.symlink_to(folder.parent / "outside.arrow")
    return folder


def pipe(*parts):
    def write(folder):
        csv_folder(folder / "data", GOOD)
        path = folder.joinpath("data", *parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
        return folder / "data"

    return write


def pipe_alone(folder):
    os.mkfifo(folder / "x.npz")
    return folder / "x.npz"


def pipe_of_a_dataset(folder):
    saved_dataset(folder, make_recordings((12,) * 12))
    (folder / "train" / "state.json").unlink()
    os.mkfifo(folder / "train" / "state.json")
    return folder


def damaged_npz(folder):
    """One bit of the series is another; the header is as it was."""
    content = bytearray(
        npz(**{key: np.zeros((4, 1, 9)) for key in ("X_train", "X_test")}, y_train=np.arange(4), y_test=np.arange(4))
    )
    content[content.index(b"NUMPY") + 200] ^= 1
    (folder / "d.npz").write_bytes(content)
    return folder / "d.npz"


def other_channels(folder):
    csv_folder(folder, GOOD)
    (folder / "classes" / "wild" / "z.csv").write_text(csv_text(np.zeros((5, 3))))
    return folder


def table(change):
    def write(folder):
        frame = change(long_table(GOOD))
        frame.to_csv(folder / "table.csv", index=False)
        return folder / "table.csv"

    return write


def spoil(frame, row, column, value):
    frame[column] = frame[column].astype(object)
    frame.loc[row, column] = value
    return frame


def ts(change):
    def write(folder):
        path = ts_pair(folder, make_recordings((12,) * 12))
        path.write_text(change(path.read_text()))
        return path

    return write


def dataset(change):
    def write(folder):
        saved_dataset(folder, make_recordings((12,) * 12))
        change(folder)
        return folder

    return write


def wav_bytes():
    stream = io.BytesIO()
    wavfile.write(stream, 100, np.zeros(50, np.int16))
    return stream.getvalue()


def set_json(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def unlabelled(folder):
    """What ``datasets`` writes for a row without a label."""
    import pyarrow as pa

    saved_dataset(folder, make_recordings((12,) * 12))
    path = str(folder / "train" / "data-00000-of-00001.arrow")
    with pa.ipc.open_stream(pa.OSFile(path)) as stream:
        rows = stream.read_all()
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
        extra = pa.table({"signal": pa.array([[[1.0, 2.0]]], rows.schema.field("signal").type), "label": [-1]})
        writer.write_table(extra)
    return folder


CSV = "calm/x.csv"
BROKEN = {
    # text
    "0 bytes": (file_of("x.csv", ""), f"{CSV}: is empty; rows of numbers are needed"),
    "only blank lines": (file_of("x.csv", "\n\n  \n"), f"{CSV}: is empty"),
    "only a header": (file_of("x.csv", "time,a,b\n"), f"{CSV}: has a header and no row of numbers"),
    "only a time column": (file_of("x.csv", "time\n1\n2\n"), f"{CSV}: has only columns of time"),
    "text in numbers": (file_of("x.csv", "a,b\n1,2\n3,x\n"), f"{CSV}: line 3, column 2 is 'x'; allowed: numbers"),
    "a second header": (file_of("x.csv", "a,b\n1,2\na,b\n3,4\n"), f"{CSV}: line 3, column 1 is 'a'; allowed: numbers"),
    "a label in a column": (file_of("x.csv", "a,b\n1,calm\n2,calm\n"), f"{CSV}: column 'b' has text such as 'calm'; name the columns to take by `variables`"),
    "both decimal signs": (file_of("x.csv", "a;b\n0;0\n0,5;1\n0.5;1\n"), f"{CSV}: line 4, column 1 is '0.5'; allowed: numbers with a decimal comma"),
    "names or numbers": (file_of("x.csv", "0,1\n5,6\n7,8\n"), f"{CSV}: line 1 is 0, 1, names or values; `header`=true or false says which"),
    "lines before the table": (file_of("x.csv", "Device,X\nRate,50\na,b\n1,2\n3,4\n"), f"{CSV}: line 2, column 1 is 'Rate'; allowed: numbers; `skip_rows`=2 skips"),
    "only comments": (file_of("x.csv", "# a\n% b\n"), f"{CSV}: is empty; rows of numbers are needed"),
    "a longer row": (file_of("x.csv", "1,2\n3,4\n5,6,7\n"), f"{CSV}: line 3 has 3 cells and the first has 2"),
    "a shorter row": (file_of("x.csv", "1,2\n3\n5,6\n"), f"{CSV}: line 2 has 1 cells and the first has 2"),
    "truncated": (file_of("x.csv", "a,b\n1,2\n3,4\n5"), f"{CSV}: line 4 has 1 cells and the first has 2"),
    "binary": (file_of("x.csv", bytes(range(256)) * 9), f"{CSV}: is not text; allowed: numbers separated by commas"),
    "a picture": (file_of("x.csv", b"\x89PNG\r\n\x1a\n" + bytes(99)), f"{CSV}: is not text"),
    "wrong encoding": (file_of("x.csv", b"a,b\n" + b"1,2\n" * 20000 + b"\xff\xfe,3\n"), f"{CSV}: is not text in utf-8 after"),
    "half of UTF-16": (file_of("x.csv", "1,2\n3,4\n".encode("utf-16")[:-1]), f"{CSV}: is not text in utf-16 after line"),
    "a number too large": (file_of("x.csv", "1,2\n1e60,4\n"), f"{CSV}: row 1 of channel 0 is infinite or too large"),
    "a number beyond double": (file_of("x.csv", "1,2\n3,1e999\n"), f"{CSV}: row 1 of channel 1 is infinite or too large"),
    "infinity": (file_of("x.csv", "1,2\n3,-inf\n"), f"{CSV}: row 1 of channel 1 is infinite or too large"),
    "NaN": (file_of("x.csv", "1,2\nNaN,4\n"), f"{CSV}: row 1 of channel 0 is missing, the first of 1 values that are"),
    "an empty cell": (file_of("x.csv", "1,2\n3,4\n,6\n"), f"{CSV}: row 2 of channel 0 is missing"),
    "hexadecimal": (file_of("x.csv", "1,2\n0x10,4\n"), f"{CSV}: line 2, column 1 is '0x10'; allowed: numbers"),
    "a formula": (file_of("x.csv", "1,2\n=A1+1,4\n"), f"{CSV}: line 2, column 1 is '=A1+1'"),
    "an open quote": (file_of("x.csv", '1,2\n"3,4\n5,6\n'), f"{CSV}: line 2 "),
    "one endless line": (file_of("x.csv", "1," * (1 << 20)), f"{CSV}: line 1 has 1,048,576 characters or more"),
    "mixed delimiters": (file_of("x.csv", "1,2\n3;4\n"), f"{CSV}: line 2 has 1 cells and the first has 2"),
    "other channels": (other_channels, "wild/z.csv has 3 channels and calm/r00.csv has 2; they must agree"),
    # folders
    "nothing there": (lambda folder: folder / "gone", "`path`: there is no "),
    "an empty folder": (lambda folder: folder, "has no files in class folders; allowed: classes/CLASS/*.{csv,txt,tsv,npy,wav,mat,h5,hdf5,xlsx}"),
    "an empty class": (empty_class, "the class folders ['extra'] hold no recording; allowed: csv, txt, tsv, npy, wav, mat,"),
    "one class": (one_class, "has the one class ['calm'] to train on; at least 2 are needed"),
    "a link loop": (link_loop, "loop.csv is a link that leads to no file"),
    "a link to nothing": (link_to_nothing, "gone.csv is a link that leads to no file"),
    "a link out": (foreign_link("classes", "calm", "l.csv"), "data: l.csv is a link that leads out of the folder; allowed: links within it"),
    "a folder link out": (foreign_link("classes", "calm", "l", target="outside"), "data: l is a link that leads out of the folder"),
    "a class link out": (foreign_link("classes", "other", target="outside"), "data: other is a link that leads out of the folder"),
    "all classes a link out": (foreign_classes, "data: classes is a link that leads out of the folder"),
    "a list a link out": (foreign_link("annotations", "instances_train_list.txt"), "data: instances_train_list.txt is a link that leads out of"),
    "a link to a device": (foreign_link("classes", "calm", "l.csv", target="/dev/zero"), "data: l.csv is a link that leads out of the folder"),
    "a pipe": (pipe("classes", "calm", "p.csv"), "data: p.csv is no regular file but a pipe; allowed: files"),
    "a list a pipe": (pipe("annotations", "instances_train_list.txt"), "data: instances_train_list.txt is no regular file but a pipe"),
    "a pipe alone": (pipe_alone, "x.npz is no regular file but a pipe; allowed: a folder with classes"),
    "a device": (lambda folder: "/dev/zero", "`path`: /dev/zero is no regular file but a device; allowed: a folder with"),
    "a folder loop": (folder_loop, "calm/bad.csv: is empty"),
    "a pickle": (file_of("x.pkl", b"cos\nsystem\n"), "x.pkl is a pickle, which could run code; save it as .csv or .npy"),
    "an unknown kind": (alone("data.docx", b"PK"), "data.docx is of no known kind; allowed: a folder with classes"),
    # arrays
    "npy: pickled": (file_of("x.npy", npy(np.array([{}], object), allow_pickle=True)), "x.npy: cannot be read as .npy without"),
    "npy: truncated": (file_of("x.npy", npy(np.zeros((40, 3)))[:-50]), "x.npy: cannot be read as .npy"),
    "npy: empty file": (file_of("x.npy", b""), "x.npy: cannot be read as .npy"),
    "npy: three axes": (file_of("x.npy", npy(np.zeros((3, 3, 3)))), "x.npy: has shape [3, 3, 3] and type float64; allowed"),
    "npy: text": (file_of("x.npy", npy(np.array(["a"]))), "x.npy: has shape [1] and type <U1; allowed: numbers"),
    "npy: only time": (file_of("x.npy", npy(np.arange(9.0)[:, None])), "x.npy: has 1 column, which is the time"),
    "npy: no rows": (file_of("x.npy", npy(np.zeros((0, 3)))), "x.npy has 0 rows of 2 channels; at least 1 is needed"),
    "npy: complex": (file_of("x.npy", npy(np.zeros(4, complex))), "x.npy: has shape [4] and type complex128"),
    "npz: arrays missing": (alone("d.npz", npz(a=np.zeros(3))), "d.npz: lacks X_train, y_train, X_test, y_test; found ['a']"),
    "npz: no labels": (alone("d.npz", npz(x=np.zeros(3))), "d.npz: lacks y; found ['x'], needed ['X_train', 'y_train', 'X_test', 'y_test'], or X and y"),
    "npz: truncated": (alone("d.npz", npz(X_train=np.zeros(999))[:200]), "d.npz cannot be read as .npz"),
    "npz: a flipped bit": (damaged_npz, "d.npz cannot be read as .npz without pickled objects (Bad CRC-32"),
    "npz: a class twice": (
        alone("d.npz", npz(X_train=np.zeros((4, 1, 9)), y_train=np.arange(4) % 3, X_test=np.zeros((3, 1, 9)), y_test=np.arange(3), class_names=np.array(["a", "b", "a"]))),
        "d.npz: has several classes of the names ['a']; allowed: each name once",
    ),
    "npz: no array": (
        zip_with(("X_train.npy", "x"), ("y_train.npy", "x"), ("X_test.npy", "x"), ("y_test.npy", "x"), name="d.npz"),
        "d.npz cannot be read as .npz",
    ),
    "npz: text as an array": (alone("d.npz", npz(**{key: np.array("x") for key in ("X_train", "y_train", "X_test", "y_test")})), "d.npz: X_train has shape []"),
    "wav: no header": (file_of("x.wav", b"RIFF" + bytes(20)), "x.wav: cannot be read as WAV"),
    "wav: truncated": (file_of("x.wav", wav_bytes()[:30]), "x.wav: cannot be read as WAV"),
    # zip files
    "zip: leads out": (zip_with(("../x.csv", "1")), "its member '../x.csv' leads out of the folder; allowed: relative"),
    "zip: absolute": (zip_with(("/etc/x.csv", "1")), "its member '/etc/x.csv' leads out of the folder"),
    "zip: backslashes": (zip_with(("..\\x.csv", "1")), "leads out of the folder"),
    "zip: a drive": (zip_with(("C:/x.csv", "1")), "its member 'C:/x.csv' leads out of the folder"),
    "zip: a link": (zip_with(("classes/a/x.csv", "/etc/passwd"), attributes=0o120777 << 16), "is a link; allowed: files"),
    "zip: a bomb": (bomb, "unpacks to 1,153,433,600 bytes; allowed for its size: 1,073,741,824"),
    "zip: no zip": (alone("d.zip", b"no zip"), "d.zip: is no zip file that can be unpacked"),
    "zip: damaged": (zip_with(("classes/a/x.csv", "1,2\n" * 500), damage=True), "is no zip file that can be unpacked"),
    "zip: empty": (zip_with(), "data.zip: has no files in class folders"),
    "zip: bad file inside": (zip_with(("classes/a/x.csv", ""), ("classes/b/y.csv", "1")), "data.zip: a/x.csv: is empty"),
    # series
    "ts: no data": (ts(lambda text: text.split("@data")[0]), "made_TRAIN.ts: has no line @data"),
    "ts: no head": (ts(lambda text: "1,2,3:calm\n"), "made_TRAIN.ts: line 1 stands before @data and does not start with @"),
    "ts: no label": (ts(lambda text: text + "1,2,3\n"), "made_TRAIN.ts: line 15 has 1 parts; allowed: dimensions:...:label"),
    "ts: text": (ts(lambda text: text + "1,x:1,2:calm\n"), "made_TRAIN.ts: line 15 has 'x' among its values; allowed: num"),
    "ts: ragged": (ts(lambda text: text + "1,2:1:calm\n"), "line 15 has dimensions of [1, 2] values; they must agree"),
    "ts: a dimension less": (ts(lambda text: text + "1,2:calm\n"), "line 15 has 1 dimensions and the first has 2"),
    "ts: time stamps": (ts(lambda text: "@timeStamps true\n" + text), "line 1 announces time stamps; allowed: @timestamps"),
    "ts: no classes": (ts(lambda text: "@classLabel false\n" + text), "line 1 says that there are no class labels"),
    "ts: a partner outside": (foreign_partner, "made_TEST.ts is a link that leads out of the folder"),
    "ts: all missing": (ts(lambda text: text + "?,?:?,?:calm\n"), "made_TRAIN.ts: series 8 has no value"),
    "tsv: text": (alone("d.tsv", "1\t2\t3\n2\t4\tx\n"), "d.tsv: line 2 has 'x' among its values; allowed: numbers"),
    "tsv: only labels": (alone("d.tsv", "1\n2\n"), "d.tsv: line 1 has '' among its values; allowed: numbers"),
    "arff: no arff": (alone("d.arff", "1,2,3\n"), "d.arff: has no recordings"),
    # tables
    "table: no label": (table(lambda t: t.drop(columns="label")), "table.csv: has no column 'label', which `columns.la"),
    "table: no recording": (table(lambda t: t.drop(columns="recording")), "has no column 'recording', which `columns.re"),
    "table: no variable": (table(lambda t: t[["recording", "label"]]), "has no column besides recording, label; variables"),
    "table: two labels": (table(lambda t: spoil(t, 3, "label", "odd")), "the recording 'r00' has 2 values of 'label', among"),
    "table: apart": (table(lambda t: spoil(t, 30, "recording", "r00")), "the rows of the recording 'r00' do not stand together"),
    "table: text": (table(lambda t: spoil(t, 3, "ch0", "loud")), "the column 'ch0' of the recording 'r00' has text such as"),
    "table: a missing time": (table(lambda t: spoil(t, 3, "time", None)), "the recording 'r00' has a row without a time"),
    "table: a bad time": (table(lambda t: spoil(t, 3, "time", "noon")), "the recording 'r00' has times that cannot be read"),
    "table: no name": (table(lambda t: spoil(t, 3, "recording", None)), "the column 'recording' has an empty cell"),
    "table: ragged": (alone("t.csv", "recording,label,a\nr,c,1\nr,c,1,2,3\n"), "t.csv: line 3 has 5 cells and the line of names has 3"),
    "table: no name of a column": (alone("t.csv", "0.1,0.2,calm\n0.3,x,0.2\n0.3,y,z\n"), "`series_per_line`=true"),
    "table: another case": (table(lambda t: t.rename(columns={"label": "Label"})), "found 'Label'; set `columns.label`=Label"),
    "table: a column twice": (alone("t.csv", "recording,label,a, a\nr,c,1,2\n"), "t.csv: has two columns 'a'; allowed: each name once"),
    "table: a label that is none": (table(lambda t: t.replace({"label": {"calm": "NaN"}})), "the recording 'r00' has no label (found 'NaN'"),
    "table: a tab in a name": (table(lambda t: t.replace({"recording": {"r01": "r\t1"}})), "the name of the recording 'r 1' has a tab or an end of line"),
    "table: a column of text": (table(lambda t: t.assign(note="sunny")), "the column 'note' of the recording 'r00' has text such as 'sunny'; allowed: numbers"),
    "table: open dates": (
        table(lambda t: t.assign(time=(["01/02/2024 23:59:59"] * 6 + ["02/02/2024 00:00:01"] * 6) * 6)),
        "can be read with the day or with the month first (found '01/02/2024'); say `day_first`=true or",
    ),
    "table: offsets in some times": (
        table(lambda t: t.assign(time=["2024-01-01T10:00:00", "2024-01-01T10:00:01Z"] * 36)),
        "the recording 'r00' has times with and without an offset from UTC",
    ),
    "table: no clock": (table(lambda t: t.assign(time=t["ch0"])), "fall back in"),
    "series a line: text": (alone("t.csv", "1,2,a\n1,x,b\n1,2,a\n"), "t.csv: line 2 has 'x' among its values; allowed: numbers"),
    "series a line: no label": (alone("t.csv", "1,2,a\n1,2,b\n1,2,\n3,4,a\n"), "t.csv: line 3 has no label"),
    "parquet: no parquet": (alone("t.parquet", b"PAR1" + bytes(30)), "t.parquet: cannot be read as Parquet"),
    # saved datasets
    "dataset: no arrow": (
        dataset(lambda f: (f / "train" / "data-00000-of-00001.arrow").write_bytes(b"x")),
        "cannot be read as Arrow",
    ),
    "dataset: leads out": (
        dataset(lambda f: set_json(f / "train" / "state.json", {"_data_files": [{"filename": "../x.arrow"}]})),
        "state.json names the file '../x.arrow'; allowed: files of this folder",
    ),
    "dataset: a link out": (foreign_arrow, "data-00000-of-00001.arrow is a link that leads out of the folder"),
    "dataset: a pipe": (pipe_of_a_dataset, "state.json is no regular file but a pipe; allowed: files"),
    "dataset: no json": (dataset(lambda f: set_json(f / "dataset_dict.json", "{")), "dataset_dict.json: cannot be read as JSON"),
    "dataset: no label": (
        lambda folder: unlabelled(folder),
        "row 8 has the label '-1'; allowed: 0 to 1",
    ),
    "dataset: other splits": (
        dataset(lambda f: set_json(f / "dataset_dict.json", {"splits": ["a"]})),
        "has the splits ['a']; allowed: train, validation, test",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_one_sentence_names_file_and_row(tmp_path, name):
    write, text = BROKEN[name]
    (tmp_path / "in").mkdir()
    path = write(tmp_path / "in")
    with pytest.raises(InputError) as error:
        collect(open_source(None, str(path)))
    message = str(error.value)
    assert text in message
    assert "\n" not in message
    assert not [p for p in tmp_path.iterdir() if p.name not in ("in", "outside.arrow", "outside.ts")]


def test_there_are_at_least_forty():
    assert len(BROKEN) >= 40


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    csv_folder(tmp_path, GOOD)
    (tmp_path / "classes" / "calm" / "r00.csv").chmod(0)
    with pytest.raises(InputError, match=r"calm/r00.csv cannot be read \(Permission denied\)"):
        collect(open_source(None, str(tmp_path)))


@pytest.mark.parametrize("place", [b"classes/\xff/1.csv", b"classes/a/\xff.csv"])
def test_a_name_that_is_no_text_is_said(tmp_path, place):
    """The lists of the splits hold names as UTF-8."""
    for name in (b"classes/b/1.csv", place):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n1\n2\n")
    with pytest.raises(InputError, match=r"the name .*\\udcff.* is no UTF-8; give it another one"):
        open_source(None, str(tmp_path))
