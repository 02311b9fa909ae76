"""Which level of folders the classes are: recognised, said, or asked."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from recording_files import places_of as table
from recording_files import read_with as read

from nas_lightning.errors import InputError


def write(folder, *names):
    """Small recordings; each holds a number of its own."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a,b\n" + "".join(f"{number},{row}\n" for row in range(4)))
    return folder


def every(*levels, files=("r0.csv", "r1.csv")):
    """Names of files in all combinations of folders."""
    names = [""]
    for level in (*levels, files):
        names = [f"{before}{name}" if name in files else f"{before}{name}/" for before in names for name in level]
    return names


def expected(names, label, group=None, split=None):
    """The same by hand: the places of the folders in a name."""
    made = {}
    for name in names:
        parts = name.split("/")
        made[name] = tuple(None if place is None else parts[place] for place in (label, group, split))
    return made


@pytest.mark.parametrize(
    "splits",
    [("train", "test"), ("training", "testing"), ("Train", "Valid", "TEST"), ("trn", "dev", "test"), ("train",)],
)
def test_folders_of_splits_are_the_splits(tmp_path, splits):
    names = every(splits, ("idle", "wave"))
    found, findings = read(write(tmp_path, *names))
    to = {"train": "train", "training": "train", "trn": "train", "valid": "val", "dev": "val"}
    made = {n: (a, b, to.get(c.lower(), "test")) for n, (a, b, c) in expected(names, 1, None, 0).items()}
    assert table(found) == made
    assert any("the splits are the folders" in line for line in findings.decisions)
    assert any("the classes are the folders idle (" in line for line in findings.decisions)


def test_values_stay_with_their_names(tmp_path):
    names = every(("testing", "training"), ("idle", "wave"))
    found, _ = read(write(tmp_path, *names))
    firsts = {name: float(found.values[start, 0]) for name, start in zip(found.names, found.starts, strict=False)}
    assert firsts == {name: float(number) for number, name in enumerate(names)}


@pytest.mark.parametrize("top", ["classes", "."])
def test_splits_below_classes_and_in_the_folder_named_classes(tmp_path, top):
    names = every(("idle", "wave"), ("train", "test"))
    found, findings = read(write(tmp_path / top, *names) if top == "." else write(tmp_path / top, *names).parent)
    assert table(found) == expected(names, 0, None, 1)
    assert "the splits are the folders test, train below the classes" in findings.decisions[0]


def test_splits_in_the_folder_named_classes(tmp_path):
    names = every(("train", "test"), ("idle", "wave"))
    write(tmp_path / "classes", *names)
    assert table(read(tmp_path)[0]) == expected(names, 1, None, 0)


def test_classes_below_a_folder_of_splits_named_classes(tmp_path):
    names = every(("train", "test"), ("classes",), ("idle", "wave"))
    assert table(read(write(tmp_path, *names))[0]) == expected(names, 2, None, 0)


@pytest.mark.parametrize("first", [("p1", "p2"), ("idle", "wave")])
def test_folders_of_folders_alone_are_asked_about(tmp_path, first):
    second = ("idle", "wave") if first[0] == "p1" else ("p1", "p2")
    write(tmp_path, *every(first, second))
    with pytest.raises(InputError) as error:
        read(tmp_path)
    message = str(error.value)
    assert f"its folders {', '.join(first)} hold folders only ({', '.join(second)})" in message
    assert "`levels`=[class,group] takes" in message
    assert "`levels`=[group,class]" in message


@pytest.mark.parametrize("depth", [2, 3])
def test_levels_of_persons_are_groups(tmp_path, depth):
    names = every(("p1", "p2"), ("idle", "wave"), *([("mon", "tue")] if depth == 3 else []))
    write(tmp_path, *names)
    found, _ = read(tmp_path, levels=["group", "class", "any"][:depth])
    assert table(found) == expected(names, 1, 0)
    found, _ = read(tmp_path, levels=["class", "group", "any"][:depth])
    assert table(found) == expected(names, 0, 1)


