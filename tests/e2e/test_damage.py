"""Every file of a run folder, damaged in every way: one sentence that names it, or the result of an unbroken run."""

import contextlib
import json
import os
import shutil

import lightning as L
import numpy as np
import pytest
import torch
from torture import without_times

import nas_lightning
from nas_lightning.config.compose import compose_config
from nas_lightning.errors import InputError
from nas_lightning.runs.fitting import read_checkpoint
from nas_lightning.runs.modes import run as run_config

SMALL = (
    "experiment=quick", "callbacks=none", "training.nas_epochs=1", "training.training_epochs=2",
    "selection.candidates=2", "control.num_random=1", "export.int8=false", "logger=csv",
)  # fmt: skip
STATES = ("metrics.json", "cost.json", "genotype.json", "model.onnx")


def cut(path, random):
    os.truncate(path, random.integers(1, max(2, path.stat().st_size)))


def empty(path, random):
    os.truncate(path, 0)


def garble(path, random):
    """Bytes that are no UTF-8, in the middle."""
    content = bytearray(path.read_bytes())
    start = random.integers(len(content))
    content[start : start + 40] = random.integers(128, 255, 40, np.uint8).tobytes()
    path.write_bytes(bytes(content))


def other_kind(path, random):
    """What is right as a file, and of another kind: JSON for YAML, a list for an object, an image for weights."""
    path.write_bytes(b"[1, 2]" if path.suffix != ".json" or random.integers(2) else b'{"a": {"b": null}}')


def folder_instead(path, random):
    path.unlink()
    path.mkdir()


