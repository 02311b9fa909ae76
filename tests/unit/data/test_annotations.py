"""Whatever a list was written with is read back from it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nas_lightning.data.annotations import SPLITS, read_lists, write_lists

ODD = st.text(
    st.sampled_from(" \t\n\r\\/\"'.#,=ab1\u00a0\u0085\u2028\ufeff\x0b\x1c\x1f\x7f\udcff"), min_size=1, max_size=8
)
NAMES = ODD | st.text(min_size=1) | st.builds(str.__add__, st.sampled_from(["./", "classes/", ".\\", '"', "#"]), ODD)
ROWS = st.none() | st.tuples(st.integers(0, 2**40), st.integers(0, 2**40))


@given(st.lists(st.tuples(NAMES, ROWS), max_size=6))
@example([("a ", None), (" a", (0, 5)), ("a\tb", None), ("a\nb", (1, 2)), ("a\\b", None)])
@example([("./a", None), ("classes/a", None), ('"a"', None), ('"a', (3, 4)), ("#a", None), ("a\t1\t2", None)])
def test_every_name_is_read_back(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("lists")
    expected = [(name, 0, None) if part is None else (name, *part) for name, part in rows]
    write_lists(folder, dict.fromkeys(SPLITS, expected))
    assert read_lists(folder, "here") == dict.fromkeys(SPLITS, expected)


def test_plain_names_are_written_as_they_are(tmp_path):
    names = ["walk/1.csv", "Größe, 5 cm/#1 'a' \"b\".csv", "train/0", "a b", "C:x", "日本"]
    write_lists(tmp_path, {"train": [(name, 0, None) for name in names]})
    text = (tmp_path / "instances_train_list.txt").read_bytes().decode()
    assert text == "".join(f"{name}\n" for name in names)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_lists_by_hand_are_read(tmp_path, end, mark):
    lines = [
        "classes\\walk\\1.csv",
        ".\\walk\\2.csv  ",
        "./classes/walk/3.csv",
        "",
        '"quoted".csv',
        '"open',
        "walk/4.csv\t3\t9",
        '"walk/5.csv"\t3\t9',
    ]
    for split in SPLITS:
        (tmp_path / f"my_{split}_list.txt").write_bytes(mark + end.join(lines).encode())
    names = ["walk/1.csv", "walk/2.csv", "walk/3.csv", '"quoted".csv', '"open']
    expected = [*((name, 0, None) for name in names), ("walk/4.csv", 3, 9), ("walk/5.csv", 3, 9)]
    assert read_lists(tmp_path, "here")["train"] == expected
