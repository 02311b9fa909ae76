"""Every preset of ``conf/features``, found by listing, gives the shape of its table, alone and in a DataModule."""

from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from nas_lightning.config.compose import compose_config, conf_dir
from nas_lightning.export.onnx import front_end_to_onnx
from nas_lightning.runs.build import build_data
from nas_lightning.runs.checks import check_config
from nas_lightning.tasks import Classification

FIXED = "FE_RFFT"
SHAPES = {  # name: raw channels, the network's channels and length, raw rows of a sample
    **{f"{f}1024Input_256Feature_1Frame_Full_Bandwidth": (1, 1, 256, 1024) for f in ("FFT", "ArcFault_")},
    **{f"{f}1024Input_256Feature_1Frame_Half_Bandwidth": (1, 1, 256, 1024) for f in ("FFT", "ArcFault_")},
    **{f"{f}1024Input_64Feature_4Frame_Half_Bandwidth": (1, 1, 256, 4096) for f in ("FFT", "ArcFault_")},
    **{f"{f}1024Input_32Feature_8Frame_Quarter_Bandwidth": (1, 1, 256, 8192) for f in ("FFT", "ArcFault_")},
    "Generic_1024Input_FFTBIN_64Feature_8Frame": (1, 1, 512, 8192),
    "Generic_512Input_FFTBIN_32Feature_8Frame": (1, 1, 256, 4096),
    "Generic_256Input_FFTBIN_16Feature_8Frame": (1, 1, 128, 2048),
    "Generic_32Input_FFTBIN_4Feature_8Frame": (1, 1, 32, 256),
    "Input256_FFTBIN_16Feature_8Frame_3InputChannel_removeDC_2D1": (3, 3, 128, 2048),
    "Input256_FFTBIN_16Feature_8Frame_3InputChannel_removeDC_1D": (3, 1, 384, 2048),
    "Input256_FFT_128Feature_1Frame_3InputChannel_removeDC_2D1": (3, 3, 128, 256),
    "Generic_1024Input_FFT_512Feature_1Frame": (1, 1, 512, 1024),
    "Generic_512Input_FFT_256Feature_1Frame": (1, 1, 256, 512),
    "Generic_256Input_FFT_128Feature_1Frame": (1, 1, 128, 256),
    "Generic_512Input_RAW_512Feature_1Frame": (1, 1, 512, 512),
    "Generic_256Input_RAW_256Feature_1Frame": (1, 1, 256, 256),
    "Generic_128Input_RAW_128Feature_1Frame": (1, 1, 128, 128),
    "Input128_RAW_128Feature_1Frame_3InputChannel_removeDC_2D1": (3, 3, 128, 128),
    "MotorFault_128Input_RAW_128Feature_1Frame_3InputChannel_removeDC_2D1": (3, 3, 128, 128),
    "ArcFault_1024Input_FE_RFFT_128Feature_8Frame_1InputChannel_removeDC_Full_Bandwidth": (1, 1, 1024, 8192),
    "ArcFault_512Input_FE_RFFT_32Feature_8Frame_1InputChannel_removeDC_Full_Bandwidth": (1, 1, 256, 4096),
    "FFT256Input_FE_RFFT_16Feature_8Frame_removeDC_Full_Bandwidth": (1, 1, 128, 2048),
    "MotorFault_256Input_FE_RFFT_16Feature_8Frame_3InputChannel_removeDC_2D1": (3, 3, 128, 2048),
    "MotorFault_256Input_FE_RFFT_16Feature_8Frame_3InputChannel_removeDC_1D": (3, 1, 384, 2048),
    "FallDetection_256Input_FE_RFFT_8Feature_8Frame_3InputChannel_removeDC_2D1": (3, 3, 64, 2048),
    "ECG2500Input_Roundoff_1Frame": (1, 1, 2500, 2500),
    "HandGesture256Input_RangeNormalize_1Frame": (3, 3, 256, 256),
    # 25 windows of 25 features: the features are the network's channels, the windows its time steps
    "PIRDetection_125Input_25Feature_25Frame_1InputChannel_2D": (1, 25, 25, 125),
    "PIRDetection_125Input_25Feature_25Frame_1InputChannel_2D_FixedPoint": (1, 25, 25, 125),
    "Generic_8Input_ABS_8Feature_1Frame": (11, 11, 8, 8),
    "Custom_Default": (1, 1, 64, 64),
    "Custom_MotorFault": (3, 3, 64, 64),
    "Custom_ArcFault": (1, 1, 16, 64),
    "Custom_Default_MSPM0": (1, 1, 16, 64),
    "Custom_MotorFault_MSPM0": (3, 3, 16, 64),
    "Custom_ArcFault_MSPM0": (1, 1, 16, 64),
    "none": (1, 1, 64, 64),
}  # fmt: skip
NAMES = sorted(path.stem for path in (conf_dir() / "features").glob("*.yaml"))
SECTION = "data_processing_feature_extraction"


