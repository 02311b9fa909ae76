"""Files from a stranger: none of them runs code, reads the environment or leads out of its folder.

Each attack leaves a file, the canary, if anything of it ran. Those on ``verify`` are in tests/unit/test_verify.py.
"""

import pytest
import yaml
from own_conf import own_conf

from nas_lightning.config.compose import compose_config, config_yaml

QUICK = ("experiment=quick", "callbacks=none", "export.int8=false", "training.enable=false")


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


SECTIONS = ("augmentation.x", "callbacks.progress_bar", "search.relaxation", "optimizer", "trainer", "data.front_end")


def sent_yaml(path, canary, section):
    """A call of a function that evaluates a text; outside of augmentation no new argument can be set."""
    content = {"_target_": "sympy.sympify"}
    if section == "augmentation.x":
        content["a"] = f"__import__('pathlib').Path('{canary}').touch()"
    for part in reversed(section.split(".")):
        content = {part: content}
    path.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("command", [(), ("inspect",), ("-m", "seed=0,1")], ids=["run", "inspect", "sweep"])
def test_a_sent_yaml_runs_nothing(cli, tmp_path, canary, command, section):
    sent_yaml(tmp_path / "sent.yaml", canary, section)
    first, *rest = command or ("",)
    words = [first, "sent.yaml"] if first == "inspect" else ["sent.yaml", first, *rest] if first else ["sent.yaml"]
    status, _, err = cli(*words)
    assert status == 2
    assert "found sympy.sympify; allowed: " in err
    assert not canary.exists()
    assert not list(tmp_path.glob("outputs/*/*/config.yaml"))


TARGETS = {
    "joblib.load": {"filename": "{folder}/evil.pkl"},
    "pandas.read_pickle": {"filepath_or_buffer": "{folder}/evil.pkl"},
    "nas_lightning.export.host.make": {"firmware": "{folder}", "build": "{folder}", "target": "all"},
}


class _Evil:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        import pathlib

        return pathlib.Path.touch, (pathlib.Path(self.canary),)


@pytest.mark.parametrize("target", TARGETS)
def test_a_sent_run_folder_runs_nothing_when_it_is_resumed(cli, tmp_path, canary, target):
    import pickle

    folder = tmp_path / "sent"
    folder.mkdir()
    (folder / "evil.pkl").write_bytes(pickle.dumps(_Evil(str(canary))))
    (folder / "Makefile").write_text(f"$(shell touch {canary})\nall:\n")
    content = yaml.safe_load(config_yaml(compose_config(list(QUICK))))
    arguments = {name: text.format(folder=folder) for name, text in TARGETS[target].items()}
    content["callbacks"] = {"x": {"_target_": target, **arguments}}
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    status, _, err = cli("resume=sent")
    assert status == 2
    assert f"callbacks.x._target_: found {target}; allowed: " in err
    assert not canary.exists()


def test_a_sent_sweep_says_nothing_of_how_its_runs_are_launched(cli, tmp_path, canary):
    folder = tmp_path / "sent"
    folder.mkdir()
    attack = {"_target_": "sympy.sympify", "a": f"__import__('pathlib').Path('{canary}').touch()"}
    sweeper = {"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"}
    hydra = {"sweeper": sweeper, "sweep": {"subdir": "${hydra.job.num}"}, "runtime": {"cwd": str(tmp_path)}}
    for tasks in (["hydra.callbacks.x._target_=sympy.sympify"], ["+callbacks.x={_target_: sympy.sympify}"]):
        content = {"hydra": {**hydra, "overrides": {"task": ["seed=0,1", *tasks]}, "launcher": attack}}
        (folder / "multirun.yaml").write_text(yaml.safe_dump(content))
        status, _, err = cli("resume=sent")
        assert status == 2, err
        assert not canary.exists()
    for subdir in ("../../out", "${oc.env:HOME}", "/tmp/x"):
        content = {"hydra": {**hydra, "overrides": {"task": ["seed=0"]}, "sweep": {"subdir": subdir}}}
        (folder / "multirun.yaml").write_text(yaml.safe_dump(content))
        status, _, err = cli("resume=sent")
        assert status == 2
        assert "multirun.yaml: sets " in err


