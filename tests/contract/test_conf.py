"""Every configuration file, found by listing the folders, composes; every constructor call in it works."""

from functools import cache

import pytest
from torch import nn

from nas_lightning.config.compose import compose_config, conf_dir, device_cards, with_size
from nas_lightning.cost.npu import PROFILES
from nas_lightning.runs.build import (
    build_budget,
    build_data,
    build_ops,
    build_optimizers,
    build_reference,
    build_size,
    build_strategy,
    build_trainer,
)
from nas_lightning.runs.checks import check_config
from nas_lightning.space.cells.size import SIZES as PRESETS
from nas_lightning.tasks import Classification
from nas_lightning.training.length import Length

OPTIONS = [f"{path.parent.name}={path.stem}" for path in sorted(conf_dir().glob("*/*.yaml"))]
SIZES = {
    "s": (3, 4, 1, 3, 4),
    "m": (10, 4, 1, 3, 4),
    "l": (12, 4, 4, 3, 4),
    "xl": (20, 4, 4, 3, 4),
    "xxl": (20, 6, 8, 3, 4),
}


@cache
def composed(*overrides):
    """A configuration, composed once for all tests; not to be changed."""
    return compose_config(list(overrides))


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")  # by mlflow, of sqlalchemy
@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_builds(option, tmp_path):
    if option in ("logger=mlflow", "logger=wandb"):
        pytest.importorskip(option.partition("=")[2], reason="needs the extra of this name")
    needed = ["budget.params=400"] if option.startswith("nas_model_size=auto") else []
    needed += ["budget.params=400", "nas_model_size=auto"] if option == "search=outlines" else []
    if option.startswith("features=Custom"):
        section = "data_processing_feature_extraction"
        needed = [f"{section}.frame_size=64", f"{section}.feature_size_per_frame=16"]
    config = composed(option, *needed)
    check_config(config)
    build_data(config)
    strategy = build_strategy(config)
    build_reference(config, Classification(1, 16, 2)).build()
    assert all(callable(make) for make in (*build_optimizers(config, nn.Linear(1, 1)), strategy.weight_optimizer))
    build_trainer(config, tmp_path, "search", Length(1), [])


def test_the_sizes_are_those_of_the_guide():
    assert {option.partition("=")[2] for option in OPTIONS if option.startswith("nas_model_size")} == {
        *SIZES,
        "auto",
        "auto_cells",
    }


@pytest.mark.parametrize("name", SIZES)
def test_a_size_fills_the_keys_of_training(name):
    t = composed(f"nas_model_size={name}").training
    found = (
        t.nas_layers,
        t.nas_nodes_per_layer,
        t.nas_init_channels,
        t.nas_init_channel_multiplier,
        t.nas_fanout_concat,
    )
    assert (t.nas_model_size, found) == (name, SIZES[name])


