"""What a network eats: the record, its file, and its words."""

import json
from dataclasses import replace

import pytest

from nas_lightning.export.contract import FEATURES, ROWS, SCALED, InputDescription
from nas_lightning.tasks import Classes
from nas_lightning.tasks.decisions import Decision, Smoothing

WHOLE = InputDescription(
    *("0.2", "abc", Classes(("idle", "wave")), ROWS, (2, 64), ("x", "y"), 64, 32, 49.7, "samples / 32768"),
    *((1.0, 2147483648.0), 1000.0, "preset", ("FFT_FE", "ABS"), (-1.0, 0.0), (1.0, 4e9), 17),
    *(0.75, 0.875, Smoothing("mean", 5)),
)
BARE = InputDescription("0.2", "abc", Classes(("idle", "wave")))


@pytest.mark.parametrize("description", [WHOLE, BARE], ids=["whole", "bare"])
def test_a_file_gives_the_record_back(description):
    assert InputDescription.from_dict(json.loads(json.dumps(description.to_dict()))) == description


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 1),
        ("class_names", "idle"),
        ("class_names", [1, 2]),
        ("x", "anything"),
        ("shape", [1]),
        ("shape", [1, -1]),
        ("shape", [1, 2.5]),
        ("channels", ["x" * 20_000, "y"]),
        ("window", True),
        ("window", "64"),
        ("stride", -1),
        ("stride", 10**12),
        ("sampling_rate", 0),
        ("sampling_rate", float("nan")),
        ("sampling_rate", 1e400),
        ("unit", ["samples"]),
        ("offsets", [1.0]),
        ("offsets", [1.0, float("inf")]),
        ("offsets", ["1", "2"]),
        ("scale", 0),
        ("scale", "1000"),
        ("least", [1.0, 2.0, 3.0]),
        ("most", None),
        ("opset", 2.5),
        ("temperature", 0.0),
        ("temperature", "1"),
        ("threshold", -0.1),
        ("threshold", float("nan")),
        ("postprocess", "mean"),
        ("postprocess", {"method": "mode", "windows": 3}),
        ("postprocess", {"method": "mean", "windows": 1}),
        ("postprocess", {"method": "mean", "windows": 1 << 20}),
    ],
)
def test_another_kind_of_value_is_refused(key, value):
    with pytest.raises(ValueError, match=key):
        InputDescription.from_dict(WHOLE.to_dict() | {key: value})


@pytest.mark.parametrize("content", [[], "x", {}, WHOLE.to_dict() | {"more": 1}, {"version": "0.2"}], ids=str)
def test_other_keys_are_refused(content):
    with pytest.raises(ValueError, match="its keys are not"):
        InputDescription.from_dict(content)


def test_metadata_are_texts_and_leave_out_what_is_not_known():
    found = WHOLE.metadata()
    assert found["version"] == "0.2"
    assert json.loads(found["class_names"]) == ["idle", "wave"]
    assert json.loads(found["offsets"]) == [1.0, 2147483648.0]
    assert json.loads(found["sampling_rate"]) == 49.7
    assert found["unit"] == "samples / 32768"
    assert {"sampling_rate", "unit", "scale", "offsets", "opset", "features"}.isdisjoint(BARE.metadata())


def test_the_sentence_says_what_is_done_before_and_what_is_done_inside():
    says = {x: replace(WHOLE, x=x).sentence() for x in (ROWS, SCALED, FEATURES)}
    assert "the network divides by scale itself" in says[ROWS]
    assert "x holds rows divided by scale: " in says[SCALED]
    assert "x holds what the steps of the front end make of rows divided by scale" in says[FEATURES]
    for sentence in says.values():
        assert "made of the numbers of the device by: samples / 32768" in sentence
        assert "less offsets (taken off in integers or doubles, before it is a float)" in sentence
    assert "offsets" not in BARE.sentence()
    assert "scale" not in BARE.sentence()


def test_what_is_not_said_follows_from_the_samples():
    found = BARE.of_rows(3, 50)
    assert (found.channels, found.window, found.stride, found.offsets) == (("0", "1", "2"), 50, 50, (0.0, 0.0, 0.0))
    assert WHOLE.of_rows(2, 64) == WHOLE
    assert WHOLE.of_rows(1, 128) == WHOLE  # channels laid end to end
    with pytest.raises(ValueError, match="it says 2 channels of 64 rows; the samples have 3 of 64"):
        WHOLE.of_rows(3, 64)


def test_the_decision_is_that_of_the_fields():
    assert WHOLE.decision == Decision(0.75, 0.875, Smoothing("mean", 5))
    assert BARE.decision == Decision()
    assert json.loads(WHOLE.metadata()["postprocess"]) == {"method": "mean", "windows": 5}
    assert not {"temperature", "threshold", "postprocess"} & BARE.metadata().keys()
