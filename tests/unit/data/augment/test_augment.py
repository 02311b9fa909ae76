"""What holds for every augmenter, the values that they draw, and several behind each other."""

from dataclasses import MISSING, fields

import pytest
import torch
from augmented_series import generator, make, ramp, series
from scipy import stats

from nas_lightning.data.augment import (
    AUGMENTATIONS,
    AddNoise,
    Crop,
    Pool,
    Quantize,
    Resize,
    Reverse,
    build_augmentation,
)

DETERMINISTIC = ["Convolve", "Pool", "Quantize", "Resize", "Reverse"]
RANDOM = [name for name in AUGMENTATIONS if name not in DETERMINISTIC]


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("length", [1, 2, 3, 64])
@pytest.mark.parametrize("constant", [False, True])
def test_shape_and_type_stay_and_all_is_finite(name, length, constant):
    x = torch.full((4, 2, length), 3.0) if constant else series(4, 2, length)
    out = make(name, length)(x, generator())
    assert out.shape == x.shape
    assert out.dtype == torch.float32
    assert out.isfinite().all()


@pytest.mark.parametrize("name", ["Convolve", "Crop", "Dropout", "Pool", "Quantize", "Resize", "Reverse", "TimeWarp"])
@pytest.mark.parametrize("length", [1, 64])
def test_a_constant_series_stays_constant(name, length):
    x = torch.full((4, 2, length), 3.1)
    torch.testing.assert_close(make(name, length)(x, generator()), x)


