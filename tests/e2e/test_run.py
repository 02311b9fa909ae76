"""Whole runs through the command line, on real data, with real fits and real ONNX Runtime."""

import csv
import json
import os
import re
import subprocess
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from own_conf import own_conf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import nas_lightning
from nas_lightning import search_and_get_model
from nas_lightning.config.compose import conf_dir, load_config
from nas_lightning.kernels.build import why_not_native

SHORT = ("experiment=quick", "callbacks=none", "export.int8=false")
FILES = {
    "annotations", "checkpoints", "config.yaml", "cost.json", "genotype.json", "genotype_history.json", "metrics.json",
    "history.json", "input.json", "mistakes.npz", "model.onnx", "model.pt", "model_int8.onnx", "preparation.json",
    "report.html", "run.log", "searches.json", "started.json", "tensorboard",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One run with everything on, in a process of its own."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    command = [sys.executable, "-m", "nas_lightning", "experiment=quick", f"hydra.run.dir={folder}", "seed=3"]
    command.append("callbacks.alpha_pictures.every_n_epochs=1")
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder.parent, check=False)
    assert done.returncode == 0, done.stderr
    return folder, done


def read(folder, name):
    return json.loads((folder / name).read_text(), parse_constant=lambda text: pytest.fail(f"{name} has {text}"))


def test_the_run_folder_holds_the_files_of_the_contract(finished):
    folder, _ = finished
    assert {path.name for path in folder.iterdir()} == FILES
    for stage in ("search", "training"):
        assert {path.name for path in (folder / "checkpoints" / stage).iterdir()} == {"best.ckpt", "last.ckpt"}
    metrics = read(folder, "metrics.json")
    for split in ("val", "test"):
        assert set(metrics[split]) == {"accuracy", "balanced_accuracy", "macro_f1", "loss"}
    assert metrics["search"].keys() == {"strategy", "seconds", "epochs", "steps"}
    assert (metrics["search"]["epochs"], metrics["search"]["steps"]) == (2, 4)
    assert (metrics["training"]["epochs"], metrics["seed"], metrics["preset"]) == (5, 3, "s")
    cost = read(folder, "cost.json")
    measures = {"params", "macs", "flash_bytes", "instructions", "ram_bytes"}
    assert measures | {"weight_bits", "activation_bits", "core", "layers"} == set(cost)
    assert load_config(folder / "config.yaml").seed == 3


def test_the_terminal_ends_with_the_result_and_the_next_command(finished):
    folder, done = finished
    for text in ("normal cell", "test accuracy", "parameters", "tensorboard --logdir"):
        assert text in done.stdout
    assert "Warning" not in done.stderr
    assert "training: seed 3, 5 epochs from rate 0.02\n" in (folder / "run.log").read_text()


def test_a_pipe_gets_at_most_a_line_every_ten_seconds_of_work(finished):
    folder, done = finished
    seconds = float(re.search(r"done in ([\d.]+) seconds", (folder / "run.log").read_text())[1])
    assert "\r" not in done.stderr
    assert len(re.findall(r"^[\w :]+: .* s\b", done.stderr, re.M)) <= seconds / 5


def test_the_stages_of_a_run_write_lines_where_there_is_no_terminal(cli, monkeypatch):
    monkeypatch.setattr("nas_lightning.progress._BETWEEN_LINES", 0.0)
    options = ("experiment=quick", "callbacks.alpha_pictures=null", "selection.candidates=1", "control.num_random=0")
    status, _, err = cli(*options)
    assert status == 0
    lines = [line for line in err.splitlines() if line.startswith("search: ")]
    assert [line.partition(" %")[0] for line in lines] == [f"search: {share}" for share in (25, 50, 75, 100)]
    figures = r"epoch 2/2, val_loss [\d.]+, val_accuracy [\d.]+"
    assert re.fullmatch(rf"search: 100 %, 4 of 4 steps, ended after \d+ s, {figures}", lines[-1])
    assert "train: 100 %, " in err


def test_the_history_ends_with_the_kept_genotype(finished):
    folder, _ = finished
    history, genotype = read(folder, "genotype_history.json"), read(folder, "genotype.json")
    assert [entry["epoch"] for entry in history] == [0, 1]
    assert (history[-1]["normal"], history[-1]["reduce"]) == (genotype["normal"], genotype["reduce"])
    assert genotype["schema_version"] == 1
    assert genotype["normal_concat"] == [1, 2, 3, 4]
    assert genotype["class_names"] == ["badminton", "running", "standing", "walking"]


