"""Every strategy, found by listing ``conf/search``: what a search relies on."""

import copy
import dataclasses
import functools
import warnings
from functools import cache

import lightning as L
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas_lightning.config.compose import compose_config, conf_dir
from nas_lightning.data.datamodule import TimeSeriesData
from nas_lightning.errors import InputError
from nas_lightning.runs.build import build_size, build_strategy
from nas_lightning.search import strategies
from nas_lightning.search.arch_step import Unrolled
from nas_lightning.search.derivation import Found
from nas_lightning.search.loaders import search_loader
from nas_lightning.search.module import SearchModule
from nas_lightning.search.moment import Moment
from nas_lightning.search.strategy import Strategy
from nas_lightning.space.base import Path
from nas_lightning.space.cells.edge_group import EdgeGroup
from nas_lightning.space.cells.genotype import KINDS, Genotype
from nas_lightning.space.cells.network import Network
from nas_lightning.space.cells.size import Size, rows_into
from nas_lightning.space.cells.space import CellSpace
from nas_lightning.space.cells.supernet import Supernet
from nas_lightning.tasks import Classification

NAMES = sorted({path.stem for path in (conf_dir() / "search").glob("*.yaml")} - {"outlines"})  # which have no supernet
SIZE, TASK = Size(4, 3, 4, 1, 3), Classification(2, 32, 3)
SHORT = {"num_samples": 6, "num_steps": 1}
"""Keys of derivations that take long, if a strategy has them."""


@cache
def composed(*overrides):
    return compose_config(list(overrides))


def config_of(name, *overrides):
    config = copy.deepcopy(composed(f"search={name}", *overrides))
    derivation = config.search["derivation"]
    derivation |= {key: value for key, value in SHORT.items() if key in derivation}
    return config


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def strategy(name):
    return build_strategy(config_of(name))


OPS = tuple(composed().space.ops)
SPACE = CellSpace(SIZE, TASK, OPS)


def moment(progress=0.5, seed=0):
    return Moment(progress, torch.Generator().manual_seed(seed), SPACE)


def make_supernet(strategy):
    """With alphas that are well apart."""
    torch.manual_seed(0)
    alphas = strategy.relaxation.new_alphas(SPACE)
    for alpha in alphas.values():
        nn.init.normal_(alpha)
    return Supernet(SIZE, TASK, OPS, "torch", alphas, strategy.partial_channels)


def test_there_are_strategies():
    assert len(NAMES) >= 12
    assert composed().search["name"] in NAMES


def test_a_strategy_is_named_as_its_file_and_starts_from_another(name):
    content = OmegaConf.load(conf_dir() / "search" / f"{name}.yaml")
    assert content.name == config_of(name).search["name"] == name
    if name != composed().search["name"]:
        parent, own = content.defaults
        assert own == "_self_"
        assert parent in NAMES


def test_keys_are_those_of_all_strategies(name):
    assert config_of(name).search.keys() == composed().search.keys()


def test_the_settled_op_weights_can_be_chosen_from(strategy):
    """Into each node there is something to keep, and nothing is negative."""
    supernet = make_supernet(strategy)
    alphas = dict(supernet.alphas.items())
    before = {key: alpha.detach().clone() for key, alpha in alphas.items()}
    settled = strategy.relaxation.settled(alphas, SPACE)
    assert set(settled) == set(KINDS)
    for weights in settled.values():
        assert weights.shape == (SIZE.num_edges, len(OPS))
        assert weights.isfinite().all()
        assert (weights >= 0).all()
        for node in range(1, SIZE.nodes_per_layer + 1):
            kept = [column for column, op in enumerate(OPS) if op != "none"]
            assert (weights[rows_into(node)][:, kept] > 0).all()
    assert all(torch.equal(before[key], alpha) for key, alpha in alphas.items())


def test_a_choice_follows_from_the_moment_and_runs(strategy):
    supernet = make_supernet(strategy)
    x = torch.randn(4, TASK.in_channels, TASK.length)
    found = []
    for seed in (3, 3):
        choice = strategy.relaxation(dict(supernet.alphas.items()), moment(seed=seed))
        assert isinstance(choice, Path) == strategy.draws_paths
        found.append(supernet(x, choice))
    torch.testing.assert_close(*found)
    assert found[0].shape == (4, TASK.num_classes)
    assert found[0].isfinite().all()