@cache
def preset(name, *overrides):
    """Its configuration, composed once for all tests; not to be changed."""
    if name.startswith("Custom") or name == "none":
        overrides = (f"{SECTION}.frame_size=64", f"{SECTION}.feature_size_per_frame=16", *overrides)
    return compose_config([f"features={name}", *overrides])


def raw(name, rows, channels, count=3):
    time = np.arange(rows) / rows
    x = np.stack([np.sin(2 * np.pi * (5 + 3 * i) * time) for i in range(count * channels)])
    x = 1000 * (x + 0.2 * np.random.default_rng(0).standard_normal(x.shape))
    return torch.tensor(x.reshape(count, channels, rows), dtype=torch.float32)


def test_the_table_holds_every_preset():
    assert set(SHAPES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_shape_is_that_of_the_table(name):
    channels, out_channels, length, rows = SHAPES[name]
    config = preset(name)
    check_config(config)
    front_end = build_data(config).front_end
    assert front_end.rows == rows
    assert config.data_processing_feature_extraction.variables in (channels, None)
    out = front_end(raw(name, rows, channels))
    assert out.shape == (3, out_channels, length)
    assert out.dtype == torch.float32
    assert out.isfinite().all()
    assert front_end(torch.zeros(1, channels, rows)).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_a_datamodule_runs_it(name, tmp_path):
    channels, out_channels, length, rows = SHAPES[name]
    for label in ("a", "b"):
        (tmp_path / "classes" / label).mkdir(parents=True)
        for i in range(3):
            values = raw(name, rows + 5, channels, 1)[0].T.numpy() * (1 + i + 3 * (label == "b"))
            np.save(tmp_path / "classes" / label / f"{i}.npy", np.column_stack([np.arange(len(values)), values]))
    data = build_data(preset(name, f"dataset.input_data_path={tmp_path}", "training.batch_size=2"))
    data.setup()
    assert data.task == Classification(out_channels, length, 2)
    x, _ = next(iter(data.train_dataloader()))
    assert x.shape == (2, out_channels, length)


@pytest.mark.parametrize("name", NAMES)
def test_onnx_computes_the_same_or_is_refused(name, tmp_path):
    channels, _, _, rows = SHAPES[name]
    front_end = build_data(preset(name)).front_end
    assert front_end.is_exportable == (FIXED not in name and "MSPM0" not in name and "PIR" not in name)
    if not front_end.is_exportable:
        with pytest.raises(ValueError, match=r"ONNX cannot express"):
            front_end.for_export()
        return
    x = torch.cat([raw(name, rows, channels), torch.zeros(1, channels, rows)])
    onnx.save(front_end_to_onnx(front_end.for_export(), x.shape[1:]), tmp_path / "front_end.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "front_end.onnx", providers=["CPUExecutionProvider"])
    found = np.concatenate([session.run(None, {"x": sample[None].numpy()})[0] for sample in x])
    np.testing.assert_allclose(found, front_end(x).numpy(), rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "none"])
def test_the_front_end_has_a_cost(name):
    channels = SHAPES[name][0]
    front_end = build_data(preset(name)).front_end
    cost = front_end.cost(channels)
    assert (cost.macs > 0) == bool(set(front_end.names) - {"CONCAT", "ROUND_OFF"})
    features = front_end(torch.zeros(1, channels, front_end.rows)).numel() if front_end.rows else 0
    assert cost.ram_bytes >= (0 if front_end.is_raw else 4 * features)
