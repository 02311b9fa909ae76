from pathlib import Path

import pytest

from nas_lightning.config.compose import compose_config, config_yaml, load_config
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


def test_a_changed_configuration_file_is_read_with_care(tmp_path):
    """What the command line refuses is refused in the file of a run, too; what is cut off is missed."""
    path, text = tmp_path / "config.yaml", config_yaml(compose_config(["dataset.input_data_path=there.npz"]))
    path.write_text(text)
    assert load_config(path).data["path"] == load_config(path).dataset.input_data_path
    path.write_text(text.replace(str(Path("there.npz").absolute()), "/moved/here.npz"))  # one edit
    assert load_config(path).data["path"] == "/moved/here.npz"
    for old, new, found in (
        ("\nseed: 0\n", "\nsed: 0\n", "config.yaml: unknown key 'sed'; the nearest known key is 'seed'"),
        ("  nas_layers: 3\n", "  nas_layers: deep\n", "config.yaml: cannot be read; .*nas_layers"),
        ("\n  nas_layers: 3\n", "\n", "config.yaml: cannot be read; .*it lacks training.nas_layers"),
        ("\nseed: 0\n", "\nseed: ${oc.env:HOME}\n", "config.yaml: cannot be read"),
    ):
        assert old in "\n" + text
        path.write_text(("\n" + text).replace(old, new))
        with pytest.raises(InputError, match=found):
            load_config(path)
    path.write_text(text[: len(text) // 2])
    with pytest.raises(InputError, match=r"config\.yaml: "):
        load_config(path)
