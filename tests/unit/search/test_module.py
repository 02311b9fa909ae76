"""The search module in real Lightning fits, watched by probes."""

import copy

import lightning as L
import pytest
import torch
from torch import nn

from nas_lightning.config.compose import compose_config
from nas_lightning.data.datamodule import TimeSeriesData
from nas_lightning.runs.build import build_size, build_strategy
from nas_lightning.search.loaders import search_loader
from nas_lightning.search.module import SearchModule
from nas_lightning.space.cells.space import CellSpace

pytestmark = pytest.mark.usefixtures("quiet_fits")


@pytest.fixture
def data():
    data = TimeSeriesData(batch_size=8)
    data.setup()
    return data


def make_module(data, *overrides):
    config = compose_config(["training.nas_epochs=2", *overrides])
    task, size = data.task, build_size(config)
    torch.manual_seed(0)
    return SearchModule(CellSpace(size, task, config.space.ops), build_strategy(config), config.training.nas_epochs)


def fit(module, data, *callbacks, epochs=2):
    loader = search_loader(data.train_dataloader(), data.alphas_dataloader())
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, loader, data.val_dataloader())
    return trainer


def test_every_parameter_is_in_exactly_one_optimizer(data):
    module = make_module(data)
    optimizers, _ = module.configure_optimizers()
    ids = [[id(p) for group in optimizer.param_groups for p in group["params"]] for optimizer in optimizers]
    assert not set(ids[0]) & set(ids[1])
    assert len(ids[0]) + len(ids[1]) == len(set(ids[0] + ids[1]))
    assert set(ids[0] + ids[1]) == {id(p) for p in module.parameters()}
    assert set(ids[1]) == {id(alpha) for alpha in module.supernet.alphas.values()}


class Steps(L.Callback):
    """What changes at each optimizer step, and which gradients exist before it."""

    def __init__(self):
        self.gradients, self.first_samples = [], []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        names = [
            name for name, p in pl_module.supernet.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0
        ]
        steps_alphas = optimizer.param_groups[0]["params"][0] is pl_module.supernet.alphas["normal"]
        self.gradients.append((steps_alphas, names))

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.first_samples.append(batch["alphas"][0][0, 0, :5].tolist())


def test_weights_are_frozen_in_the_first_order_alpha_step(data):
    steps = Steps()
    fit(make_module(data), data, steps, epochs=1)
    is_alpha_step, names = steps.gradients[0]
    assert is_alpha_step
    assert set(names) == {"alphas.normal", "alphas.reduce"}
    assert [alphas for alphas, _ in steps.gradients] == [True, False] * 4


def test_the_validation_iterator_advances(data):
    """peers.md: a peer took the first validation batch at every step."""
    steps = Steps()
    fit(make_module(data), data, steps, epochs=2)
    assert len({tuple(sample) for sample in steps.first_samples[:2]}) == 2
    assert len({tuple(sample) for sample in steps.first_samples}) > 2


@pytest.mark.parametrize("unrolled", ["false", "true"])
def test_alphas_and_weights_change(data, unrolled):
    """peers.md: a peer's alphas never got a gradient."""
    module = make_module(data, f"search.unrolled={unrolled}")
    before = copy.deepcopy(module.supernet.state_dict())
    fit(module, data, epochs=1)
    after = module.supernet.state_dict()
    for name in ("alphas.normal", "alphas.reduce", "head.weight", "stem.conv.0.weight"):
        assert not torch.equal(before[name], after[name]), name
    assert module.num_steps == 4


def test_unrolled_and_first_order_end_in_different_alphas(data):
    modules = [make_module(data, f"search.unrolled={unrolled}") for unrolled in ("false", "true")]
    for module in modules:
        fit(module, data, epochs=1)
    assert not torch.allclose(modules[0].supernet.alphas["normal"], modules[1].supernet.alphas["normal"], atol=1e-5)


def test_the_weight_schedule_is_stepped_once_an_epoch(data):
    trainer = fit(make_module(data, "training.nas_epochs=4"), data, epochs=2)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
    assert rates[0] == pytest.approx((0.025 + 0.001) / 2)
    assert rates[1] == 0.01


def test_gradients_are_clipped(data):
    class Norm(L.Callback):
        norms = ()

        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            pass

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            grads = [p.grad for p in pl_module.supernet.weights().values() if p.grad is not None]
            self.norms = (*self.norms, float(nn.utils.get_total_norm(grads)))

    norm = Norm()
    fit(make_module(data, "search.clip_norm=0.01"), data, norm, epochs=1)
    assert max(norm.norms) == pytest.approx(0.01, rel=1e-3)


def test_a_heavy_penalty_makes_the_found_network_cheaper(data):
    costs = []
    for weight in (0, 100):
        module = make_module(data, f"search.penalties.cost.weight={weight}", "search.alpha_optimizer.lr=0.1")
        fit(module, data, epochs=2)
        costs.append(float(module.objective.expected(module.op_weights(), "params")))
    assert costs[1] < 0.7 * costs[0]


def test_alphas_decay_and_weights_have_their_own_optimizer_settings(data):
    module = make_module(data, "search.alpha_optimizer.lr=0.5", "search.weight_optimizer.momentum=0.1")
    (weights, alphas), _ = module.configure_optimizers()
    assert alphas.param_groups[0]["lr"] == 0.5
    assert alphas.param_groups[0]["betas"] == (0.5, 0.999)
    assert weights.param_groups[0]["momentum"] == 0.1
