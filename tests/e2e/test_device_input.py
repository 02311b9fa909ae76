"""Numbers of a device, fed by the words of the header and of the metadata, are classified as in the run."""

import copy
import json
import re
import wave
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import torch

import nas_lightning
from nas_lightning.config.compose import compose_config
from nas_lightning.errors import InputError
from nas_lightning.export import host
from nas_lightning.export.contract import InputDescription
from nas_lightning.export.onnx import run_onnx
from nas_lightning.runs import pipeline
from nas_lightning.runs.build import build_data
from nas_lightning.runs.folder import load_network
from nas_lightning.runs.verify import verify

needs_gcc = pytest.mark.skipif(bool(host.missing_tools()), reason="there is no gcc or make")
SECTION = "data_processing_feature_extraction"
CLASSES = {"idle": 1.5, "shake": 9.0, "wave": 4.0}
RATE, ROWS, SENSORS = 50, 128, 3
BASE = ("callbacks=none", "logger=none", "selection.candidates=1", "control.num_random=0", "training.nas_enabled=false")
BASE += ("training.training_epochs=40", "training.batch_size=4", "compilation.enable=true", "export.max_int8_drop=1")
SPECTRUM = f"{SECTION}.feat_ext_transform=[RAW_FE,FFT_FE,FFT_POS_HALF,ABS,CONCAT]"


def series(seed, label, amplitude, level):
    """What the device gives: whole numbers ``[ROWS, SENSORS]``."""
    rng, time = np.random.default_rng(seed), np.arange(ROWS)[:, None] / RATE
    phases = rng.uniform(0, 2 * np.pi, SENSORS)
    values = np.sin(2 * np.pi * CLASSES[label] * time + phases) + 0.1 * rng.standard_normal((ROWS, SENSORS))
    return np.rint(level + amplitude * values).astype(np.int64)


@dataclass(frozen=True)
class Case:
    """A device, and how its numbers came into the recordings.

    Attributes:
        amplitude: of the signal.
        level: on which it stands.
        overrides: of the run.
        x: what the ONNX file takes.
        unit: what the reader says.
        is_wav: whether recordings are WAV files.
        is_centred: whether a constant was taken off when the recordings were read.
    """

    amplitude: float
    overrides: tuple[str, ...]
    x: str
    level: int = 0
    unit: str | None = None
    is_wav: bool = False
    is_centred: bool = False


CASES = {
    "16-bit WAV": Case(8000, (), "rows", unit="samples / 32768", is_wav=True),
    "scale": Case(1000, (f"{SECTION}.scale=1000",), "scaled rows"),
    "scale in the network": Case(1000, (f"{SECTION}.scale=1000", "export.include_features=true"), "rows"),
    "scale and front end": Case(
        1000, (f"{SECTION}.scale=1000", SPECTRUM, f"{SECTION}.frame_size={ROWS}", "export.opset=13"), "features"
    ),
    "front end in the network": Case(
        100, (SPECTRUM, f"{SECTION}.frame_size={ROWS}", "export.include_features=true", "export.opset=15"), "rows"
    ),
    "offsets": Case(60, ("export.prefix=imu_",), "rows", level=2**31, is_centred=True),
    "offset that float32 holds": Case(2, (), "rows", level=8_388_608),
}


def write(folder, case):
    for label in CLASSES:
        (folder / label).mkdir(parents=True)
        for i in range(12):
            values = series((i, len(label)), label, case.amplitude, case.level)
            path = folder / label / f"{i:02d}"
            if case.is_wav:
                with wave.open(f"{path}.wav", "wb") as file:
                    file.setparams((SENSORS, 2, RATE, 0, "NONE", ""))
                    file.writeframes(values.astype("<i2").tobytes())
            else:
                np.savetxt(f"{path}.csv", values, fmt="%d", delimiter=",", header="x,y,z", comments="")


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    """The run folder of a case, made once."""
    known = {}

    def get(name):
        if name not in known:
            place, case = tmp_path_factory.mktemp("device"), CASES[name]
            write(place / "data", case)
            rate = () if case.is_wav else (f"{SECTION}.sampling_rate={RATE}",)
            config = compose_config([*BASE, f"dataset.input_data_path={place / 'data'}", *rate, *case.overrides])
            data = build_data(config)
            data.setup()
            pipeline.run(config, place / "run", data)
            known[name] = place / "run"
        return known[name]

    return get


def macros(folder):
    """The numbers and texts of ``model.h``, without the prefix."""
    text = (folder / "firmware" / "model.h").read_text()
    found = dict(re.findall(r"^#define (?:IMU_)?MODEL_(\w+) (.+)$", text, re.M))
    return {
        name: json.loads(re.sub(r"(?<=\d)f\b", "", value.replace("{", "[").replace("}", "]")))
        for name, value in found.items()
    }


def values_by(unit, offsets, numbers):
    """Rows ``[N, C, T]`` as floats, of numbers of the device ``[N, T, C]``."""
    values = numbers.transpose(0, 2, 1).astype(np.float64)
    if unit:
        values = values / int(re.fullmatch(r"samples / (\d+)", unit)[1])
    return (values - np.array(offsets)[:, None]).astype(np.float32)


