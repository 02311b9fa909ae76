"""Every strategy through the command line: within the budget, by the seed, resumed; and what the contest keeps."""

import csv
import json
import re
import shutil
import signal

import pytest
import torch
from own_conf import own_conf

from nas_lightning.config.compose import compose_config, conf_dir
from nas_lightning.space.cells.genotype import KINDS, is_parameter_free

NAMES = sorted({path.stem for path in (conf_dir() / "search").glob("*.yaml")} - {"outlines"})  # test_outlines has them
SMALL = [
    "training.nas_nodes_per_layer=2", "training.nas_fanout_concat=2", "training.nas_epochs=3",
    "training.training_epochs=2", "export.int8=false", "callbacks=none", "logger=none", "training.batch_size=15",
    "data_processing_feature_extraction.variables=2", "selection.candidates=1", "control.num_random=0",
]  # fmt: skip
SHORT = {"num_samples": 6, "num_steps": 1}
"""Keys of derivations that take long, if a strategy has them."""


def settings_of(name):
    derivation = compose_config([f"search={name}"]).search["derivation"]
    return [
        f"search={name}",
        *(f"search.derivation.{key}={value}" for key, value in SHORT.items() if key in derivation),
    ]


@pytest.fixture
def run(cli, tmp_path):
    """A small run; returns its folder."""

    def call(name, *arguments):
        status, _, err = cli(*SMALL, f"hydra.run.dir={name}", *arguments)
        assert status == 0, err
        return tmp_path / name

    return call


def read(folder, name):
    return json.loads((folder / name).read_text())


def outcome(folder):
    """All that a run found, without what the clock says."""
    metrics = read(folder, "metrics.json")
    searches = [search | {"seconds": 0} for search in read(folder, "searches.json")]
    genotype = {kind: read(folder, "genotype.json")[kind] for kind in KINDS}
    return genotype, searches, metrics.get("val"), metrics.get("test")


STOPPER = """
import pathlib
import lightning as L
class Stop(L.Callback):
    def __init__(self, module, epoch, marker, let_pass=0):
        self.module, self.epoch, self.marker, self.let_pass = module, epoch, pathlib.Path(marker), let_pass
    def on_train_epoch_start(self, trainer, pl_module):
        if type(pl_module).__name__ != self.module or trainer.current_epoch != self.epoch:
            return
        count = len(list(self.marker.parent.glob(self.marker.name + "*")))
        if count <= self.let_pass:
            pathlib.Path(f"{self.marker}{count}").touch()
        if count == self.let_pass:
            raise KeyboardInterrupt
"""


@pytest.fixture
def stopped(cli, tmp_path, monkeypatch):
    """A run that Ctrl-C stops at the start of an epoch, and that is then resumed; returns its folder."""
    (tmp_path / "search_stopper.py").write_text(STOPPER)
    monkeypatch.syspath_prepend(tmp_path)
    own_conf(tmp_path / "mine", "search_stopper.Stop")

    def call(module, epoch, *arguments, let_pass=0):
        handler = signal.getsignal(signal.SIGINT)
        where = f"module: {module}, epoch: {epoch}, let_pass: {let_pass}, marker: {tmp_path}/stopped"
        stop = f"+callbacks.stop={{_target_: search_stopper.Stop, {where}}}"
        status, _, err = cli("--config-dir", "mine", *SMALL, "hydra.run.dir=broken", stop, *arguments)
        signal.signal(signal.SIGINT, handler)  # Lightning leaves Ctrl-C ignored on its way out
        assert status == 1
        assert "interrupted; go on with" in err
        status, _, err = cli("--config-dir", "mine", "resume=broken")
        assert status == 0, err
        return tmp_path / "broken"

    return call


TRAINED = ("darts", "random")
"""Strategies whose network is trained too: one with a search that is trained, and the one without."""