@pytest.mark.parametrize("seed", range(2))
def test_a_step_of_what_samples_costs_one_path(strategy, seed):
    """In multiplications of forward and backward; a mixture costs more than the dearest path."""
    supernet = make_supernet(strategy)
    choice = strategy.relaxation(dict(supernet.alphas.items()), moment(seed=seed))
    x = torch.randn(4, TASK.in_channels, TASK.length)

    def flops(module, *inputs):
        with FlopCounterMode(display=False) as counter:
            output = module(*inputs)
            forward = counter.get_total_flops()
            output.sum().backward()
        return forward, counter.get_total_flops()

    if strategy.draws_paths:
        found, network = flops(supernet, x, choice), flops(Network(choice.architecture, SIZE, TASK), x)
        assert found[0] == network[0]
        assert found[1] <= network[1]
    elif strategy.partial_channels == 1:
        dearest = Genotype((("conv_bn_relu_7x1", 0),) * 3, (("conv_bn_relu_7x1", 0),) * 3)
        assert flops(supernet, x, choice)[0] > 2 * flops(Network(dearest, SIZE, TASK), x)[0]


@pytest.mark.parametrize("limits", [{}, {"params": 1650, "ram_bytes": 1200}])
def test_a_derivation_gives_different_genotypes_within_the_limits(strategy, limits):
    supernet = make_supernet(strategy)
    settled = {kind: weights.detach() for kind, weights in strategy.relaxation.settled(supernet.alphas, SPACE).items()}
    x, y = torch.randn(12, TASK.in_channels, TASK.length), torch.arange(12) % 3
    batches = [(x, y)]
    assert SPACE.largest("params") > 2 * limits.get("params", 0)
    state = torch.get_rng_state()
    found = strategy.derivation(Found(supernet, settled, limits, moment(1.0), batches, batches), 4)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(set(found)) == len(found) == 4
    for genotype in found:
        cost = SPACE.cost(genotype)
        assert all(cost[measure] <= limit for measure, limit in limits.items())


class Steps(L.Callback):
    """Which weights of the edges have gradients at each step of the weights, and the alphas after each epoch."""

    def __init__(self):
        self.most_at_once, self.alphas = 0, []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        supernet = pl_module.supernet
        if optimizer.param_groups[0]["params"][0] is supernet.alphas["normal"]:
            return
        for group in (module for module in supernet.modules() if isinstance(module, EdgeGroup)):
            moved = sum(
                int((stack.grad.flatten(1).abs().sum(1) > 0).sum())
                for stack in group.stacks.values()
                if stack.grad is not None
            )
            self.most_at_once = max(self.most_at_once, moved)

    def on_train_epoch_end(self, trainer, pl_module):
        alphas = pl_module.supernet.alphas.items()
        self.alphas.append({name: alpha.detach().clone() for name, alpha in alphas})


@pytest.fixture(scope="module")
def data():
    data = TimeSeriesData(batch_size=16)
    data.setup()
    return data


pytestmark = pytest.mark.usefixtures("quiet_fits")


