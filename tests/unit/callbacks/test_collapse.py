"""The collapse alarm in real fits, on alphas that are set by hand and kept."""

import math

import lightning as L
import pytest
import torch

from nas_lightning.callbacks import CollapseAlarm
from nas_lightning.callbacks.collapse import least_of_a_collapse
from nas_lightning.config.compose import compose_config
from nas_lightning.data.datamodule import TimeSeriesData
from nas_lightning.runs.build import build_size, build_strategy
from nas_lightning.search.loaders import search_loader
from nas_lightning.search.module import SearchModule
from nas_lightning.space.cells.genotype import KINDS, Genotype, Genotypes, is_parameter_free
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.space.choices import limit_free, one_hot, strongest
from nas_lightning.space.ops import DEFAULT_OPS, OPS

pytestmark = pytest.mark.usefixtures("quiet_fits")


@pytest.fixture(scope="module")
def data():
    data = TimeSeriesData(batch_size=16)
    data.setup()
    return data


def make_module(data, *overrides, epochs=4):
    """Two nodes a cell, and alphas that stay as they are."""
    config = compose_config(
        ["training.nas_nodes_per_layer=2", "training.nas_fanout_concat=2", f"training.nas_epochs={epochs}",
         "search.alpha_optimizer.lr=0", "training.nas_kernels=torch", *overrides]
    )  # fmt: skip
    task, size = data.task, build_size(config)
    torch.manual_seed(0)
    return SearchModule(CellSpace(size, task, config.space.ops), build_strategy(config), epochs, kernels="torch")


