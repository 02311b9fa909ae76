"""A key that says something of another kind of source is refused; one that is looked at is not."""

from dataclasses import fields

import pytest
from recording_files import EQUAL_LENGTH, FORMATS, ONE_CHANNEL, make_recordings

from nas_lightning.data.readers import open_source
from nas_lightning.data.readers.used import FOLDERS, USED
from nas_lightning.data.reading import Reading
from nas_lightning.errors import InputError

FOREIGN = {
    "npz": {"header": True},
    "ts": {"delimiter": "comma"},
    "arff": {"axes": "time_first"},
    "tsv": {"skip_rows": 1},
    "saved dataset": {"array": "x"},
    "csv table": {"levels": ["class"]},
    "parquet table": {"header": True},
    "csv folder": {"recording_ends": "gap"},
    "txt folder": {"npy_time": True},
    "npy folder": {"decimal": "comma"},
    "wav folder": {"time_unit": "ms"},
    "mat folder": {"header": False},
    "h5 folder": {"delimiter": "tab"},
    "xlsx folder": {"axes": "time_first"},
    "zip of a folder": {"array": "x"},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_key_of_another_kind_of_source_is_refused(tmp_path, name):
    lengths = (16,) * 12 if name in EQUAL_LENGTH else tuple(range(10, 22))
    path = str(FORMATS[name](tmp_path, make_recordings(lengths, 1 if name in ONE_CHANNEL else 2)))
    assert list(open_source(None, path).recordings)
    (key,) = FOREIGN[name]
    with pytest.raises(InputError, match=rf"^`{key}`: found .*, which changes nothing for .*; allowed: null$"):
        open_source(None, path, Reading(**FOREIGN[name]))


def test_every_key_is_of_some_kind():
    known = FOLDERS.union(*USED.values()) | {"columns", "variables", "similar_labels", "offset"}
    known |= {"is_labelled", "is_for_use", "unknown", "may_lack"}
    assert known == {field.name for field in fields(Reading)}


def test_a_set_by_its_name_is_of_one_form():
    with pytest.raises(InputError, match=r"`header`: found True, which changes nothing for BasicMotions \(ts\)"):
        open_source("BasicMotions", None, Reading(header=True))