def test_a_new_process_loads_the_network(finished, motions, tmp_path):
    folder, _ = finished
    np.save(tmp_path / "x.npy", motions.x_test)
    code = (
        "import sys, numpy, torch, nas_lightning; network = nas_lightning.load(sys.argv[1]);"
        "print(network(torch.from_numpy(numpy.load(sys.argv[2]))).argmax(1).tolist())"
    )
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "x.npy")]
    labels = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    accuracy = float(np.mean(np.array(labels) == motions.y_test))
    assert accuracy == pytest.approx(read(folder, "metrics.json")["test"]["accuracy"])


def test_the_onnx_file_agrees_with_torch_on_the_whole_test_split(finished, motions):
    folder, _ = finished
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    assert [(i.shape, i.type) for i in session.get_inputs()] == [([1, 6, 100], "tensor(float)")]
    found = np.concatenate([session.run(None, {"x": x[None]})[0] for x in motions.x_test])
    with torch.no_grad():
        expected = nas_lightning.load(folder)(torch.from_numpy(motions.x_test)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    operators = {node.op_type for node in onnx.load(folder / "model.onnx").graph.node}
    assert "Conv" in operators
    assert "BatchNormalization" not in operators


def test_params_and_macs_are_those_of_the_onnx_graph(finished):
    """A count that shares no code with ours: initializers, and shapes that ONNX infers."""
    folder, _ = finished
    model = onnx.shape_inference.infer_shapes(onnx.load(folder / "model.onnx"))
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.value_info}
    weights = {w.name: w for w in model.graph.initializer if w.data_type == onnx.TensorProto.FLOAT}
    macs = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            macs += int(np.prod(weights[node.input[1]].dims)) * shapes[node.output[0]][-1]
        elif node.op_type == "Gemm":
            macs += int(np.prod(weights[node.input[1]].dims))
        elif node.op_type == "Mul":
            macs += int(np.prod(shapes[node.output[0]]))
    cost = read(folder, "cost.json")
    used = {name for node in model.graph.node for name in node.input}
    assert cost["params"] == sum(int(np.prod(w.dims)) for name, w in weights.items() if name in used)
    assert cost["macs"] == macs == sum(row["macs"] for row in cost["layers"])


def test_tensorboard_shows_both_levels_pictures_and_hparams(finished):
    folder, _ = finished
    tags = {}
    for stage in ("search", "training"):
        events = EventAccumulator(str(folder / "tensorboard" / stage), size_guidance={"images": 0})
        tags[stage] = events.Reload().Tags()
        has_hparams = "_hparams_/session_start_info" in events.summary_metadata
        assert has_hparams == (stage == "training")
        if stage == "search":
            assert [event.step for event in events.Images("alphas/normal")] == [0, 1]
    scalars = {f"search/{level}_{name}" for level in ("weights", "alphas", "val") for name in ("loss", "accuracy")}
    scalars |= {"search/lr_weights", "search/lr_alphas", "search/entropy_normal", "search/entropy_reduce"}
    assert scalars <= set(tags["search"]["scalars"])
    assert set(tags["search"]["images"]) == {"alphas/normal", "alphas/reduce", "genotype"}
    assert tags["training"]["images"] == ["confusion"]
    assert {"training/lr", "training/val_loss", "hparams/accuracy", "hparams/params"} <= set(
        tags["training"]["scalars"]
    )


@pytest.fixture
def run(cli, tmp_path):
    """A short run; returns its folder."""

    def call(name, *arguments):
        status, _, err = cli(*SHORT, f"hydra.run.dir={name}", *arguments)
        assert status == 0, err
        return tmp_path / name

    return call


def results(folder):
    metrics = read(folder, "metrics.json")
    return read(folder, "genotype_history.json"), read(folder, "history.json"), metrics["val"], metrics["test_details"]


