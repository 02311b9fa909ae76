"""Every configuration file, found by listing the folders, composes; every constructor call in it works."""

import pytest

from nas_lightning.config.build import build_data, build_optimizers, build_reference, build_strategy, build_trainer
from nas_lightning.config.checks import check_config
from nas_lightning.config.compose import compose_config, conf_dir
from nas_lightning.space.size import Task

OPTIONS = [f"{path.parent.name}={path.stem}" for path in sorted(conf_dir().glob("*/*.yaml"))]
SIZES = {
    "s": (3, 4, 1, 3, 4),
    "m": (10, 4, 1, 3, 4),
    "l": (12, 4, 4, 3, 4),
    "xl": (20, 4, 4, 3, 4),
    "xxl": (20, 6, 8, 3, 4),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_builds(option, tmp_path):
    config = compose_config([option])
    check_config(config)
    build_data(config)
    strategy = build_strategy(config)
    build_reference(config, Task(1, 16, 2)).build()
    assert all(callable(make) for make in (*build_optimizers(config), strategy.weight_optimizer))
    build_trainer(config, tmp_path, "search", 1, [])


def test_the_sizes_are_those_of_the_guide():
    assert {option.partition("=")[2] for option in OPTIONS if option.startswith("nas_model_size")} == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_a_size_fills_the_keys_of_training(name):
    t = compose_config([f"nas_model_size={name}"]).training
    found = (
        t.nas_layers,
        t.nas_nodes_per_layer,
        t.nas_init_channels,
        t.nas_init_channel_multiplier,
        t.nas_fanout_concat,
    )
    assert (t.nas_model_size, found) == (name, SIZES[name])


def test_a_size_can_be_customized_key_by_key():
    training = compose_config(["nas_model_size=m", "training.nas_layers=5"]).training
    assert (training.nas_layers, training.nas_nodes_per_layer) == (5, 4)


def test_three_reference_models_differ_in_size():
    models = [option for option in OPTIONS if option.startswith("model=")]
    counts = {
        sum(p.numel() for p in build_reference(compose_config([option]), Task(1, 16, 2)).build().parameters())
        for option in models
    }
    assert len(counts) == len(models) >= 3