def test_several_levels_of_groups_are_joined(tmp_path):
    names = every(("p1", "p2"), ("mon", "tue"), ("idle", "wave"))
    found, _ = read(write(tmp_path, *names), levels=("group", "group", "class"))
    assert {group for _, group, _ in table(found).values()} == {"p1/mon", "p1/tue", "p2/mon", "p2/tue"}


def test_splits_of_persons_of_classes(tmp_path):
    names = every(("train", "test"), ("p1", "p2"), ("idle", "wave"))
    write(tmp_path, *names)
    with pytest.raises(InputError, match=r"its folders p1, p2 hold folders only \(idle, wave\)"):
        read(tmp_path)
    found, _ = read(tmp_path, levels=["split", "group", "class"])
    assert table(found) == expected(names, 2, 1, 0)


@pytest.mark.parametrize("top", ["data", "a/b"])
def test_a_folder_around_everything_is_looked_through(tmp_path, top):
    names = every(("idle", "wave"))
    write(tmp_path / top, *names)
    (tmp_path / "README.md").write_text("about")
    found, findings = read(tmp_path)
    assert table(found) == expected(names, 0)
    assert "the one folder around everything is looked through" in findings.decisions[0]


@pytest.mark.parametrize("top", ["", "data/"])
@pytest.mark.parametrize("splits", [("train", "test"), ("training", "testing")])
def test_the_same_in_a_zip_file(tmp_path, top, splits):
    names = every(splits, ("idle", "wave"))
    write(tmp_path / "in", *names)
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for name in names:
            archive.write(tmp_path / "in" / name, top + name)
        archive.writestr("__MACOSX/._x.csv", "")
    assert table(read(tmp_path / "data.zip")[0]) == table(read(tmp_path / "in")[0])


def test_one_and_the_same_folder_in_each_class_says_nothing(tmp_path):
    names = every(("idle", "wave"), ("raw",))
    found, findings = read(write(tmp_path, *names))
    assert table(found) == expected(names, 0)
    assert any("folders below those of the classes say nothing" in line for line in findings.warnings)


def test_days_below_some_classes_are_said(tmp_path):
    names = [*every(("idle", "wave")), "idle/mon/r0.csv", "idle/tue/r0.csv"]
    found, findings = read(write(tmp_path, *names))
    assert table(found) == expected(names, 0)
    (line,) = findings.warnings
    assert "2 times, first in idle/mon" in line
    assert "[`levels`=[class,group]]" in line


def test_classes_with_the_names_of_splits(tmp_path):
    names = every(("car", "bus", "train"))
    found, findings = read(write(tmp_path, *names))
    assert table(found) == expected(names, 0)
    assert "a folder with the name of a split is taken as a class (in train)" in findings.warnings[0]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (every(("train", "test")), "its folders test, train are splits, and test, train hold files that no folder"),
        ([*every(("train",), ("idle", "wave")), *every(("test",))], "and test holds files that no folder gives a"),
        (every(("val", "test"), ("idle", "wave")), "its folders test, val are splits, and none is train"),
        (every(("train", "test", "raw"), ("a", "b")), "the folders test, train have names of splits, and raw not"),
        ([*every(("idle",)), *every(("wave",), ("mon", "tue"))], "its folders idle hold files, and wave hold folders"),
    ],
)  # fmt: skip
def test_what_is_in_doubt_stops(tmp_path, names, text):
    with pytest.raises(InputError) as error:
        read(write(tmp_path, *names))
    assert text in str(error.value)
    assert "`levels`=" in str(error.value)


def test_what_the_question_proposes_is_taken(tmp_path):
    names = every(("train", "test"))
    found, _ = read(write(tmp_path, *names), levels=["class", "any"])
    assert table(found) == expected(names, 0)
    found, _ = read(tmp_path, levels=["split"], label_pattern="r[01]")
    assert {label for label, _, _ in table(found).values()} == {"r0", "r1"}