def new_series(case):
    labels = sorted(CLASSES) * 20
    numbers = np.stack([series((1000 + i, 7), label, case.amplitude, case.level) for i, label in enumerate(labels)])
    return numbers, np.array([sorted(CLASSES).index(label) for label in labels])


@pytest.mark.slow
@needs_gcc
@pytest.mark.parametrize("name", CASES)
def test_numbers_of_the_device_are_classified_by_the_words_of_the_header(name, run_of):
    folder, case = run_of(name), CASES[name]
    numbers, y = new_series(case)
    known = macros(folder)
    assert known["CLASS_NAMES"] == sorted(CLASSES)
    assert (known["SENSORS"], known["WINDOW"], known["STRIDE"], known["SAMPLING_RATE"]) == (SENSORS, ROWS, ROWS, RATE)
    assert (known["UNIT"] or None) == case.unit
    for offset in known["OFFSETS"]:
        assert offset == round(offset)
        assert abs(offset - case.level) < case.amplitude if case.is_centred else offset == 0
    rows = values_by(known["UNIT"], known["OFFSETS"], numbers)
    has_front_end = (folder / "firmware" / "feature_extraction.c").is_file()
    header = (folder / "firmware" / "model.h").read_text()
    assert ("feature_extraction_run divides them by" in header) == (known["SCALE"] != 1)
    chain = host.BOTH if has_front_end else host.NETWORK
    for model in ("model.c", "model_float.c"):
        with host.host_program(folder / "firmware", model, chain) as program:
            assert (program(rows).argmax(1) == y).mean() > 0.9, model


@pytest.mark.slow
@needs_gcc
@pytest.mark.parametrize("name", CASES)
def test_numbers_of_the_device_are_classified_by_the_words_of_the_metadata(name, run_of):
    folder, case = run_of(name), CASES[name]
    numbers, y = new_series(case)
    for file in ("model.onnx", "model_int8.onnx"):
        model = onnx.load(folder / file)
        said = {entry.key: entry.value for entry in model.metadata_props}
        assert said["x"] == case.x
        assert json.loads(said["class_names"]) == sorted(CLASSES)
        assert json.loads(said["opset"]) == model.opset_import[0].version
        x = values_by(said.get("unit"), json.loads(said["offsets"]), numbers)
        if said["x"] == "scaled rows":
            x = x / np.float32(json.loads(said["scale"]))
        elif said["x"] == "features":
            with host.host_program(folder / "firmware", "model.c", host.FRONT_END) as program:
                x = program(x).reshape(len(x), *json.loads(said["shape"])).copy()
        logits = run_onnx(folder / file, [torch.from_numpy(x)]).numpy()
        assert (logits.argmax(1) == y).mean() > 0.9, file


@pytest.mark.slow
@needs_gcc
@pytest.mark.parametrize("name", ["16-bit WAV", "front end in the network", "scale and front end"])
def test_a_loaded_network_says_what_it_takes_and_refuses_other_shapes(name, run_of):
    folder, case = run_of(name), CASES[name]
    network = nas_lightning.load(folder)
    about = network.description
    assert isinstance(network, torch.nn.Module)
    assert isinstance(about, InputDescription)
    assert about == InputDescription.from_dict(json.loads((folder / "input.json").read_text()))
    assert (about.outputs.names, about.x, about.window) == (tuple(sorted(CLASSES)), case.x, ROWS)
    channels, length = about.shape
    x = torch.randn(2, channels, length)
    torch.testing.assert_close(network(x[..., None]), network(x))
    torch.testing.assert_close(copy.deepcopy(network)(x), network(x))
    for shape in ((2, channels + 1, length), (2, 1, length - 1), (2, channels, 2 * length), (channels, length)):
        with pytest.raises(
            InputError, match=rf"^x: found shape \[.*\]; the network takes \[B, {channels}, {length}\]: "
        ):
            network(torch.zeros(shape))


@pytest.mark.slow
@needs_gcc
def test_counts_on_a_large_constant_lose_nothing_in_the_exported_network(run_of):
    folder, case = run_of("offset that float32 holds"), CASES["offset that float32 holds"]
    numbers, _ = new_series(case)
    exact = load_network(folder).double()(torch.from_numpy(numbers.transpose(0, 2, 1)).double()).detach().numpy()
    x = torch.from_numpy(numbers.transpose(0, 2, 1).astype(np.float32))
    assert np.abs(run_onnx(folder / "model.onnx", [x]).numpy() - exact).max() < 1e-4
    log = (folder / "run.log").read_text()
    assert "INFO model.onnx: differs from the network by at most " in log
    assert json.loads((folder / "metrics.json").read_text())["onnx"]["max_difference"] < 1e-5


@pytest.mark.slow
@needs_gcc
def test_the_archive_of_a_network_with_a_prefix_and_offsets_holds(run_of, capsys):
    verify(run_of("offsets") / "deploy.zip")
    assert "firmware: all files as they are written here for these networks" in capsys.readouterr().out
