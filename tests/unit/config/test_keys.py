import pytest

from nas_lightning.config.compose import compose_config
from nas_lightning.config.keys import guide_overrides, known_keys, merge_overrides, to_overrides
from nas_lightning.errors import InputError


def test_flags_come_first_and_an_argument_replaces_the_default_of_its_key():
    arguments = [
        "-m",
        "hydra.sweep.dir=x",
        "training.nas_model_size=m",
        "--config-dir",
        "mine",
        "~callbacks.progress_bar",
    ]
    merged = merge_overrides({"nas_model_size": "'l'", "seed": "1"}, arguments)
    assert merged == [
        "-m",
        "--config-dir",
        "mine",
        "nas_model_size=m",
        "seed=1",
        "hydra.sweep.dir=x",
        "~callbacks.progress_bar",
    ]


@pytest.mark.parametrize("value", ["plain", "it's", "a\\b", "a,b", "a\\", "a\\'b", "[1,2]", "x=1", "null"])
def test_strings_survive_the_grammar(value):
    assert compose_config(to_overrides({"dataset.dataset_name": value})).dataset.dataset_name == value


@pytest.mark.parametrize("value", [None, 3, [0, 2]])
def test_other_values_survive_the_grammar(value):
    key = "data_processing_feature_extraction.variables"
    assert compose_config(to_overrides({key: value})).data_processing_feature_extraction.variables == value


def test_the_layout_of_the_guide_becomes_overrides(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("common:\n  target_device: F28P55\ntraining:\n  nas_enabled: True\n  nas_model_size: 'm'\n")
    assert guide_overrides(path) == {
        "target_device": "'F28P55'",
        "training.nas_enabled": "true",
        "nas_model_size": "'m'",
    }


def test_every_key_of_the_guide_is_known():
    names = (
        "enabled epochs optimization_mode model_size nodes_per_layer layers init_channels "
        "init_channel_multiplier fanout_concat"
    )
    assert {f"training.nas_{name}" for name in names.split()} <= set(known_keys())


def test_an_unknown_key_is_named_with_the_nearest_one():
    with pytest.raises(InputError, match=r"command line: unknown key 'common.run_nam'; .* 'common.run_name'"):
        merge_overrides({}, ["common.run_nam=x"])


def test_the_size_group_is_not_replaced_by_a_value():
    """A scalar for a group can silently replace its record; here the values must stay."""
    training = compose_config(["nas_model_size=m"]).training
    assert (training.nas_model_size, training.nas_layers) == ("m", 10)
