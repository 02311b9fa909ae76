"""What programs and other people read of a run: answers in JSON, schemas, the model card, the bill of materials."""

import getpass
import hashlib
import json
import re
import signal
import socket
import time
import zipfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from jsonschema import Draft202012Validator, ValidationError
from own_conf import own_conf
from programs import ended, launch

from nas_lightning import schemas
from nas_lightning.__main__ import _COMMANDS
from nas_lightning.export.host import missing_tools
from nas_lightning.export.sbom import bill_of_materials

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


def archived(folder):
    with zipfile.ZipFile(folder / "deploy.zip") as archive:
        return {name: archive.read(name).decode() for name in ("MODEL_CARD.md", "sbom.json", "SHA256SUMS")}


def head_and_body(card):
    _, head, body = re.split(r"^---\n", card, maxsplit=2, flags=re.MULTILINE)
    return yaml.safe_load(head), body


# Of each command: arguments that go well, where {run} is the folder of a run, and keys of its answer.
RECORDINGS = Path(find_spec("aeon").origin).parent / "datasets/data/BasicMotions/BasicMotions_TEST.ts"
EXAMPLES = {
    "card": (["{run}", "out=card.md"], {"card"}),
    "devices": ([], {"devices"}),
    "evaluate": (["{run}", str(RECORDINGS), "dataset.similar_labels=merge"], {"classes", "int8", "drift"}),
    "inspect": (["hydra.run.dir=looked"], {"folder", "classes", "lengths", "channels", "samples", "warnings"}),
    "predict": (["{run}", str(RECORDINGS)], {"predictions", "classes", "notes"}),
    "report": (["{run}"], {"report"}),
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
            (["budget.params=1"], 3, "budget: no outline"),
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
        status, out, _ = cli("resume=sweep", "output=json")
        assert (status, json.loads(out)) == (0, answer)

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


class TestCard:
    """``nas-lightning card``, and ``MODEL_CARD.md`` of the archive."""

    def test_the_head_holds_the_figures_of_the_run(self, made):
        head, _ = head_and_body(archived(made[0])["MODEL_CARD.md"])
        metrics = read(made[0], "metrics.json")
        assert (head["license"], head["pipeline_tag"], head["library_name"]) == ("unknown", "other", "nas-lightning")
        assert {"time-series-classification", "onnx"} <= set(head["tags"])
        assert head["metrics"] == ["accuracy", "balanced_accuracy", "f1"]
        [model] = head["model-index"]
        [result] = model["results"]
        assert result["dataset"] == {"type": "BasicMotions", "name": "BasicMotions", "split": "test"}
        found = {each["name"]: each["value"] for each in result["metrics"]}
        assert found == {
            "Accuracy": metrics["test"]["accuracy"],
            "Balanced accuracy": metrics["test"]["balanced_accuracy"],
            "Macro F1": metrics["test"]["macro_f1"],
            "Accuracy (int8)": metrics["test_int8"]["accuracy"],
            "Balanced accuracy (int8)": metrics["test_int8"]["balanced_accuracy"],
            "Macro F1 (int8)": metrics["test_int8"]["macro_f1"],
        }

    def test_the_body_says_what_was_measured_on_what(self, made):
        _, body = head_and_body(archived(made[0])["MODEL_CARD.md"])
        metrics, cost = read(made[0], "metrics.json"), read(made[0], "cost.json")
        for split, numbers, figures, count in (("test", "float", "test", 40), ("val", "int8", "val_int8", 10)):
            values = " | ".join(f"{metrics[figures][key]:.4f}" for key in ("accuracy", "balanced_accuracy", "macro_f1"))
            assert f"| {split} | {numbers} | {count} recordings | {values} |" in body
        assert "| test | as the data came | 40 | 4,000 | not known |" in body
        assert "| train | whole recordings, drawn at random | 30 | 3,000 | not known |" in body
        assert f"| parameters | {cost['params']:,} |" in body
        assert f"Verdict: {metrics['control']['verdict']}." in body
        assert "begin yours where a recording would begin" in body
        assert "| device | MSPM0G3507 |" in body
        assert f"on all {metrics['firmware']['int8_samples']} samples of `test`" in body

    def test_the_command_writes_the_card_of_the_archive(self, made, cli, tmp_path):
        status, out, _ = cli("card", made[0], "out=card.md")
        assert (status, out) == (0, "card: card.md\n")
        assert (tmp_path / "card.md").read_text() == archived(made[0])["MODEL_CARD.md"]
        assert cli("card", made[0], "out=card.md")[0] == 0  # the same once more
        status, _, err = cli("card", made[0], "out=card.md", "license=mit")
        assert (status, err) == (2, "error: out: card.md is there, with another content; allowed: a file that is not "
                                    "there yet; remove it to make the card anew\n")  # fmt: skip
        assert cli("card", made[0], "out=mit.md", "license=mit")[0] == 0
        assert head_and_body((tmp_path / "mit.md").read_text())[0]["license"] == "mit"

    def test_it_goes_into_the_run_folder_where_nothing_else_is_said(self, made, cli):
        assert cli("card", made[0])[0] == 0
        assert (made[0] / "README.md").read_text() == archived(made[0])["MODEL_CARD.md"]

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ([], "card: takes the folder of one run, and out= and license= alone; found []"),
            (["{run}", "licence=mit"], "card: takes the folder of one run, and out= and license= alone; found "),
            (["{run}", "license=My Own"], "license: found My Own; allowed: an identifier of Hugging Face's hub, "),
            (["nowhere"], "card: nowhere holds no run that ended; give the folder of one"),
            (["{run}", "out=no/card.md"], "out: no/card.md cannot be written (No such file or directory)"),
        ],
    )
    def test_a_mistake_is_a_sentence(self, made, cli, tmp_path, arguments, text):
        status, out, err = cli("card", *(word.format(run=made[0]) for word in arguments))
        assert (status, out) == (2, "")
        assert err.startswith(f"error: {text}")
        assert not list(tmp_path.rglob("*.md"))