def test_alphas_and_weights_learn_as_the_strategy_says(name, strategy, data):
    """Nothing of the alphas before the end of the warm-up, and nothing ever where they have no step."""
    size = build_size(composed("training.nas_nodes_per_layer=3", "training.nas_fanout_concat=3"))
    task = data.task
    torch.manual_seed(0)
    epochs = 2
    module = SearchModule(CellSpace(size, task, OPS), strategy, epochs, kernels="torch")
    supernet = module.supernet
    start = {key: tensor.detach().clone() for key, tensor in supernet.state_dict().items()}
    steps = Steps()
    trainer = L.Trainer(
        accelerator="cpu", max_epochs=epochs, callbacks=[steps], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    loader = search_loader(data.train_dataloader(), data.alphas_dataloader())
    trainer.fit(module, loader, data.val_dataloader())
    for epoch, alphas_then in enumerate(steps.alphas):
        learns = strategy.arch_step is not None and epoch / epochs >= strategy.warmup
        for key, alpha in alphas_then.items():
            before = start[f"alphas.{key}"] if epoch == 0 else steps.alphas[epoch - 1][key]
            assert torch.equal(alpha, before) != learns, f"{key} in epoch {epoch}"
    assert not torch.equal(start["head.weight"], supernet.head.weight)
    if strategy.draws_paths:
        assert steps.most_at_once <= size.nodes_per_layer
    else:
        assert steps.most_at_once > size.nodes_per_layer


def test_what_is_drawn_differs_between_seeds_steps_and_stages():
    """The first numbers of the generators that the parts of any search get."""
    strategy = build_strategy(composed())

    def numbers(seed, num_steps, stage):
        module = SearchModule(SPACE, strategy, 2, kernels="torch", seed=seed)
        module.num_steps = num_steps
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*no trainer.*")
            return tuple(torch.rand(4, generator=module.moment(stage).generator).tolist())

    places = [(seed, num_steps, stage) for seed in (0, 1, 2) for num_steps in (0, 1, 4) for stage in (0, 1, 2)]
    found = {place: numbers(*place) for place in places}
    assert len(set(found.values())) == len(places)
    assert numbers(1, 4, 2) == found[1, 4, 2]


def test_only_gradient_steps_can_be_unrolled(name):
    from nas_lightning.errors import InputError
    from nas_lightning.search.arch_step import FirstOrder, Unrolled

    plain = build_strategy(config_of(name))
    if isinstance(plain.arch_step, FirstOrder | Unrolled):
        unrolled = build_strategy(config_of(name, "search.unrolled=true"))
        assert isinstance(unrolled.arch_step, Unrolled)
    else:
        text = rf"^search.unrolled: found true; allowed: false, because {name} has no gradient step$"
        with pytest.raises(InputError, match=text):
            build_strategy(config_of(name, "search.unrolled=true"))


def test_operations_without_none_and_a_single_one_work_too(strategy):
    """With ``skip_connect`` for the strategies that need one."""
    for ops in (("skip_connect", "conv_bn_relu_3x1"), ("skip_connect",)):
        torch.manual_seed(0)
        space = CellSpace(SIZE, TASK, ops)
        alphas = strategy.relaxation.new_alphas(space)
        supernet = Supernet(SIZE, TASK, ops, "torch", alphas, strategy.partial_channels)
        here = Moment(0.5, torch.Generator().manual_seed(0), space)
        choice = strategy.relaxation(dict(alphas.items()), here)
        x, y = torch.randn(6, TASK.in_channels, TASK.length), torch.arange(6) % 3
        nn.functional.cross_entropy(supernet(x, choice), y).backward()
        settled = {kind: w.detach() for kind, w in strategy.relaxation.settled(alphas, space).items()}
        batches = [(x, y)]
        assert len(strategy.derivation(Found(supernet, settled, {}, here, batches, batches), 1)) == 1


# In Python


def parts(value):
    """A strategy, its parts and their settings, as far as they can be compared."""
    if isinstance(value, functools.partial):
        return value.func, parts(value.keywords)
    if isinstance(value, dict):
        return {key: parts(each) for key, each in value.items() if each != {}}
    if isinstance(value, list | tuple):
        return [parts(each) for each in value]
    if type(value).__module__.startswith("nas_lightning."):
        return type(value), parts({k: v for k, v in vars(value).items() if not k.startswith("_")})
    return value


def test_a_strategy_is_the_same_in_python_as_in_yaml(name):
    made, configured = getattr(strategies, name)(), build_strategy(compose_config([f"search={name}"]))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], 0.025)
    schedules = [each.new_scheduler(optimizer, 10) for each in (made, configured)]
    assert type(schedules[0]) is type(schedules[1])
    assert schedules[0].state_dict() == schedules[1].state_dict()
    one, other = (dataclasses.replace(each, weight_scheduler=None) for each in (made, configured))
    assert parts(one) == parts(other)
    changed = getattr(strategies, name)(warmup=0.75, clip_norm=None)
    assert (changed.warmup, changed.clip_norm, changed.name) == (0.75, None, name)


def test_a_part_says_what_it_can_and_need_not_be_of_a_class_of_this_package():
    class OwnPath:
        draws_paths = True

    class OwnStep:
        through_weights, needs_paths = False, True

    assert Strategy(relaxation=OwnPath(), arch_step=OwnStep()).draws_paths
    with pytest.raises(InputError, match=r"OwnStep needs a `relaxation` that draws paths"):
        Strategy(arch_step=OwnStep())


def test_what_a_configuration_leaves_out_has_the_default_of_the_strategy():
    assert build_strategy(compose_config(["~search.arch_step", "~search.name"])).name == "darts"
    assert isinstance(build_strategy(compose_config(["~search.arch_step", "search.unrolled=true"])).arch_step, Unrolled)
