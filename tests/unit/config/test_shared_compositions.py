"""What the tests share of Hydra's work is what Hydra does."""

import importlib

import pytest

from nas_lightning.config.compose import compose_config

SECOND = ["seed=2", "common.run_name=run"]
CHOICES = [
    [],
    ["nas_model_size=m", "search=gdas", "training.nas_epochs=3"],
    ["experiment=quick", "callbacks=none", "~search.weight_optimizer.momentum"],
    ["target_device=F28P55", "features=Generic_32Input_FFTBIN_4Feature_8Frame", "+augmentation.Flip={}"],
]


@pytest.mark.parametrize("overrides", CHOICES, ids=" ".join)
def test_a_shared_composition_is_that_of_hydra(overrides, monkeypatch):
    compose_config([*overrides, "seed=1", "training.batch_size=3"])
    shared = compose_config([*overrides, *SECOND])
    loading = importlib.import_module("hydra._internal.config_loader_impl")
    merge = "_compose_config_from_defaults_list"
    for owner, name in ((loading.ConfigRepository, "load_config"), (loading.ConfigLoaderImpl, merge)):
        monkeypatch.setattr(owner, name, getattr(owner, name).__wrapped__)
    monkeypatch.setattr(loading, "create_defaults_list", loading.create_defaults_list.__wrapped__)
    assert compose_config([*overrides, *SECOND]) == shared
    assert (shared.seed, shared.training.batch_size == 3) == (2, False)


def test_a_folder_of_a_users_own_is_read_each_time(tmp_path):
    (tmp_path / "experiment").mkdir()
    for seed in (3, 4):
        (tmp_path / "experiment/own.yaml").write_text(f"# @package _global_\nseed: {seed}\n")
        assert compose_config(["experiment=own"], [tmp_path]).seed == seed