DAMAGES = (cut, empty, garble, other_kind, folder_instead)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A run that ended, and the same without its last file, as if it had been killed there."""
    place = tmp_path_factory.mktemp("ended") / "run"
    run_config(compose_config([*SMALL]), place)
    return place


def results(folder):
    found = {name: (folder / name).read_bytes() for name in STATES}
    for name in ("metrics.json", "cost.json"):
        found[name] = without_times(json.loads(found[name]))
    return found


def unfinished(ended, folder):
    """The run as it is when it is killed behind its trainings."""
    shutil.copytree(ended, folder)
    sections = json.loads((folder / "metrics.json").read_text())
    kept = {
        name: value for name, value in sections.items() if name in ("preset", "dataset", "seed", "search", "control")
    }
    (folder / "metrics.json").write_text(json.dumps(kept))
    return folder


def files_of(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


READ_BY_RESUME = {"config.yaml", "started.json", "searches.json", "contest.json", "metrics.json"}
READ_BY_LOAD = {"input.json", "preparation.json", "genotype.json", "model.pt"}


@pytest.mark.slow
def test_every_file_damaged_before_a_resume(ended, cli, tmp_path):
    """Found by listing; a damaged file is named in one sentence, or the result is that of the whole run."""
    random, expected, outcomes = np.random.default_rng(0), results(ended), {}
    for name in files_of(unfinished(ended, tmp_path / "model")):
        for damage in DAMAGES if name in READ_BY_RESUME or "checkpoints" in name else (garble, folder_instead):
            folder = unfinished(ended, tmp_path / "run")
            damage(folder / name, random)
            status, _, err = cli(f"resume={folder}")
            case = f"{damage.__name__} {name}"
            if status == 0:
                assert results(folder) == expected, case
            else:
                assert status == 2 or (status == 1 and damage is folder_instead), f"{case}: {err}"
                last = err.strip().splitlines()[-1]
                assert last.startswith("error: "), f"{case}: {err}"
                assert folder.name in last, case
                assert name.split("/")[-1] in last or "has no config.yaml" in last, f"{case}: {last}"
                assert "Traceback" not in err, case
            outcomes.setdefault(status, []).append(case)
            shutil.rmtree(folder)
    assert {case.split()[1] for case in outcomes[2]} >= READ_BY_RESUME
    again = [case for case in outcomes[0] if "checkpoints" in case]
    assert len(again) >= 3 * len(DAMAGES)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_every_file_damaged_before_a_load(ended, tmp_path, damage):
    random, named = np.random.default_rng(1), set()
    expected = nas_lightning.load(ended).state_dict()
    for name in files_of(ended):
        folder = shutil.copytree(ended, tmp_path / "run")
        damage(folder / name, random)
        try:
            found = nas_lightning.load(folder).state_dict()
        except InputError as error:
            named.add(name if name in str(error) and "\n" not in str(error) else str(error))
        else:
            assert all(torch.equal(found[key], expected[key]) for key in expected)
        shutil.rmtree(folder)
    assert named == READ_BY_LOAD


@pytest.mark.parametrize(
    "change",
    [
        {"normal": [["conv_bn_relu_3x1", 99]] * 4}, {"normal": [["os.system", 0]] * 4}, {"size": {"layers": -1}},
        {"size": {}}, {"task": {"in_channels": "6"}}, {"task": None}, {"normal": []}, {"size": {"layers": 1e9}},
    ],
    ids=str,
)  # fmt: skip
def test_a_genotype_that_cannot_be_a_network_is_named(ended, tmp_path, change):
    folder = shutil.copytree(ended, tmp_path / "run")
    content = json.loads((folder / "genotype.json").read_text())
    for key, value in change.items():
        content[key] = content[key] | value if isinstance(value, dict) and value else value
    (folder / "genotype.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"run/genotype\.json: "):
        nas_lightning.load(folder)


def test_weights_of_another_network_and_bits_that_fell_over_are_named(ended, tmp_path):
    folder = shutil.copytree(ended, tmp_path / "run")
    weights = torch.load(folder / "model.pt", weights_only=True)
    torch.save({name: value.flatten()[:0] for name, value in weights.items()}, folder / "model.pt")
    with pytest.raises(InputError, match=r"run/model\.pt: cannot be read"):
        nas_lightning.load(folder)
    content = bytearray((ended / "model.pt").read_bytes())
    place = content.index(weights["head.weight"].numpy().tobytes())
    content[place] ^= 1  # the least bit of one weight
    (folder / "model.pt").write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"run/model\.pt: .*checksum"):
        nas_lightning.load(folder)


def test_a_pickle_in_the_place_of_weights_runs_nothing(ended, tmp_path):
    import pathlib
    import pickle

    class Evil:
        def __reduce__(self):
            return pathlib.Path.touch, (tmp_path / "canary",)

    folder = shutil.copytree(ended, tmp_path / "run")
    for content in (pickle.dumps(Evil()), b""):
        (folder / "model.pt").write_bytes(content)
        with pytest.raises(InputError, match=r"run/model\.pt: cannot be read"):
            nas_lightning.load(folder)
    with contextlib.suppress(Exception):
        torch.save(Evil(), folder / "model.pt")
    with pytest.raises(InputError, match=r"run/model\.pt: cannot be read"):
        nas_lightning.load(folder)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("name", ["a/b", "run[/red]", "run [bold]x", "run|x"])
def test_a_run_in_a_folder_of_any_name(cli, tmp_path, name):
    """Markup in a name ended a whole run in a traceback."""
    status, _, err = cli(*SMALL, "training.nas_enabled=false", "selection.candidates=1", f"hydra.run.dir='{name}'")
    assert status == 0, err
    assert (tmp_path / name / "metrics.json").is_file()


ODD = [
    ("searches.json", lambda rows: [rows[0] | {"seconds": "x"}]),
    ("searches.json", lambda rows: [rows[0] | {"epochs": None}]),
    ("searches.json", lambda rows: [rows[0] | {"genotypes": []}]),
    ("searches.json", lambda rows: [rows[0] | {"seed": "q"}]),
    ("searches.json", lambda rows: [rows[0] | {"seed": 7}]),
    ("searches.json", lambda rows: rows * 3),
    ("contest.json", lambda rows: [row | {"val": row["val"] | {"accuracy": 7.0}} for row in rows]),
    ("contest.json", lambda rows: [row | {"val": {}} for row in rows]),
    ("contest.json", lambda rows: [[]]),
    ("started.json", lambda content: content | {"config": content["config"] | {"seed": "\ud800"}}),
]


@pytest.mark.parametrize(("name", "change"), ODD, ids=[f"{name}-{i}" for i, (name, _) in enumerate(ODD)])
def test_what_no_run_writes_is_named(ended, cli, tmp_path, name, change):
    folder = unfinished(ended, tmp_path / "run")
    (folder / name).write_text(json.dumps(change(json.loads((folder / name).read_text()))))
    status, _, err = cli("resume=run")
    assert (status, err.count("\n")) == (2, 1), err
    assert err.startswith(f"error: run/{'config.yaml' if name == 'started.json' else name}: ")


@pytest.mark.parametrize("name", ["searches.json", "contest.json", "metrics.json", "started.json"])
def test_json_has_no_nan(ended, cli, tmp_path, name):
    folder = unfinished(ended, tmp_path / "run")
    text = (folder / name).read_text()
    start = text[0]
    (folder / name).write_text('{"x": NaN,' + text[1:] if start == "{" else "[NaN," + text[1:])
    status, _, err = cli("resume=run")
    assert (status, err.count("\n")) == (2, 1), err
    assert f"error: run/{name}: " in err
    assert "found NaN, which is no JSON" in err


@pytest.mark.parametrize(
    "change",
    [
        lambda content: {"state_dict": content["state_dict"]}, lambda content: content | {"loops": 5},
        lambda content: content | {"callbacks": 5}, lambda content: content | {"optimizer_states": {"a": 1}},
        lambda content: content | {"pytorch-lightning_version": 5}, lambda content: content | {"epoch": None},
        lambda content: [content],
    ],
)  # fmt: skip
def test_a_checkpoint_of_odd_parts_is_as_good_as_none(ended, tmp_path, change, caplog):
    module, content = L.LightningModule(), torch.load(ended / "checkpoints/training/last.ckpt", weights_only=True)
    module.network = nas_lightning.load(ended)
    torch.save(content, tmp_path / "whole.ckpt")
    assert read_checkpoint(tmp_path / "whole.ckpt", module).keys() == content.keys()
    torch.save(change(content), tmp_path / "odd.ckpt")
    with caplog.at_level("WARNING", "nas_lightning"):
        assert read_checkpoint(tmp_path / "odd.ckpt", module) is None
    (message,) = caplog.messages
    assert "odd.ckpt: cannot be read; it is damaged or another kind of file" in message


@pytest.mark.parametrize("file", ["last.ckpt", "best.ckpt"])
def test_a_checkpoint_of_odd_parts_begins_its_fit_again(ended, cli, tmp_path, file):
    folder = unfinished(ended, tmp_path / "run")
    path = folder / "checkpoints" / "training" / file
    torch.save(torch.load(path, weights_only=True) | {"loops": 5}, path)
    status, _, err = cli("resume=run")
    assert status == 0, err
    assert f"training/{file}: cannot be read; it is damaged or another kind of file" in err
    assert results(folder) == results(ended)


@pytest.mark.slow
def test_a_damaged_candidate_is_not_left_out(cli, tmp_path):
    """Else another front end would be kept in silence."""
    names = "features_candidates=[none,Generic_32Input_FFTBIN_4Feature_8Frame]"
    fixed = ("search_features=true", names, "data_processing_feature_extraction.keep_short_tails=true")
    status, _, err = cli(*SMALL, *fixed, "control.num_random=0", "hydra.run.dir=run")
    assert status == 0, err
    (tmp_path / "run" / "metrics.json").unlink()
    candidate = tmp_path / "run" / "front_ends" / "none"
    sections = json.loads((candidate / "metrics.json").read_text())
    del sections["training"]
    (candidate / "metrics.json").write_text(json.dumps(sections))
    (candidate / "searches.json").write_text("[{")
    status, _, err = cli("resume=run")
    assert status == 2
    assert "run/front_ends/none/searches.json: cannot be read" in err


@pytest.mark.slow
def test_the_folders_below_are_locked_too(cli, tmp_path, monkeypatch):
    from nas_lightning.runs import best_features as front_ends
    from nas_lightning.runs.claim import LOCK

    held, real = [], front_ends.run_once

    def look(config, folder, **options):
        held.append((folder / LOCK).is_file())
        real(config, folder, **options)

    monkeypatch.setattr(front_ends, "run_once", look)
    arguments = ("search_features=true", "features_candidates=[none]", "control.num_random=0", "hydra.run.dir=run")
    assert cli(*SMALL, *arguments)[0] == 0
    assert held == [True]