def test_a_folder_of_configuration_is_code_and_allows_what_it_names(cli, tmp_path, monkeypatch):
    """Given by ``--config-dir`` it is the user's own (docs/security.md); without it its target is refused."""
    (tmp_path / "mine_stop.py").write_text(
        "import lightning as L, pathlib\nclass Mark(L.Callback):\n"
        f"    def on_fit_start(self, trainer, module): pathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
        "class NoCallback: pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own_conf(tmp_path / "mine", "mine_stop.Mark")
    status, _, err = cli(*QUICK, "+callbacks.own._target_=mine_stop.Mark")
    assert (status, "found mine_stop.Mark; allowed" in err) == (2, True)
    status, _, err = cli("--config-dir", "mine", "experiment=quick", "callbacks=own", *QUICK[2:])
    assert status == 0, err
    assert (tmp_path / "ran").exists()


def test_a_callback_must_be_a_callback(cli, tmp_path, monkeypatch):
    (tmp_path / "mine_other.py").write_text("class NoCallback:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    own_conf(tmp_path / "mine", "mine_other.NoCallback")
    status, _, err = cli("--config-dir", "mine", "experiment=quick", "callbacks=own", *QUICK[2:])
    assert status == 2
    assert "callbacks.own: found a NoCallback; allowed: what makes a Callback" in err


SECRET = "a secret of the receiver"


@pytest.mark.parametrize(
    "value", ["${oc.env:SECRET}", "\\${oc.env:SECRET}", "\\\\${oc.env:SECRET}", "a'${oc.env:SECRET}"]
)
def test_an_environment_variable_does_not_get_into_what_is_sent_back(cli, tmp_path, monkeypatch, value):
    monkeypatch.setenv("SECRET", SECRET)
    (tmp_path / "sent.yaml").write_text(yaml.safe_dump({"device": {"note": value}}))
    status, _, err = cli("sent.yaml", *QUICK, "hydra.run.dir=run")
    assert status == 0, err
    text = (tmp_path / "run" / "config.yaml").read_text()
    assert SECRET not in text
    assert yaml.safe_load(text)["device"]["note"] == value
    (tmp_path / "run" / "started.json").unlink()
    content = yaml.safe_load(text)
    content["search"]["name"] = content["device"]["note"] = value
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(content))
    status, _, err = cli("resume=run")
    assert status == 0, err
    found = [path for path in (tmp_path / "run").rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert found == []


@pytest.mark.parametrize("name", ["../up", "a/../../up", "/tmp/up", "..", "C:up", "a,../up"])
def test_the_name_of_a_run_stays_below_its_folder(cli, tmp_path, name):
    (tmp_path / "sent.yaml").write_text(yaml.safe_dump({"common": {"run_name": name}}))
    for words in (["sent.yaml"], [f"common.run_name={name}"], ["inspect", "sent.yaml"]):
        status, _, err = cli(*words)
        assert status == 2
        assert "error: common.run_name: found " in err
        assert [path.name for path in tmp_path.iterdir()] == ["sent.yaml"]


@pytest.mark.parametrize(
    "text",
    [
        "common: " + "[" * 5000,
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\naugmentation: {f: [*e,*e,*e]}\n",
        "common: !!python/object/apply:os.system ['touch canary']",
        "common: {run_name: !!python/name:os.system }",
        "hydra: {run: {dir: /tmp/x}}",
        "x" * (2 << 20),
    ],
    ids=["brackets", "laughs", "object", "name", "hydra", "huge"],
)
@pytest.mark.parametrize("name", ["sent.yaml", "run/config.yaml", "run/multirun.yaml"])
def test_hostile_yaml_ends_in_one_sentence(cli, tmp_path, canary, name, text):
    (tmp_path / "run").mkdir()
    (tmp_path / name).write_text(text)
    status, _, err = cli(name if name == "sent.yaml" else "resume=run")
    assert status == 2, err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert name in err or "unknown key" in err
    assert not canary.exists()


GROUPS = (
    "data_processing_feature_extraction.feature_extraction_name", "training.nas_model_size", "common.target_device",
    "common.task_type", "data", "model", "optimizer", "scheduler", "trainer", "logger", "callbacks", "augmentation",
    "search",
)  # fmt: skip


@pytest.mark.parametrize("group", GROUPS)
def test_an_option_of_a_group_is_no_path(cli, tmp_path, canary, group):
    """Hydra would take it for a file, read the same file again as its own, and make what stands in it."""
    content = {"augmentation": {"_target_": "sympy.sympify", "a": f"__import__('pathlib').Path('{canary}').touch()"}}
    path = "../" * 20 + f"{tmp_path}/sent"
    for part in reversed(group.split(".")):
        path = {part: path}
    if group == "augmentation":
        content = {}
    (tmp_path / "sent.yaml").write_text("# @package hydra.callbacks\n" + yaml.safe_dump(content | path))
    for words in (["sent.yaml"], ["inspect", "sent.yaml"], ["sent.yaml", "-m", "seed=0,1"]):
        status, _, err = cli(*words)
        assert status == 2
        assert "allowed: the name of an option, without a path" in err
        assert not canary.exists()


def sent_sweep(folder, tasks, subdir="${hydra.job.num}"):
    folder.mkdir(exist_ok=True)
    sweeper = {"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"}
    hydra = {"sweeper": sweeper, "sweep": {"subdir": subdir}, "runtime": {"cwd": "/nowhere"}}
    (folder / "multirun.yaml").write_text(yaml.safe_dump({"hydra": hydra | {"overrides": {"task": tasks}}}))


@pytest.mark.parametrize(
    "task",
    [
        "--config-dir=sent/conf", "--cfg", "--info=all", "-m", "job", "hydra.sweep.dir=/tmp", "+hydra.callbacks.x=1",
        "callbacks@hydra.callbacks=none", "hydra/launcher=basic", "device.note=${oc.env:SECRET}",
        "device.note='${${device.name}.env:SECRET}'", "device.note=\\\\${oc.env:SECRET}",
        'device.note="${oc.env:SECRET}"',
        "device.note='a' ${oc.env:SECRET} 'b'", "search=../../sent/x",
    ],
)  # fmt: skip
def test_a_sent_sweep_sets_keys_of_runs_and_nothing_else(cli, tmp_path, task):
    sent_sweep(tmp_path / "sent", [task, *QUICK])
    status, _, err = cli("resume=sent")
    assert (status, err.count("\n")) == (2, 1)
    assert "multirun.yaml: sets " in err or "without a path" in err
    assert [path.name for path in (tmp_path / "sent").iterdir()] == ["multirun.yaml"]


def test_a_sweep_writes_below_its_folder(cli, tmp_path):
    sent_sweep(tmp_path / "sent", [f"device.note={tmp_path}/out", *QUICK], "${device.note}")
    assert cli("resume=sent")[0] == 2
    sent_sweep(tmp_path / "sent", list(QUICK))
    (tmp_path / "out").mkdir()
    (tmp_path / "sent" / "0").symlink_to(tmp_path / "out")
    status, _, err = cli("resume=sent")
    assert (status, err) == (2, f"error: {'sent/0'}: is a link; allowed in the folder of a sweep: files and folders\n")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("name", ["config.yaml.tmp", "started.json", "run.log", "annotations", "checkpoints", "a/b/c"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_link_in_a_sent_run_folder_is_refused(cli, tmp_path, name, kind):
    import os

    folder, outside = tmp_path / "sent", tmp_path / "outside"
    folder.mkdir()
    outside.write_text("kept")
    (folder / "config.yaml").write_text(config_yaml(compose_config(list(QUICK))))
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).symlink_to(outside) if kind == "link" else os.mkfifo(folder / name)
    status, _, err = cli("resume=sent")
    assert (status, err) == (
        2, f"error: sent/{name}: is a link or no regular file; allowed in a run folder: files and folders\n",
    )  # fmt: skip
    assert outside.read_text() == "kept"


def test_a_file_beside_the_target_is_never_followed(tmp_path):
    from nas_lightning.files import write_text

    (tmp_path / "outside").write_text("kept")
    (tmp_path / "x.tmp").symlink_to(tmp_path / "outside")
    write_text(tmp_path / "x", "new")
    assert (tmp_path / "outside").read_text() == "kept"
    assert (tmp_path / "x").read_text() == "new"
    assert not (tmp_path / "x").is_symlink()


@pytest.mark.parametrize(
    "change",
    [
        {"search": {}}, {"data": {}}, {"search": {"_partial_": True}}, {"data": {"_partial_": True}},
        {"search": {"_target_": "lightning.pytorch.callbacks.Timer"}},
        {"logger": {"_target_": "lightning.pytorch.loggers.TensorBoardLogger", "name": "t", "_partial_": True}},
        {"trainer": {}}, {"trainer": {"_partial_": True}}, {"callbacks": {"x": 5}}, {"search": {"name": b"hi"}},
        {"seed": "huge"}, {"device": {"note": "\ud800"}}, {"device": {"note": "a\0b"}},
    ],
    ids=lambda change: str(change)[:60],
)  # fmt: skip
def test_a_configuration_of_odd_parts_is_named(cli, tmp_path, change):
    (tmp_path / "sent").mkdir()
    content = yaml.safe_load(config_yaml(compose_config([*QUICK, "logger=none"])))
    for section, value in change.items():
        content[section] = content[section] | value if isinstance(value, dict) and value else value
    text = yaml.safe_dump(content).replace("seed: huge", "seed: 0x" + "f" * 6000)
    (tmp_path / "sent" / "config.yaml").write_text(text)
    status, _, err = cli("resume=sent")
    assert (status, err.count("\n")) == (2, 1), err