@pytest.mark.parametrize(
    ("levels", "text"),
    [
        (["class"], "idle/p1/r0.csv lies in 2 folders, and `levels` names 1"),
        (["split", "class", "group"], "lies in 2 folders, and `levels` names 3"),
        (["split", "class"], "the folder idle of idle/p1/r0.csv is no split; allowed: train, training, trn, val"),
        (["group", "any"], "which has no class; allowed: one class, or `label_pattern`"),
        (["class", "class"], "allowed: split and class once each"),
        (["class", "person"], "allowed: a list of split, class, group, any"),
        ("classes", "allowed: a list of split, class, group, any"),
    ],
)
def test_levels_that_cannot_be(tmp_path, levels, text):
    with pytest.raises(InputError) as error:
        read(write(tmp_path, *every(("idle", "wave"), ("p1", "p2"))), levels=levels)
    assert text in str(error.value)


def test_levels_beside_a_pattern(tmp_path):
    write(tmp_path, *every(("idle", "wave")))
    with pytest.raises(InputError, match=r"`levels`: found \['class'\], which has a class, beside `label_p"):
        read(tmp_path, levels=["class"], label_pattern="r")


@pytest.mark.parametrize("names", [["1", "10", "2"], ["-1", "0.5", "3"]])
def test_classes_that_are_numbers_are_in_order_as_in_tables(tmp_path, names):
    found, findings = read(write(tmp_path, *every(names)))
    assert found.label_names == tuple(sorted(names, key=float))
    assert table(found) == expected(every(names), 0)
    (line,) = [line for line in findings.decisions if "the classes are" in line]
    assert ", ".join(f"{name} (2)" for name in sorted(names, key=float)) in line


def test_lists_beside_folders_of_splits_win_and_that_is_said(tmp_path):
    names = every(("train", "test"), ("idle", "wave"))
    write(tmp_path, *names)
    for split in ("train", "val", "test"):
        (tmp_path / f"instances_{split}_list.txt").write_text(f"train/idle/r{len(split) % 2}.csv\n")
    found, findings = read(tmp_path)
    assert found.lists is not None
    assert any("the lists that lie beside the data decide the splits" in line for line in findings.warnings)


def test_what_is_left_out_is_said_once_a_kind(tmp_path):
    write(tmp_path, *every(("idle", "wave")))
    for number in range(5):
        (tmp_path / "idle" / f"photo{number}.JPG").write_text("x")
    for name in ("idle/.hidden.csv", "idle/desktop.ini", "wave/notes.md", "idle/raw", "beside.csv"):
        Path(tmp_path / name).write_text("x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.csv").write_text("x")
    found, findings = read(tmp_path)
    assert len(found) == 4
    lines = "\n".join(findings.decisions + findings.warnings)
    assert "files that end in .jpg are left out" in lines
    assert "5 times, first in idle/photo0.JPG" in lines
    assert "files without an ending are left out" in lines
    assert "hidden files, notes and lists are left out (3 times" in lines
    assert "begin with a dot or an underscore are left out (in .git)" in lines
    assert "files beside the folders are left out (in beside.csv)" in lines


def test_a_folder_with_files_of_no_known_kind_alone(tmp_path):
    for name in ("idle/a.json", "idle/b.json", "wave/c.docx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match=r"has no files in class folders; .*not read: 2 that end in .json, 1 that end"):
        read(tmp_path)


def test_names_may_be_anything_that_a_system_allows(tmp_path):
    names = every(("a b", "ä", "x" * 200, "train "), files=("new\nline.csv", "r0.CSV"))
    found, findings = read(write(tmp_path, *names))
    assert table(found) == expected(names, 0)
    assert all("\n" not in line for line in findings.decisions + findings.warnings)


@pytest.fixture
def deep(tmp_path):
    """A folder 1200 levels deep; taken away level by level, which shutil and pytest cannot do."""
    place = tmp_path / "train"
    place.mkdir()
    for _ in range(1200):
        place = place / "d"
        place.mkdir()
    (place / "r0.csv").write_text("1,2\n")
    yield tmp_path
    (place / "r0.csv").unlink()
    while place != tmp_path / "train":
        place.rmdir()
        place = place.parent


def test_deep_folders_do_not_exhaust_the_stack(deep):
    with pytest.raises(InputError, match="has the one class"):
        read(deep)
    write(deep, "train/idle/r0.csv", "train/wave/r0.csv")
    found, _ = read(deep, levels=["split", "class", "any"])
    assert np.bincount(found.labels).tolist() == [1, 1, 1]