class TestBillOfMaterials:
    """``sbom.json`` of the archive."""

    def test_it_is_valid_by_the_schema_of_the_format(self, made):
        text = archived(made[0])["sbom.json"]
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
        assert json.loads(text)["specVersion"] == "1.6"

    def test_every_file_of_the_firmware_is_in_it_with_its_digest(self, made):
        run, content = made[0], json.loads(archived(made[0])["sbom.json"])
        files = {each["name"]: each for each in content["components"] if each["type"] == "file"}
        paths = {path.relative_to(run).as_posix(): path for path in (run / "firmware").rglob("*") if path.is_file()}
        assert files.keys() == paths.keys()
        for name, path in paths.items():
            assert files[name]["hashes"] == [
                {"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}
            ]
        wrote = {name: file["properties"][0]["value"] for name, file in files.items()}
        own = f"nas-lightning {version('nas-lightning')}"
        assert wrote["firmware/model.c"] == f"emx-onnx-cgen {version('emx-onnx-cgen')}, changed by {own}"
        assert wrote["firmware/main.c"] == own
        assert files["firmware/model.c"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
        assert "licenses" not in files["firmware/vectors.h"]
        identity = read(run, "input.json")["identity"]
        assert content["metadata"]["component"]["version"] == identity
        assert "timestamp" not in content["metadata"]

    def test_the_packages_are_those_that_are_needed_here(self, made):
        content = json.loads(archived(made[0])["sbom.json"])
        packages = {each["name"]: each for each in content["components"] if each["type"] == "library"}
        assert {"torch", "numpy", "hydra-core", "omegaconf", "antlr4-python3-runtime", "onnx"} <= packages.keys()
        assert not packages.keys() & {"pytest", "ruff", "mypy", "nbclient", "ray", "mkdocs"}
        for name, package in packages.items():
            assert package["version"] == version(name)
            assert package["scope"] == "excluded"
        assert packages["numpy"]["purl"] == f"pkg:pypi/numpy@{version('numpy')}"
        needs = {each["ref"]: each.get("dependsOn", []) for each in content["dependencies"]}
        assert packages["omegaconf"]["purl"] in needs[packages["hydra-core"]["purl"]]
        assert packages["msgspec"]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]

    def test_equal_content_gives_equal_bytes_and_nothing_of_the_machine(self, made):
        run, text = made[0], archived(made[0])["sbom.json"]
        identity = read(run, "input.json")["identity"]
        assert json.loads(text) == bill_of_materials(run, identity)
        other = bill_of_materials(run, "another")
        assert other["serialNumber"] != json.loads(text)["serialNumber"]
        places = [socket.gethostname(), getpass.getuser(), str(Path.home()), str(run), str(Path.cwd()), "site-packages"]
        assert [place for place in places if re.search(rf"\b{re.escape(place)}\b", text)] == []
        assert str(run.parent) not in archived(run)["MODEL_CARD.md"]

    def test_the_checksums_cover_both(self, made):
        sums = archived(made[0])["SHA256SUMS"]
        for name in ("MODEL_CARD.md", "sbom.json"):
            assert f"{hashlib.sha256(archived(made[0])[name].encode()).hexdigest()}  {name}\n" in sums