def test_one_seed_gives_one_result_and_another_seed_another(run):
    first, again, other = (
        results(run(name, f"seed={seed}", "logger=none")) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again
    assert first[1:] != other[1:]


STOPPER = """
import pathlib
import lightning as L
class Stop(L.Callback):
    def __init__(self, module, epoch, marker):
        self.module, self.epoch, self.marker = module, epoch, pathlib.Path(marker)
    def on_train_epoch_start(self, trainer, pl_module):
        stops = type(pl_module).__name__ == self.module and trainer.current_epoch == self.epoch
        if stops and not self.marker.exists():
            self.marker.touch()
            raise KeyboardInterrupt
"""


@pytest.mark.parametrize(("module", "epoch"), [("SearchModule", 0), ("SearchModule", 2), ("TrainModule", 3)])
def test_a_run_stopped_by_ctrl_c_goes_on_to_the_result_of_an_unbroken_one(
    run, cli, once, tmp_path, monkeypatch, module, epoch
):
    """peers.md: a peer's resumed search forgot its state."""
    import signal

    handler = signal.getsignal(signal.SIGINT)
    (tmp_path / "stopper.py").write_text(STOPPER)
    monkeypatch.syspath_prepend(tmp_path)
    own_conf(tmp_path / "mine", "stopper.Stop")
    arguments = ("training.nas_epochs=4", "testing.enable=true")
    unbroken = once("unbroken", lambda: results(run("unbroken", *arguments)))
    stop = f"+callbacks.stop={{_target_: stopper.Stop, module: {module}, epoch: {epoch}, marker: {tmp_path}/stopped}}"
    status, _, err = cli("--config-dir", "mine", *SHORT, "hydra.run.dir=broken", "training.nas_epochs=4", stop)
    signal.signal(signal.SIGINT, handler)  # Lightning leaves Ctrl-C ignored on its way out
    assert status == 1
    assert f"interrupted; go on with: nas-lightning resume={tmp_path / 'broken'}" in err
    status, _, err = cli("--config-dir", "mine", "resume=broken")
    assert status == 0, err
    assert results(tmp_path / "broken") == unbroken
    assert read(tmp_path / "broken", "metrics.json")["search"]["steps"] == 8
    status, _, err = cli("resume=broken")
    said = "resume: broken is the folder of a run that ended; to go on training its network, in another run: "
    assert (status, err) == (2, f"error: {said}nas-lightning init_from=broken\n")


@pytest.mark.parametrize("size", [1, 29])
def test_batch_size_one_and_a_last_batch_of_one_sample(run, size):
    """peers.md: a peer failed at batch size 1."""
    metrics = read(run("run", f"training.batch_size={size}", "logger=none"), "metrics.json")
    assert metrics["search"]["steps"] == 2 * -(-30 // size)


@pytest.mark.parametrize("mode", ["memory", "Compute"])
def test_the_mode_is_written_in_any_case(run, mode):
    folder = run("run", f"training.nas_optimization_mode={mode}", "training.enable=false")
    events = EventAccumulator(str(folder / "tensorboard" / "search")).Reload()
    assert f"search/expected_{'params' if mode == 'memory' else 'macs'}" in events.Tags()["scalars"]


def test_memory_and_compute_find_different_genotypes(run):
    """A deep net whose late cells are wide and short separates parameters from MACs."""
    arguments = [
        "training.nas_layers=8", "training.nas_init_channels=2", "training.nas_epochs=6", "training.enable=false",
        "search.penalties.cost.weight=3", "search.alpha_optimizer.lr=0.1", "logger=none",
    ]  # fmt: skip
    found = [
        read(run(mode, f"training.nas_optimization_mode={mode}", *arguments), "genotype.json")
        for mode in ("Memory", "Compute")
    ]
    assert (found[0]["normal"], found[0]["reduce"]) != (found[1]["normal"], found[1]["reduce"])


def test_without_training_the_run_ends_with_the_genotype(run):
    folder = run("run", "training.enable=false")
    assert (folder / "genotype.json").is_file()
    assert (folder / "cost.json").is_file()
    assert not (folder / "model.pt").exists()


def test_without_testing_the_test_split_is_not_measured(run):
    metrics = read(run("run", "testing.enable=false", "logger=none"), "metrics.json")
    assert "test" not in metrics
    assert metrics["onnx"]["split"] == "val"


@pytest.mark.parametrize("model", ["cnn_s", "cnn_l"])
def test_a_reference_model_is_trained_without_a_search(run, motions, model):
    folder = run("run", "training.nas_enabled=false", f"model={model}", "logger=csv")
    assert not (folder / "genotype.json").exists()
    assert read(folder, "model.json")["widths"] == ([8, 16] if model == "cnn_s" else [32, 64, 64])
    assert "search" not in read(folder, "metrics.json")
    assert (folder / "csv").is_dir()
    assert nas_lightning.load(folder)(torch.from_numpy(motions.x_test)).shape == (40, 4)


def test_optional_operations_groups_and_post_reduction_stride(run, write_npz):
    """Every operation at once, on a file with groups and names."""
    from nas_lightning.space.ops import OPS

    path = write_npz(groups_train=np.arange(40) % 8, class_names=np.array(["a", "b", "c", "d"]))
    folder = run(
        "run", f"dataset.input_data_path={path}", f"space.ops=[{','.join(OPS)}]", "space.post_reduction_stride=2",
        "data_processing_feature_extraction.variables=3", "export.int8=true",
    )  # fmt: skip
    genotype = read(folder, "genotype.json")
    assert genotype["class_names"] == ["a", "b", "c", "d"]
    assert genotype["task"] == {"in_channels": 3, "length": 100, "num_classes": 4}
    assert genotype["size"]["post_reduction_stride"] == 2


GUIDE = """
common:
  task_type: 'generic_timeseries_classification'
dataset:
  dataset_name: 'dc_arc_fault_example_dsk'
  input_data_path: '{path}'
data_processing_feature_extraction:
  variables: 1
training:
  enable: True
  training_epochs: 3
  batch_size: 16
  nas_enabled: True
  nas_epochs: 1
  nas_optimization_mode: 'Memory'
  nas_model_size: 'm'
compilation:
  enable: False
"""


def test_a_yaml_in_the_layout_of_the_guide_runs(cli, tmp_path, write_npz):
    (tmp_path / "config_nas.yaml").write_text(GUIDE.format(path=write_npz()))
    status, _, err = cli("config_nas.yaml", "training.nas_layers=4", "hydra.run.dir=run", "callbacks=none")
    assert status == 0, err
    genotype = read(tmp_path / "run", "genotype.json")
    assert genotype["size"] | {"post_reduction_stride": 0} == {
        "layers": 4, "nodes_per_layer": 4, "init_channels": 1, "init_channel_multiplier": 3, "fanout_concat": 4,
        "post_reduction_stride": 0, "readout": "mean",
    }  # fmt: skip
    assert genotype["task"]["in_channels"] == 1
    assert read(tmp_path / "run", "metrics.json")["training"]["epochs"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_sweep_ends_with_one_table(cli, tmp_path, launcher):
    sweep = ["-m", "nas_model_size=s,m", "seed=0,1", f"hydra/launcher={launcher}", "hydra.sweep.dir=sweep", *SHORT]
    extra = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    status, out, err = cli(*sweep, *extra, "training.nas_epochs=1")
    assert status == 0, err
    rows = (tmp_path / "sweep" / "table.csv").read_text().splitlines()
    assert rows[0] == "preset,seed,accuracy,params,macs,seconds,folder,settings,error"
    assert all(row.endswith(",,") for row in rows[1:])  # preset and seed have columns of their own
    assert [row.split(",")[:2] for row in rows[1:]] == [["s", "0"], ["s", "1"], ["m", "0"], ["m", "1"]]
    assert (tmp_path / "sweep" / "table.md").read_text().count("\n") == 6
    assert "4 runs" in out
    assert all((tmp_path / "sweep" / name / "model.onnx").is_file() for name in "0123")


def test_a_sweep_goes_on_past_a_run_that_fails(cli, tmp_path):
    short = ("training.nas_enabled=false", "logger=none", *SHORT)
    status, _, err = cli("-m", "training.batch_size=99,16", "hydra.sweep.dir=sweep", *short)
    assert status == 2
    assert "error: 1 runs of the sweep have no result: run 0: training.batch_size: 99 is larger than the train" in err
    assert {path.name for path in (tmp_path / "sweep" / "0").iterdir()} == {"error.txt", "overrides.txt"}
    rows = list(csv.DictReader((tmp_path / "sweep" / "table.csv").read_text().splitlines()))
    assert [row["error"][:22] for row in rows] == ["training.batch_size: 9", ""]
    assert [row["settings"] for row in rows] == ["training.batch_size=99", "training.batch_size=16"]
    status, _, err = cli("-m", "training.batch_size=8,16", "hydra.sweep.dir=both", *short)
    assert status == 0, err
    rows = (tmp_path / "both" / "table.csv").read_text().splitlines()
    assert [row.split(",")[-2] for row in rows[1:]] == ["training.batch_size=8", "training.batch_size=16"]


def test_the_function_takes_loaders_and_keywords(loaders, motions, tmp_path):
    settings = {"nas_epochs": 1, "training_epochs": 2, "nas_layers": 4, "unrolled": True, "seed": 5}
    network = search_and_get_model(**loaders, **settings, overrides=["callbacks=none"], folder=tmp_path / "run")
    assert network(torch.from_numpy(motions.x_test)[..., None]).shape == (40, 4)
    assert not network.training
    assert read(tmp_path / "run", "metrics.json")["val_details"]["unit"] == "samples"  # loaders know no recordings
    assert (tmp_path / "run/report.html").is_file()
    assert not (tmp_path / "run/mistakes.npz").exists()
    config = load_config(tmp_path / "run" / "config.yaml")
    assert (config.training.nas_layers, config.seed, config.search["unrolled"]) == (4, 5, True)


def test_the_function_takes_a_namespace_of_the_guides_names(loaders, tmp_path):
    """Batches may be longer tuples that end in samples and labels, as in existing callers."""
    from argparse import Namespace

    triples = [(x, x, y) for x, y in loaders["train_loader"]]
    args = Namespace(train_loader=triples, valid_loader=loaders["valid_loader"], nas_epochs=1, training_epochs=1)
    args.nas_model_size, args.gpu, args.nas_nodes_per_layer = "m", 0, None
    overrides = ["callbacks=none", "selection.candidates=1", "control.num_random=0", "export.int8=false"]
    search_and_get_model(args, nas_layers=3, overrides=overrides, folder=tmp_path / "run")
    genotype = read(tmp_path / "run", "genotype.json")
    assert (genotype["size"]["layers"], genotype["size"]["nodes_per_layer"]) == (3, 4)


def test_the_function_works_inside_a_program_that_runs_hydra(loaders, tmp_path):
    from hydra import compose, initialize_config_dir

    from nas_lightning.config.compose import compose_config, conf_dir

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        assert compose_config(["seed=7"]).seed == 7
        with warnings.catch_warnings():
            assert compose("config", ["seed=8"]).seed == 8


def test_options_come_from_a_folder_of_the_user_too(cli, tmp_path):
    folder = tmp_path / "my_conf" / "nas_model_size"
    folder.mkdir(parents=True)
    (folder / "tiny.yaml").write_text(
        "# @package training\nnas_model_size: tiny\nnas_layers: 3\nnas_nodes_per_layer: 1\n"
        "nas_init_channels: 1\nnas_init_channel_multiplier: 1\nnas_fanout_concat: 1\n"
    )
    arguments = ["--config-dir", "my_conf", "nas_model_size=tiny", "training.enable=false", "hydra.run.dir=run"]
    status, _, err = cli(*arguments, *SHORT)
    assert status == 0, err
    assert read(tmp_path / "run", "genotype.json")["size"]["nodes_per_layer"] == 1
    assert read(tmp_path / "run", "metrics.json")["preset"] == "tiny"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--help"], "nas_model_size: auto, auto_cells, l, m, s, xl, xxl\n"),
        (["nas_model_size=m", "-h"], "logger: csv, mlflow, none, tensorboard, tensorboard_csv, wandb\n"),
        (["--cfg", "job"], "nas_steps: null"),
    ],
)
def test_help_and_configuration_are_printed(cli, arguments, text):
    status, out, _ = cli(*arguments)
    assert status == 0
    assert text in out


def test_help_knows_the_groups_and_options_of_hydra_and_those_of_a_config_dir(cli, tmp_path):
    (tmp_path / "mine/nas_model_size").mkdir(parents=True)
    (tmp_path / "mine/nas_model_size/tiny.yaml").write_text("training: {}\n")
    _, out, _ = cli("--help", "--config-dir", "mine")
    assert "nas_model_size: auto, auto_cells, l, m, s, tiny, xl, xxl\n" in out
    found = {line.partition(":")[0] for line in out.partition("options:")[2].partition("Examples:")[0].splitlines()}
    groups = {path.name for path in conf_dir().iterdir() if path.is_dir()} - {"hydra"}
    assert {name for name in found if name and not name.startswith(" ")} == groups
    assert all(f"{path.stem}" in out for path in conf_dir().glob("*/*.yaml"))


def test_what_needs_no_network_is_answered_without_loading_pytorch(tmp_path):
    """Its import takes longer than all of this."""
    code = "import sys, nas_lightning.__main__ as program\n"
    code += "try:\n    program.main()\nexcept SystemExit:\n    pass\n"
    code += "print(sorted({'torch', 'lightning', 'pandas', 'scipy', 'matplotlib'} & sys.modules.keys()))"
    for arguments in (
        ["--help"],
        ["devices"],
        ["devices", "output=json"],
        ["card", "nowhere"],
        ["training.nas_epochs=0"],
        ["serach=darts"],
        ["search=dats"],
        ["word"],
    ):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]", arguments