CARDS = device_cards()


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_card_is_named_as_its_file_and_says_where_it_is_from(card):
    config = composed(f"target_device={card.name}")
    assert config.device == card
    if card.name == "none":
        assert build_budget(config) == {}
        return
    assert card.source
    assert card.core
    expected = {m: getattr(card, m) // 2 for m in ("flash_bytes", "ram_bytes") if getattr(card, m)}
    assert build_budget(config) == expected
    assert (card.npu == "hard") == (card.npu_profile in PROFILES)


def test_the_devices_of_the_guide_are_there():
    names = {card.name for card in CARDS}
    assert names > {
        *("F28P55", "F28P65", "F2837", "F28003", "F28004", "F280013", "F280015", "F29H85", "MSPM0G3507", "MSPM0G3519"),
        *("MSPM0G5187", "MSPM33C32", "MSPM33C34", "AM13E2", "AM263", "AM263P", "AM261", "CC2755", "CC1352", "CC1354"),
        *("CC35X1", "cortex_m0plus", "cortex_m4", "cortex_m7", "cortex_m33", "none"),
    }


def test_limits_come_from_the_budget_then_the_share_of_the_device():
    card = ["target_device=MSPM0G3507"]
    assert build_budget(composed(*card, "budget.fraction=0.25")) == {"flash_bytes": 32768, "ram_bytes": 8192}
    limits = build_budget(composed(*card, "budget.flash_bytes=1000", "budget.macs=7"))
    assert limits == {"macs": 7, "flash_bytes": 1000, "ram_bytes": 16384}


def test_an_npu_prunes_operations_and_rounds_channels():
    ops = "space.ops=[none,conv_bn_relu_3x1,dil_conv_3x1]"
    with_npu, without = composed("target_device=F28P55", ops), composed("target_device=F28P65", ops)
    assert build_ops(with_npu) == ("none", "conv_bn_relu_3x1")
    assert build_ops(without) == ("none", "conv_bn_relu_3x1", "dil_conv_3x1")
    assert (build_size(with_npu).init_channels, build_size(without).init_channels) == (4, 1)
    free = composed("target_device=F28P55", "nas_model_size=s", "device.npu_profile=null")
    assert build_size(free).init_channels == 1


def test_a_budget_or_a_device_with_memory_asks_for_outlines_where_nothing_else_is_said():
    def size(*overrides):
        return compose_config(list(overrides)).training.nas_model_size

    assert size("budget.params=900") == size("target_device=cortex_m4") == size("budget.latency_ms=2") == "auto"
    assert size() == size("budget.params=null") == size("budget.fraction=0.1") == size("target_device=none") == "s"
    assert size("target_device=CC1314") == "s"  # whose memory is not known
    for said in ("nas_model_size=s", "training.nas_model_size=s", "search=darts", "space.ops=[none,skip_connect]"):
        assert size("budget.params=900", said) == "s"
    assert size("budget.params=900", "training.nas_layers=5") == "s"
    assert size("budget.params=900", "training.nas_epochs=null") == "auto"
    for outlines in ("search=outlines", "search.prior=false", "search.num_seeds=2", "training.nas_enabled=true"):
        assert size("budget.params=900", outlines) == "auto"
    assert size("budget.params=900", "training.nas_enabled=false") == "s"
    assert size("target_device=CC1314", "device.flash_bytes=90000") == size("device.ram_bytes=900") == "auto"
    assert size("target_device=cortex_m4", "device.flash_bytes=null", "device.ram_bytes=null") == "s"


def test_a_sweep_has_outlines_if_each_of_its_runs_has_a_limit():
    assert with_size(["-m", "target_device=cortex_m4,MSPM0G3507"])[-1] == "nas_model_size=auto"
    assert with_size(["-m", "budget.params=900,300"])[-1] == "nas_model_size=auto"
    for mixed in ("target_device=none,cortex_m4", "budget.params=900,null"):
        assert with_size(["-m", mixed]) == ["-m", mixed]


TASK_TYPES = [option.partition("=")[2] for option in OPTIONS if option.startswith("task_type=")]


@pytest.mark.parametrize("name", TASK_TYPES)
def test_a_task_type_is_a_default_for_features_and_metric(name):
    config = composed(f"task_type={name}")
    assert config.common.task_type == name
    other = composed(f"task_type={name}", "features=none", "testing.metric=balanced_accuracy")
    assert (other.common.task_type, other.testing.metric) == (name, "balanced_accuracy")
    assert other.data_processing_feature_extraction == composed().data_processing_feature_extraction


def test_task_types_differ_in_their_defaults():
    configs = [composed(f"task_type={name}") for name in TASK_TYPES]
    assert len({c.data_processing_feature_extraction.feature_extraction_name for c in configs}) == len(TASK_TYPES) == 6
    assert {c.testing.metric for c in configs} == {"accuracy", "macro_f1"}


def test_a_size_can_be_customized_key_by_key():
    training = composed("nas_model_size=m", "training.nas_layers=5").training
    assert (training.nas_layers, training.nas_nodes_per_layer) == (5, 4)


def test_three_reference_models_differ_in_size():
    models = [option for option in OPTIONS if option.startswith("model=")]
    counts = {
        sum(p.numel() for p in build_reference(composed(option), Classification(1, 16, 2)).build().parameters())
        for option in models
    }
    assert len(counts) == len(models) >= 3


def test_the_sizes_of_the_guide_are_the_same_in_python():
    names = {path.stem for path in (conf_dir() / "nas_model_size").glob("*.yaml")} - {"auto", "auto_cells"}
    assert {name: build_size(composed(f"nas_model_size={name}")) for name in names} == PRESETS
