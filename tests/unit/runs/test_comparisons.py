"""Short trainings side by side: the arithmetic by hand, from results that lie in the folder, and a few real ones."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from scipy import stats
from torch import nn

from nas_lightning.config.compose import compose_config, options_of, reference_model
from nas_lightning.cost.exact import cost_of
from nas_lightning.files import plain, read_records, write_json
from nas_lightning.report.costs import CostReport
from nas_lightning.report.results import Control, Reference, RunMetrics, RunResult, Standing
from nas_lightning.report.tables import print_summary
from nas_lightning.runs.build import build_data, build_reference
from nas_lightning.runs.candidates import agreement, candidates_of, compare_seeds, control_epochs, vote
from nas_lightning.runs.context import Run
from nas_lightning.runs.control import control, sentence, stand
from nas_lightning.runs.pipeline import CONTEST
from nas_lightning.runs.searches import Searched
from nas_lightning.search.derivation import draw_within
from nas_lightning.search.moment import Moment
from nas_lightning.space.cells.genotype import Genotype
from nas_lightning.space.reference import ReferenceBlueprint
from nas_lightning.tasks import Classification
from nas_lightning.training.evaluator import Evaluator
from nas_lightning.training.length import Length

SMALL = ["training.nas_nodes_per_layer=2", "training.nas_fanout_concat=2", "training.training_epochs=8"]
SMALL += ["control.epochs=1"]


pytestmark = pytest.mark.usefixtures("quiet_fits")


@pytest.fixture
def make_run(short_config, tmp_path):
    def make(*overrides, name="run"):
        config = short_config(*SMALL, *overrides)
        data = build_data(config)
        data.setup()
        (tmp_path / name).mkdir(exist_ok=True)
        return Run(config, data, tmp_path / name)

    return make


def evaluator_of(run):
    return Evaluator(run.recipe, run.data, run.config.testing.metric, run.folder / CONTEST)


def drawn(run, count, seed=100):
    return draw_within(Moment(1.0, torch.Generator().manual_seed(seed), run.space), run.limits, count)


def control_draws(run, count):
    """What the control draws, where what was found is not among it."""
    return drawn(run, count, run.config.seed)


def give_results(run, results, metric="accuracy"):
    """Write trainings into the folder: epochs, genotype or blueprint, value."""
    rows = []
    for epochs, network, value in results:
        blueprint = run.space.blueprint(network) if isinstance(network, Genotype) else network
        val = {"accuracy": 0.0, "balanced_accuracy": 0.0, "macro_f1": 0.0, "loss": 1.0} | {metric: value}
        rows.append({"epochs": epochs, "network": blueprint.to_dict(), "val": val, "seconds": 1.0})
    (run.folder / CONTEST).write_text(json.dumps(rows))
    return evaluator_of(run)


def test_of_equal_values_the_smaller_loss_is_better(make_run):
    run = make_run()
    genotypes = drawn(run, 3)
    evaluator = give_results(run, [(1, genotype, 0.5) for genotype in genotypes])
    for row, loss in zip(evaluator.rows, (0.7, 0.3, 0.5), strict=True):
        row.val["loss"] = loss
    assert [i for _, i in evaluator.rank([run.space.blueprint(each) for each in genotypes], 1)] == [1, 2, 0]


def test_a_training_that_diverged_is_the_worst(make_run, caplog):
    """Though its network would call all samples the first class."""
    run = make_run("optimizer=sgd", "training.learning_rate=1e9", "training.clip_norm=null")
    found = evaluator_of(run)(run.space.blueprint(drawn(run, 1)[0]), 1)
    assert (found["accuracy"], found["macro_f1"], found["loss"] > 1e300) == (0, 0, True)
    assert "contest: a training of 1 epochs diverged" in caplog.text
    assert evaluator_of(run).rows[0].val == found


# The verdict


def test_the_verdict_by_hand():
    """Mean 0.6, deviation 0.1, so that the half width is t(0.975, 2) * 0.1 / sqrt(3) = 0.2484: 0.3516 to 0.8484."""
    half = stats.t.ppf(0.975, 2) * 0.1 / math.sqrt(3)
    assert half == pytest.approx(0.248414, abs=1e-6)
    values = [0.7, 0.6, 0.5]
    found = stand(0.85, values)
    assert (found.rank, found.mean, found.verdict) == (1, pytest.approx(0.6), "won")
    assert found.interval == pytest.approx((0.6 - half, 0.6 + half))
    words = {value: (stand(value, values).rank, stand(value, values).verdict) for value in (0.84, 0.65, 0.36, 0.35)}
    assert words == {0.84: (1, "undecided"), 0.65: (2, "undecided"), 0.36: (4, "undecided"), 0.35: (4, "lost")}


def test_an_interval_of_rates_ends_at_0_and_1():
    """t(0.975, 1) = 12.7062, so two values 0.02 apart have a half width of 0.1271."""
    assert stand(0.9, [0.98, 1.0]).interval == pytest.approx((0.99 - 0.127062, 1.0))
    assert stand(1.0, [0.98, 1.0]).verdict == "undecided"
    assert stand(0.0, [0.0, 0.02]).interval == pytest.approx((0.0, 0.01 + 0.127062))
    assert stand(0.0, [0.0, 0.02]).verdict == "undecided"


def test_a_tie_with_the_mean_is_undecided_and_the_rank_the_better_one():
    assert stand(0.5, [0.5, 0.5]) == Standing(rank=1, mean=0.5, interval=(0.5, 0.5), verdict="undecided")
    assert stand(0.51, [0.5, 0.5]).verdict == "won"


def test_one_random_network_has_no_interval_and_none_no_mean():
    assert stand(0.9, [0.5]) == Standing(rank=1, mean=0.5, interval=None, verdict="undecided")
    assert stand(0.4, [0.5]).verdict == "undecided"
    assert stand(0.4, []) == Standing(rank=1, mean=None, interval=None, verdict="undecided")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "the search beat random choice: macro_f1 1.0000 on val after 7 epochs, rank 1 of 3 (2 random networks: "),
        (
            0.1,
            "the search lost to random choice: macro_f1 0.1000 on val after 7 epochs, rank 3 of 3 (2 random networks: ",
        ),
        (0.31, "the search cannot be told from random choice: macro_f1 0.3100 on val after 7 epochs, rank 1 of 3 "),
    ],
)
def test_the_sentence_says_it(value, text):
    values = [0.30, 0.28]
    found = sentence("macro_f1", 7, value, 2, stand(value, values))
    assert found.startswith(text)
    assert found.endswith("mean 0.2900, 95 % 0.1629 to 0.4171)")
    one = sentence("macro_f1", 7, value, 1, stand(value, values[:1]))
    assert one.endswith("1 random networks: mean 0.3000)")


def test_without_another_network_the_sentence_says_so():
    assert sentence("accuracy", 7, 0.5, 0, stand(0.5, [])) == "no other network of this space meets the budget"


# The ranking


def test_of_equal_ones_the_first_goes_on(make_run):
    run = make_run()
    names = drawn(run, 3)
    evaluator = give_results(
        run, [(1, genotype, value) for genotype, value in zip(names, (0.5, 0.7, 0.7), strict=True)]
    )
    assert evaluator.rank([run.space.blueprint(each) for each in names], 1) == [(0.7, 1), (0.7, 2), (0.5, 0)]


def test_the_figure_that_counts_is_the_configured_one(make_run):
    run = make_run("testing.metric=macro_f1")
    names = drawn(run, 2)
    evaluator = give_results(run, [(2, names[0], 0.1), (2, names[1], 0.3)], "macro_f1")
    assert evaluator.rank([run.space.blueprint(each) for each in names], 2) == [(0.3, 1), (0.1, 0)]


def test_nothing_is_trained_twice(make_run):
    """Real trainings; a second evaluator in the same folder, as after a stop, and a training that it lacks."""
    run = make_run("control.num_random=2")
    (kept,) = drawn(run, 1)
    first = evaluator_of(run)
    _, section = control(run, first, kept)
    assert section.seconds > 0
    assert len(first.rows) == 1 + 2 + 1
    before = (run.folder / CONTEST).read_bytes()
    assert control(run, evaluator_of(run), kept) == (kept, section)
    assert (run.folder / CONTEST).read_bytes() == before
    rows = json.loads(before)
    (run.folder / CONTEST).write_text(json.dumps(rows[:-2]))
    rest = evaluator_of(run)
    assert replace(control(run, rest, kept)[1], seconds=0) == replace(section, seconds=0)
    assert plain(rest.rows[:2]) == rows[:2]
    assert [row.val for row in rest.rows] == [row["val"] for row in rows]
    assert [path.name for path in run.folder.iterdir()] == [CONTEST]


def test_a_short_training_is_that_of_the_seed_whatever_was_before(make_run):
    run, other = make_run(name="a"), make_run("seed=7", name="b")
    names = drawn(run, 2)
    blueprints = [run.space.blueprint(each) for each in names]
    evaluator = evaluator_of(run)
    for blueprint in blueprints:
        evaluator.value(blueprint, 1)
    alone, seeded = evaluator_of(make_run(name="c")), evaluator_of(other)
    for each in (alone, seeded):
        each.value(blueprints[1], 1)
    assert alone.rows[0].val == evaluator.rows[1].val != seeded.rows[0].val


# The control


@pytest.mark.parametrize(("epochs", "training_epochs", "expected"), [("null", 200, 25), ("null", 5, 1), (7, 200, 7)])
def test_the_control_trains_an_eighth_of_the_epochs_unless_told(epochs, training_epochs, expected):
    config = compose_config([f"control.epochs={epochs}", f"training.training_epochs={training_epochs}"])
    lengths = SimpleNamespace(training=Length(config.training.training_epochs))
    assert control_epochs(SimpleNamespace(config=config, lengths=lengths)) == expected


def test_the_control_compares_with_networks_drawn_by_the_seed(make_run):
    run = make_run("control.num_random=3", "control.epochs=5")
    (kept,), others = drawn(run, 1), control_draws(run, 4)
    assert kept not in others
    values = dict(zip(others[:3], (0.5, 0.7, 0.6), strict=True))
    reference = dict.fromkeys(options_of("model"), 0.8)
    evaluator = give_results(
        run, [(5, kept, 0.25), *((5, g, v) for g, v in values.items()), *reference_rows(run, reference)]
    )
    genotype, section = control(run, evaluator, kept)
    assert genotype == kept
    assert section.random == (0.7, 0.6, 0.5)
    assert (section.found, section.rank, section.verdict) == (0.25, 4, "lost")
    assert (section.mean, section.epochs, section.kept) == (pytest.approx(0.6), 5, "found")
    assert section.sentence == sentence("accuracy", 5, 0.25, 3, section)
    assert section.params == run.space.cost(kept)["params"]
    assert section.seconds == 5  # a second each: that of the search, three random ones, and one made by hand


def reference_rows(run, values):
    return [
        (run.config.control.epochs, build_reference(replace(run.config, model=reference_model(name)), run.task), value)
        for name, value in values.items()
    ]


@pytest.mark.parametrize(
    ("keep_better", "best", "is_swapped"), [(True, 0.9, True), (False, 0.9, False), (True, 0.4, False)]
)
def test_keep_better_keeps_the_best_random_network(make_run, keep_better, best, is_swapped):
    run = make_run("control.num_random=2", f"control.keep_better={str(keep_better).lower()}")
    (kept,), others = drawn(run, 1), control_draws(run, 3)
    rows = [(1, kept, 0.4), (1, others[0], 0.2), (1, others[1], best)]
    genotype, section = control(
        run, give_results(run, [*rows, *reference_rows(run, dict.fromkeys(options_of("model"), 0))]), kept
    )
    assert genotype == (others[1] if is_swapped else kept)
    assert section.kept == ("random" if is_swapped else "found")
    assert section.found == 0.4


def test_what_was_found_is_not_among_the_random_ones(make_run):
    run = make_run("control.num_random=2")
    others = control_draws(run, 3)
    rows = [(1, genotype, value) for genotype, value in zip(others, (0.4, 0.2, 0.3), strict=True)]
    evaluator = give_results(run, [*rows, *reference_rows(run, dict.fromkeys(options_of("model"), 0))])
    assert control(run, evaluator, others[0])[1].random == (0.3, 0.2)
    assert control(run, evaluator, others[1])[1].random == (0.4, 0.3)


@pytest.mark.parametrize(("channels", "name"), [(1, "cls_100"), (2, "cnn_s"), (64, None)])
def test_the_hand_made_network_is_the_smallest_that_is_as_large(make_run, channels, name):
    """A network of one channel is smaller than all of them; one of 64 is larger."""
    run = make_run("control.num_random=1", f"training.nas_init_channels={channels}")
    (kept,), others = drawn(run, 1), control_draws(run, 2)
    rows = [(1, kept, 0.4), (1, others[0], 0.2), (1, others[1], 0.2)]
    values = {each: 0.6 if each == name else 0.7 for each in options_of("model")}
    evaluator = give_results(run, [*rows, *reference_rows(run, values)])
    references = control(run, evaluator, kept)[1].references
    if name is None:
        assert references == ()
    else:
        (reference,) = references
        assert (reference.name, reference.value) == (name, 0.6)
        network = build_reference(replace(run.config, model=reference_model(name)), run.task).build()
        layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv1d, nn.Linear))]
        biases = sum(layer.out_channels for layer in layers if isinstance(layer, nn.Conv1d))  # of the BatchNorms
        weights = sum(parameter.numel() for layer in layers for parameter in layer.parameters())
        by_hand = 3 * run.task.in_channels + weights + biases  # mean, scale and shift of each channel
        assert reference.params == by_hand > run.space.cost(kept)["params"]


# Several seeds


OPS = ("none", "skip_connect", "conv_bn_relu_3x1")
ONE = (Genotype((("skip_connect", 0),), (("skip_connect", 0),)),)


def searched(seed, genotypes, normal, reduce=None):
    weights = {"normal": normal, "reduce": normal if reduce is None else reduce}
    return Searched(
        seed, 1.0, 2, 4, tuple(genotypes), {kind: tuple(map(tuple, rows)) for kind, rows in weights.items()}
    )


def test_agreement_by_hand():
    """Edge 0: all alike. Edge 1: two of three. Edge 2: all differ, and ``none`` is an operation."""
    rows = [
        [[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1]],
        [[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]],
        [[0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.1, 0.1, 0.8]],
    ]
    found = agreement([searched(i, ONE, normal, rows[0]) for i, normal in enumerate(rows)])
    assert found["normal"] == pytest.approx([1, 2 / 3, 1 / 3])
    assert found["reduce"] == (1, 1, 1)


@pytest.mark.parametrize(("values", "word"), [([0.5, 0.6], "stable"), ([0.1, 0.9], "unstable")])
def test_seeds_are_stable_where_their_range_is_that_of_chance(make_run, values, word):
    """Of ten samples: the deviation of one value is sqrt(p (1 - p) / 10)."""
    run = make_run("control.epochs=3")
    names = drawn(run, 2)
    evaluator = give_results(run, [(3, genotype, value) for genotype, value in zip(names, values, strict=True)])
    searches = [searched(seed, [genotype], [[0.1, 0.2, 0.7]] * 3) for seed, genotype in zip((4, 5), names, strict=True)]
    found = compare_seeds(run, evaluator, searches)
    mean = sum(values) / 2
    count = len(run.data.splits["val"])
    # The range of two values, each of deviation s, is |N(0, 2 s^2)|: 1.96 * sqrt(2) s in 95 of 100 cases.
    allowed = stats.norm.ppf(0.975) * math.sqrt(2 * mean * (1 - mean) / count)
    assert found.allowed_range == pytest.approx(allowed, rel=1e-3)
    assert found.range == pytest.approx(values[1] - values[0])
    assert found.std == pytest.approx((values[1] - values[0]) / math.sqrt(2))
    assert (found.mean, found.verdict, found.seeds) == (pytest.approx(mean), word, (4, 5))
    assert (found.epochs, found.values) == (3, tuple(values))


def test_a_vote_is_the_mean_of_logarithms(make_run):
    """Node 1: odds 0.9 : 0.1 and 0.2 : 0.8, so that products of 0.18 and 0.08 decide; so would a mean.

    Node 2: 0.6 * 0.1 < 0.3 * 0.3, where a mean of 0.35 and 0.3 would decide the other way.
    """
    run = make_run("space.ops=[none,skip_connect,conv_bn_relu_3x1]")
    first = [[0.0, 0.9, 0.1], [0.0, 0.6, 0.3], [0.0, 0.05, 0.05]]
    second = [[0.0, 0.2, 0.8], [0.0, 0.1, 0.3], [0.0, 0.3, 0.3]]
    searches = [searched(seed, ONE, weights) for seed, weights in enumerate((first, second))]
    cell = (("skip_connect", 0), ("conv_bn_relu_3x1", 0))
    assert vote(run, searches) == Genotype(cell, cell)
    least = run.space.cost(Genotype(cell, cell))["params"] - 1
    limited = make_run("space.ops=[none,skip_connect,conv_bn_relu_3x1]", f"budget.params={least}")
    found = vote(limited, searches)
    assert found != Genotype(cell, cell)
    assert limited.space.cost(found)["params"] <= least


@pytest.mark.parametrize("votes", [True, False])
def test_the_vote_of_several_searches_is_the_first_candidate(make_run, votes):
    """Then come the first choices of all of them, then the second ones; each genotype once."""
    settings = ["space.ops=[none,skip_connect,conv_bn_relu_3x1]", f"search.vote={str(votes).lower()}"]
    run = make_run(*settings)
    names = drawn(run, 5)
    weights = [[0.0, 0.9, 0.1], [0.0, 0.6, 0.3], [0.0, 0.05, 0.05]]
    searches = [searched(0, names[:2], weights), searched(1, [names[2], names[1], *names[3:]], weights)]
    skips = Genotype((("skip_connect", 0),) * 2, (("skip_connect", 0),) * 2)
    assert skips not in names
    in_turn = [names[i] for i in (0, 2, 1, 3, 4)]
    assert candidates_of(run, searches) == ([skips, *in_turn] if votes else in_turn)
    assert candidates_of(run, searches[:1]) == names[:2]


def test_there_is_no_vote_where_the_alphas_stay_as_they_are(make_run):
    names = drawn(make_run(), 3)
    searches = [searched(seed, names[seed:], [[0.1, 0.7, 0.1]] * 3) for seed in (0, 1)]
    for strategy, votes in (("tunas", True), ("random_ws", False), ("random", False)):
        run = make_run(f"search={strategy}", "space.ops=[none,skip_connect,max_pool_3x1]", name=strategy)
        assert (candidates_of(run, searches)[0] != names[0]) == votes
        evaluator = give_results(run, [(1, name, 0.5) for name in names])
        assert (compare_seeds(run, evaluator, searches).agreement is not None) == votes


def test_searches_survive_the_way_through_json(make_run, tmp_path):
    before = searched(3, drawn(make_run(), 2), [[0.1, 1 / 3, 0.7]] * 3)
    write_json(tmp_path / "searches.json", plain([before]))
    assert read_records(tmp_path / "searches.json", Searched[Genotype]) == [before]


# The summary


@pytest.mark.parametrize(("value", "is_lost"), [(0.1, True), (0.31, False)])
def test_what_was_lost_is_the_first_line_of_the_summary(capsys, tmp_path, monkeypatch, value, is_lost):
    monkeypatch.setenv("COLUMNS", "300")
    values = (0.30, 0.28)
    standing = stand(value, values)
    section = Control(
        **vars(standing),
        metric="accuracy",
        epochs=7,
        found=value,
        random=values,
        references=(Reference(name="cnn_s", params=1234, value=0.25),),
        kept="found",
        seconds=1.0,
        sentence=sentence("accuracy", 7, value, 2, standing),
    )
    blueprint = ReferenceBlueprint((4,), 3, Classification(1, 8, 2))
    cost = CostReport(**vars(cost_of(blueprint.build(), 1, 8)))
    metrics = RunMetrics(preset="s", dataset=None, seed=0, control=section)
    print_summary(RunResult(tmp_path, metrics, cost), blueprint)
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0].strip() == section.sentence) == is_lost
    assert is_lost or lines[0].strip() == "nas_lightning"
    assert any(section.sentence in line for line in lines[1:])
    beside = f"1,234 parameters: accuracy 0.2500 on val after 7 epochs, where the search's first choice has {value:.4f}"
    assert any("hand-made cnn_s" in line and beside in line for line in lines)


def test_searches_of_another_space_are_refused(make_run):
    run, other = make_run(), make_run("training.nas_nodes_per_layer=3", "training.nas_fanout_concat=3", name="other")
    names, weights = drawn(run, 2), [[0.1] * 7] * 3
    searched(0, names, weights).check(run.space)
    for bad in (searched(0, drawn(other, 1), weights), searched(0, names, [[0.1] * 6] * 3)):
        with pytest.raises(ValueError, match="it is of another space"):
            bad.check(run.space)