UNTIL_THE_FIRST_STEP = """
import os, sys
from nas_lightning import progress
from nas_lightning.__main__ import main

class Step(progress.Bar):
    def update(self, count=1):
        print(*sorted({name.partition(".")[0] for name in sys.modules}), flush=True)
        os._exit(0)

with progress.using(lambda text, *_: Step() if text == "search" else progress.Bar()):
    main()
"""
NOT_NEEDED = {
    "aeon",
    "numba",
    "pandas",
    "sklearn",
    "joblib",
    "onnx",
    "onnxruntime",
    "emx_onnx_cgen",
    "jinja2",
    "cyclonedx",
    "packageurl",
}


def test_a_search_begins_without_loading_what_it_does_not_need(tmp_path):
    """The packages of this list, which only readers, checks and exports use, took a quarter of the time until here."""
    command = [sys.executable, "-c", UNTIL_THE_FIRST_STEP, "hydra.run.dir=run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"torch", "lightning"} <= loaded, done.stderr
    assert not loaded & NOT_NEEDED


@pytest.mark.skipif(sys.platform != "linux", reason="says so with GCC's OpenMP alone")
@pytest.mark.parametrize(("given", "count"), [({}, "20000"), ({"GOMP_SPINCOUNT": "7"}, "7")])
def test_threads_do_not_wait_long_without_sleeping_unless_they_are_told_to(tmp_path, given, count):
    command = [sys.executable, "-m", "nas_lightning", "dataset.dataset_name=none_of_this_name"]
    variables = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    variables |= {"OMP_DISPLAY_ENV": "verbose", **given}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=variables, check=False)
    assert f"GOMP_SPINCOUNT = '{count}'" in done.stderr


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_several_loggers_get_all_that_one_gets(cli, tmp_path):
    status, _, err = cli("logger=tensorboard_csv", "hydra.run.dir=run", "augmentation=sensor", "seed=3", *SHORT)
    assert status == 0, err
    for stage in ("search", "training"):
        rows = rows_of(tmp_path / "run/csv" / stage / "metrics.csv")
        logged = {key for row in rows for key, value in row.items() if value} - {"epoch", "step"}
        tags = EventAccumulator(str(tmp_path / "run/tensorboard" / stage)).Reload().Tags()
        assert f"{stage}/val_loss" in logged <= set(tags["scalars"])
        assert "augmentation" in tags["images"]
    assert "confusion" in tags["images"]


