"""Each change against NumPy, SciPy or an exact property."""

import numpy as np
import pytest
import torch
from augmented_series import generator, kept, ramp, series
from scipy import stats
from scipy.interpolate import CubicSpline
from scipy.ndimage import convolve1d
from scipy.signal import get_window
from sklearn.cluster import KMeans

from nas_lightning.data.augment import (
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
)


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
