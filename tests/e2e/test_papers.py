"""What programs read of a run: answers in JSON, and the schemas of its files."""

import json
import signal
import time

import pytest
from jsonschema import Draft202012Validator, ValidationError
from own_conf import own_conf
from programs import ended, launch

from nas_lightning import schemas
from nas_lightning.__main__ import _COMMANDS
from nas_lightning.export.host import missing_tools

SMALL = ("experiment=quick", "callbacks=none", "logger=none", "selection.candidates=1", "control.num_random=0")
TROUBLE = """
import lightning as L
class Trouble(L.Callback):
    def __init__(self, marker):
        pass
    def on_train_epoch_start(self, trainer, module):
        raise RuntimeError("trouble")
"""

pytestmark = pytest.mark.skipif(bool(missing_tools()), reason="there is no gcc or make")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a run with firmware, and what the program that made it left on stdout and stderr."""
    folder = tmp_path_factory.mktemp("papers")
    arguments = ("experiment=quick", "control.num_random=1", "compilation.enable=true", "target_device=MSPM0G3507")
    status, out, err = ended(launch(*arguments, "hydra.run.dir=run", "output=json", folder=folder))
    assert status == 0, err
    return folder / "run", out, err


def read(folder, name):
    return json.loads((folder / name).read_text())


# Of each command: arguments that go well, where {run} is the folder of a run, and keys of its answer.
EXAMPLES = {
    "devices": ([], {"devices"}),
    "inspect": (["hydra.run.dir=looked"], {"folder", "classes", "lengths", "channels", "samples", "warnings"}),
    "verify": (["{run}/deploy.zip"], {"archive", "tests"}),
}


class TestAnswers:
    """``output=json``: one JSON object on stdout, and nothing else."""

    def test_a_run_answers_with_its_figures(self, made):
        run, out, err = made
        assert json.loads(out) == {
            "folder": str(run),
            "metrics": read(run, "metrics.json"),
            "cost": read(run, "cost.json"),
        }
        assert "test accuracy" in err

    def test_every_command_has_an_example(self):
        assert EXAMPLES.keys() == _COMMANDS.keys()

    @pytest.mark.parametrize("command", sorted(_COMMANDS))
    def test_every_command_answers_in_json(self, made, cli, command):
        arguments, keys = EXAMPLES[command]
        status, out, err = cli(command, *(word.format(run=made[0]) for word in arguments), "output=json")
        assert status == 0, err
        assert json.loads(out).keys() >= keys

    @pytest.mark.parametrize("command", sorted(_COMMANDS))
    def test_every_command_answers_a_mistake_in_json(self, cli, command):
        status, out, err = cli(command, "--nonsense", "output=json")
        assert status == 2
        assert json.loads(out) == {"error": err.removeprefix("error: ").rstrip("\n"), "status": 2}
        plain = cli(command, "--nonsense")
        assert plain == (2, "", err)

    @pytest.mark.parametrize(
        ("arguments", "status", "text"),
        [
            (["serach=darts"], 2, "command line: unknown key 'serach'; the nearest known key is 'search'"),
            (["budget.params=1"], 3, "budget: no network"),
            (["--cfg", "job"], 2, "output: found json; allowed for arguments that only ask for a text: text"),
            (["--help"], 2, "output: found json; allowed for arguments that only ask for a text: text"),
            (["--unknown"], 2, "ended with status 2, and stderr says why"),
            (["-m", "seed=0,1", "training.patience=7"], 2, "2 runs of the sweep have no result: run 0: "),
        ],
    )
    def test_a_mistake_of_a_run_is_one_object(self, cli, arguments, status, text):
        found, out, _ = cli(*arguments, "output=json")
        answer = json.loads(out)
        assert (found, answer.keys()) == (status, {"error", "status"})
        assert answer["status"] == status
        assert answer["error"].startswith(text)

    def test_other_outputs_are_refused(self, cli):
        assert cli("devices", "output=xml") == (2, "", "error: output: found xml; allowed: text, json\n")
        assert cli("devices", "output=text") == cli("devices")

    def test_a_sweep_answers_with_its_rows(self, cli, tmp_path):
        status, out, err = cli("-m", "seed=0,1", *SMALL, "training.nas_epochs=1", "training.enable=false",
                               "hydra.sweep.dir=sweep", "output=json")  # fmt: skip
        assert status == 0, err
        answer = json.loads(out)
        assert answer["folder"] == str(tmp_path / "sweep")
        assert [(row["folder"], row["accuracy"], row["error"]) for row in answer["runs"]] == [
            ("0", None, None),
            ("1", None, None),
        ]

    @pytest.mark.slow
    def test_runs_in_other_processes_print_nothing_into_it(self, tmp_path):
        arguments = ("-m", "seed=0,1", *SMALL, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "output=json")
        status, out, err = ended(launch(*arguments, folder=tmp_path))
        assert status == 0, err
        assert [row["seed"] for row in json.loads(out)["runs"]] == [0, 1]

    def test_what_nobody_expects_is_one_object_too(self, cli, tmp_path, monkeypatch):
        (tmp_path / "raiser.py").write_text(TROUBLE)
        monkeypatch.syspath_prepend(tmp_path)
        own_conf(tmp_path / "mine", "raiser.Trouble")
        raiser = f"+callbacks.own={{_target_: raiser.Trouble, marker: {tmp_path}}}"
        status, out, _ = cli("--config-dir", "mine", *SMALL, "-m", "seed=0", raiser, "output=json")
        assert status == 1
        assert "unexpected RuntimeError: trouble" in json.loads(out)["error"]

    @pytest.mark.slow
    def test_an_interrupted_run_says_how_to_go_on(self, program, tmp_path):
        process = program(*SMALL, "training.training_epochs=200", "hydra.run.dir=run", "output=json")
        while not (tmp_path / "run/checkpoints").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        status, out, err = ended(process)
        text = f"interrupted; go on with: nas-lightning resume={tmp_path / 'run'}"
        assert (status, json.loads(out)) == (1, {"error": text, "status": 1})
        assert err.rstrip().endswith(text)


class TestSchemas:
    """The files of a run are as the schemas that are shipped say."""

    @pytest.mark.parametrize("name", schemas.NAMES)
    def test_a_file_of_a_run_is_valid(self, made, name):
        content, schema = read(made[0], f"{name}.json"), schemas.schema(name)
        Draft202012Validator(schema).validate(content)
        record = schema["$defs"][schema["$ref"].rpartition("/")[2]]
        assert content.keys() <= record["properties"].keys()

    @pytest.mark.parametrize("name", schemas.NAMES)
    def test_a_file_without_a_key_that_is_needed_is_not(self, made, name):
        content, schema = read(made[0], f"{name}.json"), schemas.schema(name)
        record = schema["$defs"][schema["$ref"].rpartition("/")[2]]
        for key in record["required"]:
            with pytest.raises(ValidationError):
                Draft202012Validator(schema).validate({k: value for k, value in content.items() if k != key})
