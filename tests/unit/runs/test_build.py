"""The door between the configuration and the library: what a part says of its arguments is said of its keys."""

import pytest
from torch import nn

from nas_lightning import FrontEnd, InputError, TimeSeriesData
from nas_lightning.config import targets
from nas_lightning.config.compose import compose_config, in_keys
from nas_lightning.runs.build import build_data, build_optimizers, build_strategy, set_up
from nas_lightning.search.penalties import CostPenalty

PENALTY = "+search.penalties.mine={_target_: nas_lightning.search.penalties.CostPenalty, weight: -1}"
SECTION = "data_processing_feature_extraction"
BINS, SHARES = f"{SECTION}.feat_ext_transform=[BINNING]", "dataset.split_factor=0"


@pytest.mark.parametrize(
    ("make", "build", "override", "name", "key"),
    [
        (lambda: CostPenalty(-1), build_strategy, PENALTY, "weight", "search.penalties.mine.weight"),
        (lambda: FrontEnd(["BINNING"]), build_data, BINS, "frame_size", f"{SECTION}.frame_size"),
        (lambda: TimeSeriesData(split_factor=0), build_data, SHARES, "split_factor", "dataset.split_factor"),
    ],
)  # fmt: skip
def test_the_library_names_its_arguments_and_the_door_its_keys(make, build, override, name, key):
    with pytest.raises(InputError, match=rf"^`{name}`: ") as inside:
        make()
    with pytest.raises(InputError, match=rf"^{key}: ") as outside:
        build(compose_config([override]))
    assert str(outside.value).partition(": ")[2] == str(inside.value).partition(": ")[2]


def test_what_data_say_names_keys(write_npz):
    path = write_npz()
    data = TimeSeriesData(path=str(path))
    data.setup()
    assert any("[`axes`]" in text for text in data.decisions)
    assert any("[dataset.axes]" in in_keys(text, "data") for text in data.decisions)
    data = build_data(compose_config(["dataset.input_data_path=nothing"]))
    with pytest.raises(InputError, match=r"^dataset.input_data_path: there is no .*nothing; allowed: "):
        set_up(data)


@pytest.mark.parametrize("signs", ["", "\\", "\\\\", "a'"])
def test_what_a_constructor_is_given_is_text_and_no_reference(signs, monkeypatch, tmp_path):
    """A value can be a stranger's, and a reference could fetch an environment variable; also in nested parts."""
    monkeypatch.setenv("SECRET", "a secret of the receiver")
    value, config = signs + "${oc.env:SECRET}", compose_config(["search=tunas"])
    config.search["name"] = value
    assert build_strategy(config).name == value
    config.optimizer.update(_target_="builtins.dict", nested={"_target_": "builtins.dict", "names": [{"one": value}]})
    monkeypatch.setattr(targets, "_of_config_dirs", {"builtins.dict"})
    made, _ = build_optimizers(config, nn.Linear(1, 1))
    made = made() if callable(made) else made
    assert made["nested"] == {"names": [{"one": value}]}