@pytest.mark.parametrize("how", ["uniform", "quantile", "kmeans"])
@pytest.mark.parametrize("length", [1, 2, 3, 64])
def test_quantize_keeps_a_constant_and_a_short_series_finite(how, length):
    quantize = Quantize(how=how)
    x = torch.full((2, 2, length), 3.1)
    torch.testing.assert_close(quantize(x, generator()), x)
    assert quantize(series(2, 2, length), generator()).isfinite().all()


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("prob", [0.0, 0.5, 1.0])
def test_x_is_not_touched(name, prob):
    x = series()
    before = x.clone()
    out = make(name, prob=prob)(x, generator())
    out.mul_(2)
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("name", "parameters"), [*((name, {}) for name in AUGMENTATIONS), ("Quantize", {"how": "quantile"})]
)
def test_a_view_gives_what_a_copy_gives(name, parameters):
    view = series().transpose(1, 2).contiguous().transpose(1, 2)
    augmenter = make(name, **parameters)
    assert torch.equal(augmenter(view, generator()), augmenter(view.contiguous(), generator()))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_seed_decides(name):
    first, again, other = (make(name)(series(), generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (name in DETERMINISTIC)


@pytest.mark.parametrize("name", RANDOM)
def test_each_sample_and_each_call_draws_anew(name):
    x, source = series(1, length=4000).expand(8, -1, -1), generator()
    outs = torch.cat([make(name, 4000)(x, source), make(name, 4000)(x, source)])
    assert len(outs.unique(dim=0)) == 16


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_prob_0_changes_nothing(name):
    assert torch.equal(make(name, prob=0)(series(), generator()), series())


@pytest.mark.parametrize("augmenter", [Crop(size=20, prob=0), Crop(size=100, prob=0), Resize(size=20, prob=0)])
def test_prob_0_leaves_the_length(augmenter):
    assert augmenter.new_length(64) == 64
    assert torch.equal(augmenter(series(), generator()), series())


@pytest.mark.parametrize(
    "name", [name for name in AUGMENTATIONS if name != "Resize"]
)  # which changes the length or nothing
def test_prob_changes_its_share_of_the_samples(name):
    x = series(400, 2, 128)
    share = {prob: _share_changed(make(name, 128, prob=prob)(x, generator()), x) for prob in (0.2, 0.5, 1)}
    assert share[0.2] == pytest.approx(0.2, abs=0.08)
    assert share[0.5] == pytest.approx(0.5, abs=0.1)
    assert share[1] > 0.98  # Dropout may drop nothing by chance


def _share_changed(out, x):
    return (out != x).flatten(1).any(1).float().mean().item()


# (name, parameter): the parameters of two augmenters that differ in this one
PAIRS = {
    ("AddNoise", "loc"): ({}, {"loc": 0.5}),
    ("AddNoise", "scale"): ({}, {"scale": 0.2}),
    ("AddNoise", "distr"): ({"distr": "laplace"}, {"distr": "uniform"}),
    ("AddNoise", "kind"): ({}, {"kind": "multiplicative"}),
    ("AddNoise", "per_channel"): ({}, {"per_channel": False}),
    ("AddNoise", "normalize"): ({}, {"normalize": False}),
    ("Drift", "max_drift"): ({}, {"max_drift": 0.4}),
    ("Drift", "n_drift_points"): ({}, {"n_drift_points": 4}),
    ("Drift", "kind"): ({}, {"kind": "multiplicative"}),
    ("Drift", "per_channel"): ({}, {"per_channel": False}),
    ("Drift", "normalize"): ({}, {"normalize": False}),
    ("Dropout", "p"): ({}, {"p": 0.2}),
    ("Dropout", "size"): ({}, {"size": 2}),
    ("Dropout", "fill"): ({}, {"fill": "bfill"}),
    ("Dropout", "per_channel"): ({}, {"per_channel": True}),
    ("Pool", "kind"): ({}, {"kind": "max"}),
    ("Pool", "size"): ({}, {"size": 3}),
    ("Pool", "per_channel"): ({"size": [2, 5]}, {"size": [2, 5], "per_channel": True}),
    ("Quantize", "n_levels"): ({}, {"n_levels": 9}),
    ("Quantize", "how"): ({"how": "quantile"}, {"how": "kmeans"}),
    ("Quantize", "per_channel"): ({"n_levels": [4, 9]}, {"n_levels": [4, 9], "per_channel": True}),
    ("Convolve", "window"): ({}, {"window": "boxcar"}),
    ("Convolve", "size"): ({}, {"size": 5}),
    ("Convolve", "per_channel"): ({"size": [3, 5]}, {"size": [3, 5], "per_channel": True}),
    ("Crop", "size"): ({"size": 20, "resize": 32}, {"size": 21, "resize": 32}),
    ("Crop", "resize"): ({"size": 20}, {"size": 20, "resize": 10}),
    ("Resize", "size"): ({"size": 20}, {"size": 21}),
    ("TimeWarp", "n_speed_change"): ({}, {"n_speed_change": 4}),
    ("TimeWarp", "max_speed_ratio"): ({}, {"max_speed_ratio": 4}),
}


def test_the_pairs_cover_each_parameter():
    parameters = {(name, each.name) for name, kind in AUGMENTATIONS.items() for each in fields(kind)}
    assert set(PAIRS) == {(name, parameter) for name, parameter in parameters if parameter != "prob"}


@pytest.mark.parametrize("pair", PAIRS, ids=".".join)
def test_each_parameter_matters(pair):
    first, second = (AUGMENTATIONS[pair[0]](**parameters)(series(), generator()) for parameters in PAIRS[pair])
    assert not torch.equal(first, second)


# Values drawn for each sample


def drawn(loc):
    """What ``loc`` becomes in 500 samples."""
    shift = AddNoise(loc=loc, scale=0, normalize=False)(torch.zeros(500, 1, 2), generator())
    assert torch.equal(shift[..., 0], shift[..., 1])
    return shift[:, 0, 0]


def test_a_list_is_drawn_from():
    values, counts = drawn([1, 2.5, 4]).unique(return_counts=True)
    assert values.tolist() == [1, 2.5, 4]
    assert counts.min() > 130


def test_a_range_is_drawn_from_uniformly():
    values = drawn({"low": -1, "high": 3})
    assert stats.kstest(values.numpy(), stats.uniform(-1, 4).cdf).pvalue > 0.01


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(
    ("name", "parameter", "low"), [("Pool", "size", 2), ("Convolve", "size", 3), ("Quantize", "n_levels", 3)]
)
def test_a_range_of_whole_numbers_has_both_ends(name, parameter, low, per_channel):
    x = series(60)
    out = AUGMENTATIONS[name](**{parameter: {"low": low, "high": low + 2}, "per_channel": per_channel})(x, generator())
    fixed = [AUGMENTATIONS[name](**{parameter: low + more})(x, generator()) for more in range(3)]
    same = torch.stack([(out == each).all(2) for each in fixed])  # value, sample, channel
    assert torch.equal(same.sum(0), torch.ones(60, 3, dtype=torch.int64))
    assert same.flatten(1).sum(1).min() > 30
    assert (same == same[..., :1]).all() == (not per_channel)


@pytest.mark.parametrize(("name", "parameter"), [("Drift", "n_drift_points"), ("TimeWarp", "n_speed_change")])
def test_whole_numbers_are_drawn_for_smooth_changes(name, parameter):
    x = ramp(200, 65)
    kinds = [_smoothness(make(name, **{parameter: value})(x, generator()), x) for value in (1, 12)]
    mixed = _smoothness(make(name, **{parameter: [1, 12]})(x, generator()), x)
    threshold = (kinds[0].max() + kinds[1].min()) / 2
    assert kinds[0].max() < kinds[1].min()
    assert (mixed < threshold).double().mean().item() == pytest.approx(0.5, abs=0.1)


def _smoothness(out, x):
    """How often the speed of the change turns."""
    speed = (out - x)[:, 0].diff(dim=1).round(decimals=5)
    return (speed.diff(dim=1).sign().diff(dim=1) != 0).sum(1)


def test_augmenters_apply_in_the_written_order():
    x, source = series(), generator(5)
    settings = {"AddNoise": {"scale": [0.1, 0.2]}, "Pool": {"kind": "max", "prob": 0.5}, "Reverse": None}
    expected = Reverse()(Pool(kind="max", prob=0.5)(AddNoise(scale=[0.1, 0.2])(x, source), source), source)
    assert torch.equal(build_augmentation(settings)(x, generator(5)), expected)
    turned = build_augmentation(dict(reversed(settings.items())))
    assert not torch.equal(turned(x, generator(5)), expected)


def test_no_augmenters_change_nothing():
    assert torch.equal(build_augmentation({})(series(), generator()), series())


def test_the_new_length_is_that_of_the_result():
    augmentation = build_augmentation({"Reverse": None, "Crop": {"size": 40}, "Resize": {"size": 20}})
    assert augmentation.new_length(64) == augmentation(series(), generator()).shape[2] == 20


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_defaults_are_allowed(name):
    required = {each.name: 5 for each in fields(AUGMENTATIONS[name]) if each.default is MISSING}
    build_augmentation({name: required or None})