def choose(module, normal, reduce, strength=3.0):
    """Alphas by which the nodes keep these operations of node 0."""
    with torch.no_grad():
        for kind, ops in (("normal", normal), ("reduce", reduce)):
            alphas = module.supernet.alphas[kind]
            alphas.zero_()
            for node, op in enumerate(ops, start=1):
                alphas[node * (node - 1) // 2, DEFAULT_OPS.index(op)] = strength


class Seen(L.Callback):
    """What is logged after each epoch."""

    def __init__(self):
        self.values = []

    def on_train_epoch_end(self, trainer, pl_module):
        self.values.append({key: float(value) for key, value in trainer.callback_metrics.items()})


def fit(module, data, alarm, *more, epochs=4):
    seen = Seen()
    trainer = L.Trainer(
        accelerator="cpu", max_epochs=epochs, callbacks=[*more, alarm, seen], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    loader = search_loader(data.train_dataloader(), data.alphas_dataloader())
    trainer.fit(module, loader, data.val_dataloader())
    return seen.values


def warned(caplog):
    return [record.message for record in caplog.records if record.name == "nas_lightning"]


CONV, POOL, SKIP = "conv_bn_relu_3x1", "max_pool_3x1", "skip_connect"


def test_a_collapse_is_told_once_after_two_epochs_in_a_row(data, caplog):
    module = make_module(data)
    choose(module, (POOL, SKIP), ("avg_pool_3x1", SKIP))
    alarm = CollapseAlarm("warn", data.val_dataloader())
    fit(module, data, alarm)
    assert warned(caplog) == [
        "search: collapse in epoch 2: 4 of 4 nodes keep a skip or a pool; search.on_collapse=switch limits them, or "
        "choose another strategy (search=...)"
    ]
    assert (alarm.collapsed_at, alarm.num_in_a_row, module.max_free) == (2, 4, None)
    genotype = module.found().architecture
    assert genotype.normal == ((POOL, 0), (SKIP, 0))


def test_what_may_be_chance_is_no_collapse(data, caplog):
    """Half of the operations are skips and pools: three of four nodes keep one in 5 of 16 networks."""
    module = make_module(data)
    choose(module, (POOL, SKIP), (POOL, CONV))
    alarm = CollapseAlarm("switch", data.val_dataloader())
    fit(module, data, alarm)
    assert not warned(caplog)
    assert (alarm.collapsed_at, alarm.num_in_a_row, module.max_free) == (0, 0, None)


def test_one_epoch_alone_is_no_collapse(data, caplog):
    """The first is followed by one that is none."""
    module = make_module(data)
    alarm = CollapseAlarm("warn", data.val_dataloader())

    class Change(L.Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            collapsed = trainer.current_epoch in (0, 2)
            choose(pl_module, (POOL, SKIP), (POOL, POOL) if collapsed else (CONV, CONV))

    fit(module, data, alarm, Change())
    assert not warned(caplog)
    assert (alarm.collapsed_at, alarm.num_in_a_row) == (0, 0)


def test_epochs_of_the_warm_up_do_not_count(data, caplog):
    """With 4 epochs and a warm-up of half, the epochs 3 and 4 are the first two."""
    module = make_module(data, "search.warmup=0.5")
    choose(module, (POOL, SKIP), (POOL, POOL))
    fit(module, data, CollapseAlarm("warn", data.val_dataloader()))
    assert [message.partition(";")[0] for message in warned(caplog)] == [
        "search: collapse in epoch 4: 4 of 4 nodes keep a skip or a pool"
    ]


def test_switch_limits_what_is_found_from_then_on(data, caplog):
    module = make_module(data)
    choose(module, (POOL, SKIP), (POOL, SKIP))
    with torch.no_grad():
        module.supernet.alphas["normal"][0, DEFAULT_OPS.index(POOL)] = 4  # the strongest of its cell
    values = fit(module, data, CollapseAlarm("switch", data.val_dataloader()))
    assert warned(caplog) == [
        "search: collapse in epoch 2: 4 of 4 nodes keep a skip or a pool; from now on at most 1 nodes of a cell may "
        "(search.on_collapse)"
    ]
    assert module.max_free == 1
    assert [value["search/free_share_normal"] for value in values] == [1, 1, 0.5, 0.5]
    for genotype in (module.found().architecture, *module.derive([], [], 2)):
        for kind in KINDS:
            assert sum(is_parameter_free(op) for op, _ in genotype.cell(kind)) <= 1
    assert module.found().architecture.normal[0] == (POOL, 0)


def test_the_figures_are_those_of_a_calculation_by_hand(data):
    """Node 1 has one edge, node 2 has two; on a chosen edge one of seven weights is ``e^3 / (e^3 + 6)``."""
    module = make_module(data, epochs=1)
    choose(module, (POOL, CONV), (CONV, CONV))
    (values,) = fit(module, data, CollapseAlarm("warn", data.val_dataloader()), epochs=1)
    assert (values["search/free_share_normal"], values["search/free_share_reduce"]) == (0.5, 0)
    total = math.e**3 + 6
    chosen = -(math.e**3 / total) * math.log(math.e**3 / total) + 6 / total * math.log(total)
    expected = (2 * chosen + math.log(7)) / 3 / math.log(7)
    for kind in KINDS:
        assert values[f"search/rel_entropy_{kind}"] == pytest.approx(expected, rel=1e-5)


def test_the_gap_is_what_the_derived_network_loses(data):
    module = make_module(data, epochs=1)
    choose(module, (POOL, CONV), (CONV, SKIP))
    (values,) = fit(module, data, CollapseAlarm("warn", data.val_dataloader()), epochs=1)
    genotype = Genotype(((POOL, 0), (CONV, 0)), ((CONV, 0), (SKIP, 0)))
    assert module.found().architecture == genotype
    with torch.no_grad():
        right = sum(
            int((module.supernet.train()(x, one_hot(genotype, module.space)).argmax(1) == y).sum())
            for x, y in data.val_dataloader()
        )
    count = sum(len(y) for _, y in data.val_dataloader())
    assert values["search/gap"] == pytest.approx(values["search/val_accuracy"] - right / count, abs=1e-6)


def test_with_one_operation_there_is_no_entropy(data):
    module = make_module(data, "space.ops=[conv_bn_relu_3x1]", epochs=1)
    (values,) = fit(module, data, CollapseAlarm("warn", data.val_dataloader()), epochs=1)
    assert values["search/rel_entropy_normal"] == 0


def test_the_state_goes_through_a_checkpoint(data):
    module = make_module(data)
    choose(module, (POOL, SKIP), (POOL, POOL))
    alarm = CollapseAlarm("switch", data.val_dataloader())
    fit(module, data, alarm, epochs=2)
    other = CollapseAlarm("switch", data.val_dataloader())
    other.load_state_dict(alarm.state_dict())
    assert (other.collapsed_at, other.num_in_a_row) == (alarm.collapsed_at, alarm.num_in_a_row) == (2, 2)
    checkpoint = {}
    module.on_save_checkpoint(checkpoint)
    fresh = make_module(data)
    fresh.on_load_checkpoint(checkpoint)
    assert (fresh.max_free, fresh.num_steps) == (1, module.num_steps) == (1, 4)


@pytest.mark.parametrize(
    ("ops", "num_nodes", "least"),
    [
        (DEFAULT_OPS, 8, 7),  # halves: 9 of 256 networks have 7 or 8 such nodes, 37 have 6 or more
        (DEFAULT_OPS, 4, 4),  # 1 of 16 is more than 5 of 100, but there are no more than all
        (("skip_connect", "conv_bn_relu_3x1", "conv_bn_relu_5x1"), 4, 4),  # thirds: 1 of 81, and 9 of 81
        (("none", "skip_connect", *(f"conv_bn_relu_{k}x1" for k in (1, 3, 5, 7))), 4, 3),  # fifths: 17 of 625
        (("conv_bn_relu_3x1",), 4, 1),
    ],
)
def test_the_least_of_a_collapse_by_hand(ops, num_nodes, least):
    assert least_of_a_collapse(Genotypes(ops, num_nodes // 2).decisions.values()) == least


# limit_free


THREE = ("none", "skip_connect", "conv_bn_relu_3x1")
TINY = torch.finfo(torch.float32).tiny


def weights_of(*rows):
    return {kind: torch.tensor(rows) for kind in KINDS}


def test_limit_free_by_hand():
    """The strongest into nodes 1, 2 and 3 are skips of 0.5, 0.7 and 0.6."""
    rows = [[0.1, 0.5, 0.4], [0.1, 0.2, 0.3], [0.1, 0.7, 0.2], [0.1, 0.6, 0.1], [0.1, 0.3, 0.2], [0.1, 0.4, 0.5]]
    weights = weights_of(*rows)
    weights["reduce"][1:3] = torch.tensor([[0.1, 0.2, 0.8], [0.1, 0.7, 0.2]])  # here node 2 has a convolution
    before = {kind: of_kind.clone() for kind, of_kind in weights.items()}
    found = limit_free(weights, Genotypes(THREE, 3), 1)
    limited = {"normal": [0, 3, 4, 5], "reduce": [0, 1, 2]}  # the rows into nodes 1 and 3, and into 1 and 2
    for kind in KINDS:
        expected = before[kind].clone()
        expected[limited[kind], 1] = TINY  # not that of `none`, which no node keeps
        assert torch.equal(found[kind], expected)
        assert torch.equal(weights[kind], before[kind])
    genotype = strongest(found, Genotypes(THREE, 3))
    assert genotype.normal == ((CONV, 0), (SKIP, 1), (CONV, 2))
    assert genotype.reduce == ((CONV, 0), (CONV, 0), (SKIP, 0))


def test_limit_free_does_not_take_none_for_strength():
    """No node keeps ``none``: the skip into node 1 is the stronger one, however large the ``none`` into node 2 is."""
    weights = weights_of([0.1, 0.7, 0.2], [0.9, 0.5, 0.1], [0.1, 0.4, 0.3])
    space = Genotypes(THREE, 2)
    assert strongest(limit_free(weights, space, 1), space).normal == ((SKIP, 0), (CONV, 1))


def test_limit_free_lets_as_many_go_on_as_it_says():
    torch.manual_seed(0)
    space = Genotypes(DEFAULT_OPS, 3)
    for most in range(4):
        weights = {kind: torch.rand(6, 7) for kind in KINDS}
        for kind in KINDS:
            weights[kind][:, :4] += 1  # none, pools, skip
        genotype = strongest(limit_free(weights, space, most), space)
        for kind in KINDS:
            assert sum(is_parameter_free(op) for op, _ in genotype.cell(kind)) == most


def test_where_all_operations_are_free_nothing_is_limited():
    weights = {kind: torch.rand(3, 2) for kind in KINDS}
    found = limit_free(weights, Genotypes(("skip_connect", "max_pool_3x1"), 2), 0)
    assert all(torch.equal(found[kind], weights[kind]) for kind in KINDS)


def test_skips_and_pools_have_no_parameters():
    free = {op for op in OPS if is_parameter_free(op)}
    assert free == {"none", "skip_connect", "avg_pool_3x1", "max_pool_3x1"}
    state = torch.get_rng_state()
    is_parameter_free.cache_clear()
    is_parameter_free("conv_bn_relu_7x1")
    assert torch.equal(torch.get_rng_state(), state)
