"""Each mistake is one sentence."""

import re

import pytest
from augmented_series import generator, series

from nas_lightning.data.augment import Crop, Resize, build_augmentation
from nas_lightning.errors import InputError

NUMBERS = "a list of such, or {low: a, high: b} with a <= b"
MISTAKES = [
    ([], "augmentation: found []; allowed: names with their parameters"),
    (
        {"Noise": None},
        "augmentation.Noise: is unknown; allowed: AddNoise, Drift, Dropout, Pool, Quantize, Convolve, Crop, Resize, "
        "Reverse, TimeWarp",
    ),
    ({"Pool": 3}, "augmentation.Pool: found 3; allowed: parameters with their values, or null"),
    ({"Pool": {"step": 3}}, "augmentation.Pool.step: is unknown; allowed: kind, size, per_channel, prob"),
    (
        {"Pool": {"repeats": 3}},
        "augmentation.Pool.repeats: found 3; allowed: none, because each epoch draws anew and a copy would add nothing",
    ),
    ({"Pool": {"seed": 3}}, "augmentation.Pool.seed: found 3; allowed: none, because the seed of the run decides"),
    ({"Crop": None}, f"augmentation.Crop.size: is missing; allowed: a whole number from 1 to 1048576, {NUMBERS}"),
    ({"Resize": {}}, "augmentation.Resize.size: is missing; allowed: a whole number from 1 to 1048576"),
    ({"Resize": {"size": [4]}}, "augmentation.Resize.size: found [4]; allowed: a whole number from 1 to 1048576"),
    ({"Reverse": {"prob": 1.5}}, "augmentation.Reverse.prob: found 1.5; allowed: a number from 0 to 1"),
    ({"Reverse": {"prob": [0, 1]}}, "augmentation.Reverse.prob: found [0, 1]; allowed: a number from 0 to 1"),
    ({"AddNoise": {"loc": "a"}}, f"augmentation.AddNoise.loc: found 'a'; allowed: a number, {NUMBERS}"),
    ({"AddNoise": {"loc": float("nan")}}, f"augmentation.AddNoise.loc: found nan; allowed: a number, {NUMBERS}"),
    ({"AddNoise": {"loc": float("inf")}}, f"augmentation.AddNoise.loc: found inf; allowed: a number, {NUMBERS}"),
    ({"AddNoise": {"scale": -1}}, f"augmentation.AddNoise.scale: found -1; allowed: a number of 0 or more, {NUMBERS}"),
    ({"AddNoise": {"scale": []}}, f"augmentation.AddNoise.scale: found []; allowed: a number of 0 or more, {NUMBERS}"),
    (
        {"AddNoise": {"scale": [0.1, None]}},
        f"augmentation.AddNoise.scale: found [0.1, None]; allowed: a number of 0 or more, {NUMBERS}",
    ),
    (
        {"AddNoise": {"scale": {"low": 2, "high": 1}}},
        f"augmentation.AddNoise.scale: found {{'low': 2, 'high': 1}}; allowed: a number of 0 or more, {NUMBERS}",
    ),
    (
        {"AddNoise": {"scale": {"low": -2, "high": 1}}},
        f"augmentation.AddNoise.scale: found {{'low': -2, 'high': 1}}; allowed: a number of 0 or more, {NUMBERS}",
    ),
    (
        {"AddNoise": {"scale": {"low": 2}}},
        f"augmentation.AddNoise.scale: found {{'low': 2}}; allowed: a number of 0 or more, {NUMBERS}",
    ),
    (
        {"AddNoise": {"scale": {"low": 1, "high": 2, "step": 1}}},
        "augmentation.AddNoise.scale: found {'low': 1, 'high': 2, 'step': 1}; "
        f"allowed: a number of 0 or more, {NUMBERS}",
    ),
    ({"AddNoise": {"distr": "x"}}, "augmentation.AddNoise.distr: found 'x'; allowed: gaussian, laplace, uniform"),
    ({"AddNoise": {"kind": "x"}}, "augmentation.AddNoise.kind: found 'x'; allowed: additive, multiplicative"),
    ({"AddNoise": {"normalize": 1}}, "augmentation.AddNoise.normalize: found 1; allowed: true or false"),
    (
        {"Drift": {"max_drift": -1}},
        f"augmentation.Drift.max_drift: found -1; allowed: a number of 0 or more, {NUMBERS}",
    ),
    (
        {"Drift": {"n_drift_points": 0}},
        f"augmentation.Drift.n_drift_points: found 0; allowed: a whole number from 1 to 1000, {NUMBERS}",
    ),
    ({"Dropout": {"p": 2}}, f"augmentation.Dropout.p: found 2; allowed: a number from 0 to 1, {NUMBERS}"),
    (
        {"Dropout": {"size": 1.0}},
        f"augmentation.Dropout.size: found 1.0; allowed: a whole number from 1 to 10000, {NUMBERS}",
    ),
    (
        {"Dropout": {"size": True}},
        f"augmentation.Dropout.size: found True; allowed: a whole number from 1 to 10000, {NUMBERS}",
    ),
    ({"Dropout": {"fill": "x"}}, "augmentation.Dropout.fill: found 'x'; allowed: ffill, bfill, mean or a number"),
    ({"Pool": {"kind": "x"}}, "augmentation.Pool.kind: found 'x'; allowed: ave, max, min"),
    ({"Quantize": {"how": "x"}}, "augmentation.Quantize.how: found 'x'; allowed: uniform, quantile, kmeans"),
    (
        {"Quantize": {"n_levels": 1}},
        f"augmentation.Quantize.n_levels: found 1; allowed: a whole number from 2 to 10000, {NUMBERS}",
    ),
    (
        {"Convolve": {"window": "kaiser"}},
        "augmentation.Convolve.window: found 'kaiser'; allowed: a window of scipy.signal.get_window that needs no "
        "parameter, such as hann, hamming, triang or boxcar",
    ),
    (
        {"Convolve": {"size": {"low": 1, "high": 4}}},
        "augmentation.Convolve.size: found 2, at which the weights of hann do not add up to more than 0; "
        "allowed: another size or window",
    ),
    (
        {"Crop": {"size": 8, "resize": 0}},
        "augmentation.Crop.resize: found 0; allowed: a whole number from 1 to 1048576, or null",
    ),
    (
        {"Crop": {"size": [8, 9]}},
        "augmentation.Crop.resize: is missing where size is [8, 9]; "
        "allowed: the length of all parts, a whole number from 1 to 1048576",
    ),
    (
        {"TimeWarp": {"max_speed_ratio": 0.5}},
        f"augmentation.TimeWarp.max_speed_ratio: found 0.5; allowed: a number of 1 or more, {NUMBERS}",
    ),
]


@pytest.mark.parametrize(("settings", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(settings, sentence):
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        build_augmentation(settings)


@pytest.mark.parametrize(
    ("augmenter", "sentence"),
    [
        (Crop(size=65), "augmentation.Crop.size: found 65 where the series have 64 points; allowed: up to 64"),
        (
            Crop(size={"low": 9, "high": 70}, resize=64),
            "augmentation.Crop.size: found 70 where the series have 64 points; allowed: up to 64",
        ),
        (
            Crop(size=20, prob=0.5),
            "augmentation.Crop.prob: found 0.5 where a length of 64 becomes 20; "
            "allowed: 1, because the series of a batch have one length",
        ),
        (
            Resize(size=65, prob=0.9),
            "augmentation.Resize.prob: found 0.9 where a length of 64 becomes 65; "
            "allowed: 1, because the series of a batch have one length",
        ),
    ],
)
def test_a_length_that_does_not_fit_is_one_sentence(augmenter, sentence):
    for use in (lambda: augmenter(series(), generator()), lambda: augmenter.new_length(64)):
        with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
            use()
