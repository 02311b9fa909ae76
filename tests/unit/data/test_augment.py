import re
from dataclasses import MISSING, fields

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.interpolate import CubicSpline
from scipy.ndimage import convolve1d
from scipy.signal import get_window
from sklearn.cluster import KMeans

from nas_lightning.data.augment import (
    AUGMENTATIONS,
    AddNoise,
    Convolve,
    Crop,
    Drift,
    Dropout,
    Pool,
    Quantize,
    Resize,
    Reverse,
    TimeWarp,
    build_augmentation,
)
from nas_lightning.errors import InputError

DETERMINISTIC = ["Convolve", "Pool", "Quantize", "Resize", "Reverse"]
RANDOM = [name for name in AUGMENTATIONS if name not in DETERMINISTIC]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def series(batch=16, channels=3, length=64):
    """Channels of different range and offset."""
    x = torch.randn(batch, channels, length, generator=generator(99))
    return x * torch.logspace(0, 2, channels)[:, None] + 5


def make(name, length=64, **parameters):
    """An augmenter that keeps the length."""
    required = {"Crop": {"size": max(1, length // 2), "resize": length}, "Resize": {"size": length}}
    return AUGMENTATIONS[name](**required.get(name, {}), **parameters)


def ramp(batch, length):
    """Channel 0 holds its own time, so that a change of time can be read off; channel 1 is random."""
    x = torch.randn(batch, 2, length, dtype=torch.float64, generator=generator(99))
    x[:, 0] = torch.arange(length)
    return x


def kept(augmenter, x, dtype=torch.float32):
    out = augmenter(x, generator())
    assert out.dtype == dtype
    return out.numpy()


# What holds for each of them


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


# Each against numpy, scipy or an exact property


@pytest.mark.parametrize(
    ("distr", "expected"),
    [
        ("gaussian", stats.norm(0.3, 0.2)),
        ("laplace", stats.laplace(0.3, 0.2 / np.sqrt(2))),
        ("uniform", stats.uniform(0.3 - 0.2 * np.sqrt(3), 0.4 * np.sqrt(3))),
    ],
)
def test_noise_has_its_distribution(distr, expected):
    noise = kept(AddNoise(loc=0.3, scale=0.2, distr=distr, normalize=False), torch.zeros(50, 2, 1000)).ravel()
    assert noise.std() == pytest.approx(0.2, rel=0.01)
    assert stats.kurtosis(noise) == pytest.approx(float(expected.stats("k")), abs=0.15)
    assert stats.kstest(noise, expected.cdf).pvalue > 0.01


@pytest.mark.parametrize("kind", [AddNoise, Drift])
@pytest.mark.parametrize("how", ["additive", "multiplicative"])
@pytest.mark.parametrize("normalize", [False, True])
def test_noise_and_drift_are_applied_to_the_normalised_series(kind, how, normalize):
    x = series()
    change = kept(kind(normalize=False), torch.zeros_like(x))
    x[:, 1] = 7  # a constant channel is only moved to 0
    low, high = x.numpy().min(2, keepdims=True), x.numpy().max(2, keepdims=True)
    low, span = (low, np.where(high > low, high - low, 1)) if normalize else (0, 1)
    scaled = (x.numpy() - low) / span
    scaled = scaled + change if how == "additive" else scaled * (1 + change)
    np.testing.assert_allclose(kept(kind(kind=how, normalize=normalize), x), scaled * span + low, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("kind", [AddNoise, Drift])
def test_channels_share_a_change_or_have_their_own(kind):
    x = torch.zeros(4, 2, 64)
    shared = kind(per_channel=False, normalize=False)(x, generator())
    assert torch.equal(shared[:, 0], shared[:, 1])
    own = kind(normalize=False)(x, generator())
    assert (own[:, 0] != own[:, 1]).flatten(1).any(1).all()


@pytest.mark.parametrize("points", [1, 3, 7])
def test_drift_is_a_spline_from_0_to_its_maximum(points):
    x = torch.zeros(20, 2, 8 * (points + 1) + 1)
    trend = kept(Drift(max_drift=0.3, n_drift_points=points, normalize=False), x)
    np.testing.assert_allclose(trend[..., 0], 0, atol=1e-7)
    np.testing.assert_allclose(np.abs(trend).max(2), 0.3, rtol=1e-6)
    knots = np.arange(0, x.shape[2], 8)
    expected = CubicSpline(knots, trend[..., knots], axis=2)(np.arange(x.shape[2]))
    np.testing.assert_allclose(trend, expected, atol=1e-5)


def test_drift_draws_its_maximum():
    trend = kept(Drift(max_drift={"low": 0.1, "high": 0.5}, normalize=False), torch.zeros(200, 1, 64))
    assert stats.kstest(np.abs(trend).max(2).ravel(), stats.uniform(0.1, 0.4).cdf).pvalue > 0.01


def dropped(x, **parameters):
    """Which points a Dropout of the same seed drops."""
    return kept(Dropout(**parameters, fill=-999.0), x) == -999


@pytest.mark.parametrize("size", [1, 4, [2, 6]])
def test_dropout_drops_each_point_with_its_probability(size):
    mask = dropped(torch.zeros(4000, 1, 40), p=0.2, size=size)[:, 0]
    np.testing.assert_allclose(mask.mean(0), 0.2, atol=0.03)
    assert mask.mean() == pytest.approx(0.2, abs=0.005)


def test_dropout_drops_runs():
    mask = dropped(torch.zeros(500, 1, 100), p=0.1, size=5)[:, 0]
    edges = np.diff(mask.astype(int), axis=1)
    begins, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
    runs = [
        min((end for row, end in ends if row == sample and end > begin), default=None) - begin
        for sample, begin in begins
        if begin < 50
    ]
    assert min(runs) == 5
    assert np.median(runs) == 5


@pytest.mark.parametrize("fill", ["ffill", "bfill", "mean", 7])
@pytest.mark.parametrize("per_channel", [False, True])
def test_dropout_fills(fill, per_channel):
    x = series(8, 2, 50)
    parameters = {"p": 0.4, "size": 3, "per_channel": per_channel}
    mask = dropped(x, **parameters)
    assert (mask == mask[:, :1]).all() == (not per_channel)
    expected = x.numpy().copy()
    for sample, channel in np.ndindex(8, 2):
        values, lost = expected[sample, channel], mask[sample, channel]
        order = range(1, 50) if fill == "ffill" else range(48, -1, -1)
        back = -1 if fill == "ffill" else 1
        if fill in ("ffill", "bfill"):
            for at in order:
                values[at] = values[at + back] if lost[at] else values[at]
        else:
            values[lost] = values.mean() if fill == "mean" else 7
    np.testing.assert_allclose(kept(Dropout(**parameters, fill=fill), x), expected, rtol=1e-5)


def test_dropout_of_all_points_leaves_one_value():
    x = series()
    assert torch.equal(Dropout(p=1)(x, generator()), x[..., :1].expand_as(x))
    assert torch.equal(Dropout(p=1, fill="bfill")(x, generator()), x[..., -1:].expand_as(x))
    assert torch.equal(Dropout(p=0)(x, generator()), x)


@pytest.mark.parametrize(("kind", "value"), [("ave", np.mean), ("max", np.max), ("min", np.min)])
@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_pool_takes_one_value_of_a_block(kind, value, size):
    x = series(length=30)
    expected = x.numpy().copy()
    for begin in range(0, 30, size):
        block = slice(begin, begin + size)
        expected[..., block] = value(x.numpy()[..., block], axis=2, keepdims=True)
    np.testing.assert_allclose(kept(Pool(kind=kind, size=size), x), expected, rtol=1e-5)


def test_uniform_levels_are_the_middles_of_equal_intervals():
    x = series().numpy()
    low, high = x.min(2, keepdims=True), x.max(2, keepdims=True)
    middles = low + (high - low) * (np.arange(6) + 0.5) / 6
    nearest = np.abs(x[..., None] - middles[:, :, None]).argmin(3)
    out = kept(Quantize(n_levels=6), torch.from_numpy(x))
    np.testing.assert_allclose(out, np.take_along_axis(middles, nearest, 2), rtol=1e-4, atol=1e-5)


def test_quantile_levels_hold_equally_many_points():
    x = series(length=60)
    out = kept(Quantize(n_levels=6, how="quantile"), x)
    for sample, channel in np.ndindex(out.shape[:2]):
        levels, counts = np.unique(out[sample, channel], return_counts=True)
        np.testing.assert_allclose(levels, np.quantile(x[sample, channel].numpy(), np.arange(1, 12, 2) / 12), rtol=1e-5)
        assert counts.tolist() == [10] * 6
        order = x[sample, channel].argsort()
        assert (np.diff(out[sample, channel, order]) >= 0).all()


def test_kmeans_levels_are_those_of_scikit_learn():
    x = series(4, length=100).numpy()
    out = kept(Quantize(n_levels=5, how="kmeans"), torch.from_numpy(x))
    for sample, channel in np.ndindex(out.shape[:2]):
        values = x[sample, channel].astype(np.float64)[:, None]
        start = np.quantile(values, np.arange(1, 10, 2) / 10)[:, None]
        model = KMeans(5, init=start, n_init=1, tol=0).fit(values)
        np.testing.assert_allclose(out[sample, channel], model.cluster_centers_[model.labels_, 0], rtol=1e-5)


@pytest.mark.parametrize("how", ["uniform", "quantile", "kmeans"])
def test_quantize_has_its_number_of_levels(how):
    out = kept(Quantize(n_levels=7, how=how), series(length=500))
    assert {len(np.unique(values)) for values in out.reshape(-1, 500)} == {7}


@pytest.mark.parametrize("window", ["hann", "boxcar", "tukey", "exponential"])
@pytest.mark.parametrize("size", [1, 4, 7, 51])
def test_convolve_is_that_of_scipy(window, size):
    x = series(4, length=40)
    weights = get_window(window, size, fftbins=False)
    expected = convolve1d(x.numpy().astype(np.float64), weights / weights.sum(), axis=2, mode="nearest")
    np.testing.assert_allclose(kept(Convolve(window=window, size=size), x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("parameters", "points"),
    [({"size": 10}, 10), ({"size": 10, "resize": 25}, 25), ({"size": {"low": 5, "high": 15}, "resize": 7}, 7)],
)
def test_crop_is_an_evenly_spaced_part(parameters, points):
    x = ramp(600, 20)
    out = kept(Crop(**parameters), x, torch.float64)
    time = out[:, 0]
    sizes = np.round(time[:, -1] - time[:, 0]).astype(int) + 1
    assert out.shape == (600, 2, points)
    np.testing.assert_allclose(time, np.linspace(np.round(time[:, 0]), time[:, 0] + sizes - 1, points, axis=1))
    assert set(sizes) == ({10} if parameters["size"] == 10 else set(range(5, 16)))
    assert set(np.round(time[sizes == 10, 0]).astype(int)) == set(range(11))
    np.testing.assert_allclose(out[:, 1], _interp(time, x[:, 1]), atol=1e-12)


def _interp(time, values):
    steps = np.arange(values.shape[1])
    return np.stack([np.interp(at, steps, row) for at, row in zip(time, values, strict=True)])


def test_crop_without_resize_is_exact():
    x = series(200, 1, 20)
    parts = {tuple(part.tolist()) for part in x.unfold(2, 8, 1).flatten(0, 2)}
    assert {tuple(part.tolist()) for part in Crop(size=8)(x, generator())[:, 0]} <= parts


@pytest.mark.parametrize("size", [1, 2, 17, 64, 150])
def test_resize_is_that_of_numpy(size):
    x = series(4)
    steps = np.linspace(0, 63, size)
    expected = [[np.interp(steps, np.arange(64), channel) for channel in sample] for sample in x.numpy()]
    np.testing.assert_allclose(kept(Resize(size=size), x), expected, rtol=1e-4, atol=1e-4)


def test_reverse_reverses():
    assert np.array_equal(kept(Reverse(), series()), series().numpy()[..., ::-1])


@pytest.mark.parametrize("changes", [1, 4])
def test_warp_is_a_monotone_map_of_bounded_speed(changes):
    x = ramp(50, 100 * changes + 1)
    out = kept(TimeWarp(n_speed_change=changes, max_speed_ratio=2), x, torch.float64)
    time = out[:, 0]
    ends = TimeWarp(n_speed_change=changes)(x.float(), generator())[..., [0, -1]]
    assert torch.equal(ends, x.float()[..., [0, -1]])
    speed = np.diff(time, axis=1)
    ratio = speed.max(1) / speed.min(1)
    assert speed.min() > 0
    assert ratio.max() < 2
    assert ratio.max() > 1.5
    np.testing.assert_allclose(out[:, 1], _interp(time, x[:, 1]), atol=1e-12)
    bends = np.abs(np.diff(np.log(speed), 2, axis=1)).max(0)  # at points 1 to L - 3
    assert set(np.flatnonzero(bends > 1e-5) // 10 * 10 + 10) == {100 * change for change in range(1, changes)}


# Composition and mistakes


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