@pytest.mark.parametrize("name", NAMES)
def test_a_strategy_keeps_the_budget_and_is_the_same_again_after_a_stop(run, stopped, tmp_path, name):
    """The same seed gives the same twice, once in one go and once stopped and resumed; another seed another search.

    The final training knows the genotype and nothing of the strategy that found it.
    """
    limits = ["budget.params=110", "budget.ram_bytes=800"]
    arguments = [*settings_of(name), *limits, "seed=1", f"training.enable={str(name in TRAINED).lower()}"]
    unbroken = run("unbroken", *arguments)
    cost, metrics = read(unbroken, "cost.json"), read(unbroken, "metrics.json")
    assert {measure: (entry["limit"], entry["holds"]) for measure, entry in cost["budget"].items()} == {
        "params": (110, True), "ram_bytes": (800, True),
    }  # fmt: skip
    assert cost["params"] <= 110
    assert cost["ram_bytes"] <= 800
    assert metrics["search"]["strategy"] == name
    trains = (unbroken / "checkpoints" / "search").is_dir()
    assert (metrics["search"]["epochs"], metrics["search"]["steps"]) == ((3, 6) if trains else (0, 0))
    broken = stopped(*(("SearchModule", 2) if trains else ("TrainModule", 1)), *arguments)
    assert outcome(broken) == outcome(unbroken)
    if trains:
        states = [weights(folder) for folder in (unbroken, broken)]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    other = run("other", *settings_of(name), *limits, "seed=2", "training.enable=false")
    if trains:
        assert not torch.equal(weights(other)["supernet.alphas.normal"], states[0]["supernet.alphas.normal"])
    else:
        assert outcome(other)[0] != outcome(unbroken)[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_strategy_runs_with_its_pictures_alarms_and_in_double_precision(run, name):
    as_it_comes = ["callbacks=default", "logger=tensorboard", "training.enable=false"]
    folder = run("run", *settings_of(name), *as_it_comes, "trainer.precision=64-true")
    assert set(KINDS) <= read(folder, "genotype.json").keys()
    if (folder / "checkpoints" / "search").is_dir():
        assert weights(folder)["supernet.alphas.normal"].dtype == torch.float64


def weights(folder, stage="search"):
    return torch.load(folder / "checkpoints" / stage / "last.ckpt", weights_only=True)["state_dict"]


def test_rows_of_the_epochs_before_a_stop_are_kept(stopped):
    folder = stopped("TrainModule", 1, "logger=csv")
    epochs = {}
    for path in (folder / "csv").glob("training*/metrics.csv"):
        with path.open(newline="") as file:
            epochs[path.parent.name] = {int(row["epoch"]) for row in csv.DictReader(file)}
    assert epochs == {"training_until_1": {0}, "training": {1}}


# Mistakes


MISTAKES = [
    (None, "search.clip_norm=0", "allowed: more than 0"),
    (None, "search.warmup=1.5", "allowed: 0 to 1"),
    (None, "search.warmup=-0.1", "allowed: 0 to 1"),
    (None, "search.partial_channels=0", "allowed: 1 to 1024"),
    (None, "search.num_seeds=0", "allowed: 1 to 1000"),
    (None, "search.on_collapse=stop", "allowed: warn, switch"),
    ("tunas", "search.partial_channels=4", "allowed: 1, because tunas runs paths"),
    ("random_ws", "search.on_collapse=switch", "allowed: warn, because random_ws learns no alphas"),
    ("tunas", "search.unrolled=true", "allowed: false, because tunas has no gradient step"),
    ("random", "search.unrolled=true", "allowed: false, because random has no gradient step"),
    ("gdas", "search.relaxation.temperatures=[1, 0]", "allowed: more than 0"),
    ("darts_minus", "search.relaxation.start=-1", "allowed: 0 or more"),
    ("tunas", "search.arch_step.baseline_decay=1", "allowed: 0 to less than 1"),
    ("random_ws", "search.derivation.num_samples=0", "allowed: 1 to 100000"),
    ("darts_pt", "search.derivation.num_steps=-1", "allowed: 0 to 100000"),
    ("beta_darts", "search.regularisers.beta.weight=-1", "allowed: 0 or more"),
    ("drnas", "search.regularisers.anchor.weight=-1", "allowed: 0 or more"),
    (None, "selection.candidates=0", "allowed: 1 to 1000, or null"),
    (None, "control.num_random=-1", "allowed: 0 to 1000, or null"),
    (None, "control.epochs=0", "allowed: 1 to 1000000, or null"),
]


@pytest.mark.parametrize(("strategy", "option", "allowed"), MISTAKES)
def test_a_mistake_ends_with_one_sentence(cli, tmp_path, strategy, option, allowed):
    status, out, err = cli(*([f"search={strategy}"] if strategy else []), option)
    key, _, value = option.partition("=")
    found = {"stop": "'stop'", "[1, 0]": "0"}.get(value, value)  # none of some words; of a list the wrong number
    assert (status, out) == (2, "")
    assert err == f"error: {key}: found {found}; {allowed}\n"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_mistake_of_type_ends_with_one_sentence(cli):
    status, _, err = cli("control.keep_better=maybe")
    assert (status, err.count("\n")) == (2, 1)
    assert "control.keep_better: found maybe; allowed: true or false" in err


SOFTMAX = "search.relaxation._target_=nas_lightning.search.relaxation.Softmax"
PARTS = [
    (
        ["search=darts_minus", "space.ops=[none,conv_bn_relu_3x1]"],
        "space.ops: AuxiliarySkip needs skip_connect",
    ),
    (
        ["search=tunas", SOFTMAX, "search.warmup=0"],
        "search.arch_step: PolicyGradient needs a search.relaxation that draws paths",
    ),
]


@pytest.mark.parametrize(("arguments", "text"), PARTS, ids=["skip", "paths"])
def test_parts_that_do_not_fit_say_so_before_anything_is_written(cli, tmp_path, arguments, text):
    status, _, err = cli(*SMALL, "hydra.run.dir=run", *arguments)
    assert (status, err) == (2, f"error: {text}\n")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# What an option changes


@pytest.mark.parametrize(
    "options",
    [
        ["search.warmup=0.4"],
        ["training.nas_init_channels=4", "search.partial_channels=2"],
        ["search=beta_darts", "search.regularisers.beta.weight=0"],
        ["search=darts_minus", "search.relaxation.start=0"],
        ["search=gdas", "search.relaxation.temperatures=[1,1]"],
        ["search=drnas", "search.regularisers.anchor.weight=5"],
        ["search=tunas", "search.warmup=0", "search.arch_step.baseline_decay=0"],
    ],
    ids=" ".join,
)
def test_an_option_of_a_strategy_changes_the_outcome(run, options):
    """The last one, against the value of the file, all else alike."""
    *rest, changed = options
    default, other = (
        weights(run(name, *rest, *more, "training.enable=false", "search.alpha_optimizer.lr=0.1"))
        for name, more in (("default", []), ("other", [changed]))
    )
    assert any(
        default[key].shape != other[key].shape or not torch.equal(default[key], other[key])
        for key in default
        if key.startswith("supernet.")
    )


def test_a_warm_up_over_the_whole_search_leaves_the_alphas_as_they_were(run):
    folders = [run(f"w{warmup}", f"search.warmup={warmup}", "training.enable=false") for warmup in (1, 0)]
    for kind in KINDS:
        alphas = [weights(folder)[f"supernet.alphas.{kind}"] for folder in folders]
        assert float(alphas[0].abs().max()) < 6e-3  # drawn with a deviation of 0.001
        assert float(alphas[1].abs().max()) > 1e-2


COLLAPSE = ["search.penalties.cost.weight=30", "search.alpha_optimizer.lr=0.2", "search.weight_optimizer.lr=1e-4"]
COLLAPSE += ["training.nas_nodes_per_layer=4", "training.nas_fanout_concat=4", "search.weight_scheduler.eta_min=1e-5"]


def test_a_search_that_collapses_is_told_and_switched(run, stopped):
    """A heavy penalty on parameters and weights that hardly learn: pools and skips win."""
    folders = {}
    for answer in ("warn", "switch"):
        folders[answer] = run(answer, *COLLAPSE, f"search.on_collapse={answer}", "training.enable=false")
        log = (folders[answer] / "run.log").read_text()
        assert "search: collapse in epoch 2: 8 of 8 nodes keep a skip or a pool" in log
        assert ("from now on at most 2 nodes of a cell may" in log) == (answer == "switch")
        assert ("search.on_collapse=switch limits them, or choose another strategy" in log) == (answer == "warn")
    shares = {
        answer: [sum(is_parameter_free(op) for op, _ in read(folder, "genotype.json")[kind]) for kind in KINDS]
        for answer, folder in folders.items()
    }
    assert shares == {"warn": [4, 4], "switch": [2, 2]}
    broken = stopped("SearchModule", 2, *COLLAPSE, "search.on_collapse=switch", "training.enable=false")
    assert outcome(broken) == outcome(folders["switch"])
    assert read(broken, "genotype_history.json") == read(folders["switch"], "genotype_history.json")


def test_a_switch_holds_for_what_a_strategy_makes_of_other_scores(run):
    """DARTS-PT does not read the alphas, which the switch limits, but the losses without an operation."""
    arguments = [*settings_of("darts_pt"), *COLLAPSE, "selection.candidates=3", "training.enable=false"]
    folder = run("switch", *arguments, "search.on_collapse=switch")
    assert "from now on at most 2 nodes of a cell may" in (folder / "run.log").read_text()
    (search,) = read(folder, "searches.json")
    assert len(search["genotypes"]) == 3
    for genotype in search["genotypes"]:
        assert all(sum(is_parameter_free(op) for op, _ in genotype[kind]) <= 2 for kind in KINDS)


def test_where_no_alphas_are_learned_nothing_collapses(run):
    """The random start of the alphas keeps nearly only skips and pools here."""
    ops = "space.ops=[skip_connect,max_pool_3x1,avg_pool_3x1,conv_bn_relu_3x1]"
    folder = run("run", *settings_of("random_ws"), ops, "seed=2", "training.enable=false")
    assert "collapse" not in (folder / "run.log").read_text()


@pytest.mark.parametrize("option", ["search.alpha_optimizer.lr=1e38", "search.weight_optimizer.lr=1e30"])
def test_a_search_that_diverges_ends_with_one_sentence(cli, tmp_path, option):
    status, out, err = cli(*SMALL, "hydra.run.dir=run", option)
    assert (status, out) == (2, "")
    assert re.search(r"error: search: diverged in epoch [12]; lower search.weight_optimizer.lr or search.alpha_op", err)


# The contest


CONTEST = ["selection.candidates=3", "control.num_random=2", "control.epochs=1", "training.training_epochs=6"]


def sections(folder):
    metrics = read(folder, "metrics.json")
    return {key: section for key, section in metrics.items() if key in ("selection", "control", "seeds")}


def timeless(found):
    """Without what the clock says."""
    found = {name: section | {"seconds": 0} for name, section in found.items()}
    trainings = [training | {"seconds": 0} for training in found["selection"]["trainings"]]
    return found | {"selection": found["selection"] | {"trainings": trainings}}


def test_candidates_and_control_are_trained_once_and_a_resumed_run_is_the_same(run, cli):
    folder = run("run", *CONTEST)
    found, rows = sections(folder), read(folder, "contest.json")
    selection, control = found["selection"], found["control"]
    values = [training["value"] for training in selection["trainings"]]
    assert [training["network"] for training in selection["trainings"]] == [0, 1, 2]
    assert values[selection["kept"]] == max(values) == read(folder, "metrics.json")["val"]["accuracy"]
    assert selection["trainings"][selection["kept"]]["params"] == read(folder, "cost.json")["params"]
    assert selection["metric"] == "accuracy"
    assert (len(control["random"]), control["epochs"], len(control["references"])) == (2, 1, 1)
    assert (found.keys(), control["kept"]) == ({"selection", "control"}, "found")
    assert len(rows) == 1 + 2 + 1
    candidate = read(folder, "searches.json")[0]["genotypes"][selection["kept"]]
    kept = {kind: [[op, source] for op, source in candidate[kind]] for kind in KINDS}
    assert {kind: read(folder, "genotype.json")[kind] for kind in KINDS} == kept
    before = outcome(folder)
    for name in ("metrics.json", "cost.json", "genotype.json"):  # as if stopped within the control
        (folder / name).unlink()
    (folder / "contest.json").write_text(json.dumps(rows[:2]))
    for name in ("training", "training_1", "training_2"):
        shutil.rmtree(folder / "checkpoints" / name)
    status, _, err = cli("resume=run")
    assert status == 0, err
    assert outcome(folder) == before
    assert timeless(sections(folder)) == timeless(found)
    resumed = read(folder, "contest.json")
    assert resumed[:2] == rows[:2]
    assert [row["val"] for row in resumed] == [row["val"] for row in rows]


def test_options_of_the_contest_change_the_outcome(run):
    """Each has a figure of its own; against those of the test above, which are 3, 2, 1 and accuracy."""
    options = ["selection.candidates=2", "control.num_random=1", "control.epochs=2", "testing.metric=macro_f1"]
    found = sections(run("other", *CONTEST, *options))
    selection, control = found["selection"], found["control"]
    assert (len(selection["trainings"]), selection["metric"], control["metric"]) == (2, "macro_f1", "macro_f1")
    assert (len(control["random"]), control["epochs"]) == (1, 2)


def test_a_single_network_is_trained_from_several_seeds(run):
    """A hand-made one; the first training is that of a run that trains once."""
    settings = ["training.nas_enabled=false", "control.num_random=0", "training.training_epochs=6"]
    once = read(run("once", *settings), "metrics.json")
    often = read(run("often", *settings, "selection.candidates=3"), "metrics.json")
    values = [training["value"] for training in often["selection"]["trainings"]]
    assert (len(values), len(set(values)) > 1) == (3, True)
    assert [training["value"] for training in once["selection"]["trainings"]] == values[:1]
    assert {training["network"] for training in often["selection"]["trainings"]} == {0}
    assert often["val"]["accuracy"] == max(values)


def test_a_run_that_is_stopped_in_the_second_training_goes_on_there(run, stopped):
    arguments = ["selection.candidates=2", "seed=1"]
    unbroken = run("unbroken", *arguments)
    broken = stopped("TrainModule", 1, *arguments, let_pass=1)
    assert outcome(broken) == outcome(unbroken)
    assert timeless(sections(broken)) == timeless(sections(unbroken))
    training = [read(folder, "metrics.json")["training"] | {"seconds": 0} for folder in (broken, unbroken)]
    assert training[0] == training[1]
    log = (broken / "run.log").read_text()
    assert log.count("training: seed 1, ") == log.count("training: seed 2, ") == 2


def test_a_lost_control_is_the_first_line_and_keep_better_swaps(cli, tmp_path, monkeypatch):
    """Results as they might have been lie in the folder already: nothing of them is trained again."""
    monkeypatch.setenv("COLUMNS", "300")
    arguments = [*SMALL, "control.num_random=2", "control.epochs=1"]
    status, _, err = cli(*arguments, "hydra.run.dir=first")
    assert status == 0, err
    rows = read(tmp_path / "first", "contest.json")
    for i, row in enumerate(rows):
        row["val"]["accuracy"] = (0.1, 0.59, 0.6, 0.3)[i]  # an interval from 0.5315 on
    for keep_better in (False, True):
        folder = tmp_path / f"lost{keep_better}"
        folder.mkdir()
        (folder / "contest.json").write_text(json.dumps(rows))
        status, out, err = cli(*arguments, f"hydra.run.dir={folder.name}", f"control.keep_better={keep_better}")
        assert status == 0, err
        control = sections(folder)["control"]
        assert (control["found"], control["random"], control["verdict"]) == (0.1, [0.6, 0.59], "lost")
        assert control["kept"] == ("random" if keep_better else "found")
        sentence = "the search lost to random choice: accuracy 0.1000 on val after 1 epochs, rank 3 of 3"
        assert control["sentence"].startswith(sentence)
        assert out.splitlines()[0].strip() == control["sentence"]
        kept = rows[2 if keep_better else 0]["network"]
        assert all(read(folder, "genotype.json")[kind] == kept[kind] for kind in KINDS)
        assert read(folder, "contest.json") == rows


def test_several_seeds_are_searched_compared_and_resumed(run, stopped):
    """The second search is stopped; the first one is not run again."""
    arguments = ["search.num_seeds=2", "seed=5", "control.epochs=1", "training.training_epochs=2"]
    folder = run("seeds", *arguments)
    searches = read(folder, "searches.json")
    assert [search["seed"] for search in searches] == [5, 6]
    assert searches[0]["op_weights"] != searches[1]["op_weights"]
    assert (folder / "checkpoints" / "search_1").is_dir()
    metrics = read(folder, "metrics.json")
    assert (metrics["search"]["epochs"], metrics["search"]["steps"]) == (6, 12)
    assert (metrics["seeds"]["seeds"], metrics["seeds"]["verdict"] in ("stable", "unstable")) == ([5, 6], True)
    broken = stopped("SearchModule", 1, *arguments, let_pass=1)
    assert outcome(broken) == outcome(folder)
    assert timeless(sections(broken)) == timeless(sections(folder))


def test_searches_that_learn_no_op_weights_are_compared_without_them(cli, tmp_path):
    arguments = ["search=random_ws", "search.num_seeds=2", "control.epochs=1", "selection.candidates=1"]
    status, out, err = cli(*SMALL, *arguments, "hydra.run.dir=run")
    assert status == 0, err
    assert "on val after 1 epochs" in " ".join(out.split())
    assert "they agree on" not in out
    folder = tmp_path / "run"
    assert read(folder, "metrics.json")["seeds"]["agreement"] is None
    first = read(folder, "searches.json")[0]["genotypes"][0]
    assert {kind: read(folder, "genotype.json")[kind] for kind in KINDS} == first


def test_the_vote_of_the_seeds_is_the_first_candidate_unless_it_is_not_wanted(run):
    """Searches whose best networks differ from what they choose together; one network is trained."""
    arguments = ["search.num_seeds=3", "control.epochs=1", "training.nas_epochs=1", "search.alpha_optimizer.lr=0.1"]
    for votes in ("true", "false"):
        folder = run(f"vote_{votes}", *arguments, f"search.vote={votes}")
        found = {kind: read(folder, "genotype.json")[kind] for kind in KINDS}
        bests = [search["genotypes"][0] for search in read(folder, "searches.json")]
        assert (found not in bests) if votes == "true" else (found == bests[0])