def test_a_logger_gets_no_argument_that_it_does_not_take(cli, tmp_path, monkeypatch):
    """As that of MLflow, which knows no version."""
    (tmp_path / "plain_logger.py").write_text(
        "from lightning.pytorch.loggers import CSVLogger\n"
        "class Plain(CSVLogger):\n"
        "    def __init__(self, save_dir):\n"
        "        super().__init__(save_dir, name='plain', version='one')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own_conf(tmp_path / "mine", "plain_logger.Plain")
    (tmp_path / "mine/logger").mkdir()
    (tmp_path / "mine/logger/own.yaml").write_text("own:\n  _target_: plain_logger.Plain\n")
    arguments = ["--config-dir", "mine", "logger=own", "training.nas_enabled=false", "hydra.run.dir=run"]
    status, _, err = cli(*arguments, *SHORT)
    assert status == 0, err
    assert rows_of(tmp_path / "run/plain/one/metrics.csv")


@pytest.mark.parametrize("key", ["training.learning_rate", "optimizer.lr"])
def test_a_training_that_diverges_says_so(cli, key):
    arguments = [f"{key}=1e9", "optimizer=sgd", "training.nas_enabled=false", "hydra.run.dir=run"]
    status, _, err = cli(*arguments, *SHORT)
    assert status == 2
    assert err == f"error: {key}: the training diverged at 1e+09; lower it\n"


def reference_loss(run, name, *arguments):
    """Loss on val of a short run of the hand-made network."""
    return read(run(name, "training.nas_enabled=false", "logger=none", *arguments), "metrics.json")["val"]["loss"]


def alphas(run, name, *arguments):
    """Those of the normal cell after a short search."""
    folder = run(name, "training.enable=false", "training.nas_epochs=3", "logger=none", *arguments)
    state = torch.load(folder / "checkpoints" / "search" / "last.ckpt", weights_only=True)["state_dict"]
    return state["supernet.alphas.normal"]


@pytest.mark.parametrize(
    "option",
    [
        "training.learning_rate=0.001", "training.batch_size=8", "training.training_epochs=7",
        "dataset.split_factor=[0.4,0.4,0.2]", "optimizer=sgd", "scheduler=constant", "optimizer.weight_decay=5",
        "model.kernel_size=3", "trainer.precision=64-true", "trainer.precision=bf16-mixed",
    ],
)  # fmt: skip
def test_an_option_of_the_training_changes_the_outcome(run, once, option):
    default = once("loss", lambda: reference_loss(run, "default"))
    assert default != reference_loss(run, "other", option)


@pytest.mark.parametrize(
    "option",
    [
        "search.weight_optimizer.lr=0.1", "search.weight_scheduler.eta_min=0.02", "search.alpha_optimizer.lr=0.1",
        "search.alpha_optimizer.weight_decay=0.5", "search.penalties.cost.weight=5", "search.clip_norm=0.01",
        "search.weight_optimizer.weight_decay=0.1", "search.weight_optimizer.momentum=0",
        "trainer.precision=bf16-mixed",
    ],
)  # fmt: skip
def test_an_option_of_the_search_changes_the_outcome(run, once, option):
    default = once("alphas", lambda: alphas(run, "default"))
    assert not torch.equal(default, alphas(run, "other", option))


@pytest.mark.skipif(why_not_native() is not None, reason=str(why_not_native()))
def test_both_kernels_search_alike_and_the_log_says_which(run):
    states = {}
    for kernels in ("native", "torch"):
        folder = run(kernels, "training.enable=false", "logger=none", f"training.nas_kernels={kernels}")
        assert f"search: darts, seed 0, 2 epochs, {kernels} kernels" in (folder / "run.log").read_text()
        checkpoint = torch.load(folder / "checkpoints" / "search" / "last.ckpt", weights_only=True)
        states[kernels] = checkpoint["state_dict"]
    for name, tensor in states["torch"].items():
        torch.testing.assert_close(states["native"][name], tensor, rtol=1e-3, atol=1e-4)


def test_alphas_are_drawn_as_often_as_asked(cli, tmp_path):
    """Here after every second epoch and the last; the finished run above has them after every one."""
    arguments = ["experiment=quick", "training.enable=false", "training.nas_epochs=3", "hydra.run.dir=run"]
    status, _, err = cli(*arguments, "callbacks.alpha_pictures.every_n_epochs=2")
    assert status == 0, err
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard" / "search"), size_guidance={"images": 0}).Reload()
    assert [event.step for event in events.Images("alphas/normal")] == [1, 2]


def test_a_folder_with_a_run_is_not_run_over(run, cli, tmp_path):
    folder = run("run", "training.enable=false")
    before = (folder / "genotype.json").read_bytes()
    status, _, err = cli(*SHORT, "hydra.run.dir=run", "nas_model_size=m")
    assert status == 2
    assert err == f"error: {folder}: holds a run already; go on with it by resume={folder}, or choose another folder\n"
    assert (folder / "genotype.json").read_bytes() == before


def test_the_run_name_names_the_folder(cli, tmp_path):
    status, _, err = cli(*SHORT, "common.run_name=pump/first", "training.enable=false")
    assert status == 0, err
    assert (tmp_path / "outputs" / "pump" / "first" / "genotype.json").is_file()
