import numpy as np
import pytest
import torch
from scipy.signal import resample_poly

from nas_lightning.data.features import FrontEnd
from nas_lightning.data.windows import Pieces, Samples, check_rate, cut, pad, resample
from nas_lightning.errors import InputError


def pieces(*lengths, channels=1):
    bounds = np.cumsum([0, *lengths])
    values = torch.arange(int(bounds[-1]) * channels, dtype=torch.float32).reshape(-1, channels)
    count = np.arange(len(lengths))
    return Pieces(values, bounds[:-1], bounds[1:], count % 2, count)


def windows_by_hand(made, rows, hop):
    found = []
    for start, stop in zip(made.starts, made.stops, strict=True):
        found += [list(range(a, a + rows)) for a in range(start, stop - rows + 1, hop)]
    return found


@pytest.mark.parametrize(("rows", "hop"), [(4, 4), (4, 1), (4, 3), (3, 5), (10, 2)])
def test_windows_stay_within_pieces(rows, hop):
    made = pieces(10, 3, 17, 4)
    found = cut(made, rows, hop)
    expected = windows_by_hand(made, rows, hop)
    assert found.gather(torch.arange(len(found)))[:, 0].tolist() == expected
    assert len(found.labels) == len(expected)


def test_windows_are_views_of_the_rows():
    made = pieces(1000)
    assert cut(made, 100, 1).values.data_ptr() == made.values.data_ptr()


def test_short_pieces_are_named():
    assert cut(pieces(10, 3, 17, 2), 4, 4).short == (1, 3)


def test_padding_covers_every_row():
    made = pad(pieces(10, 3, 8), 4, 4)
    found = cut(made, 4, 4)
    assert found.short == ()
    rows = found.gather(torch.arange(len(found)))[:, 0]
    assert rows.shape == (6, 4)
    assert rows[2].tolist() == [8, 9, 0, 0]
    assert rows[3].tolist() == [10, 11, 12, 0]


def test_labels_and_channels_belong_to_their_piece():
    found = cut(pieces(4, 8, channels=3), 4, 4)
    assert found.labels.tolist() == [0, 1, 1]
    assert found.gather(torch.tensor([1])).tolist() == [[[12, 15, 18, 21], [13, 16, 19, 22], [14, 17, 20, 23]]]


def test_resampling_filters_what_the_new_rate_cannot_hold():
    time = torch.arange(2000) / 1000
    tones = torch.sin(2 * torch.pi * 10 * time) + torch.sin(2 * torch.pi * 230 * time)
    made = Pieces(tones[:, None], np.array([0]), np.array([2000]), np.array([0]), np.array([0]))
    filtered, folded = (resample(made, [1000.0], 250.0, anti_alias).values[:, 0] for anti_alias in (True, False))
    slow = torch.sin(2 * torch.pi * 10 * time[::4])
    assert len(filtered) == len(folded) == 500
    assert (filtered - slow)[50:-50].abs().max() < 0.02
    assert (folded - tones[::4]).abs().max() == 0


def test_each_piece_is_resampled_from_its_own_rate():
    made = pieces(100, 50)
    found = resample(made, [100.0, 50.0], 25.0, True)
    assert (found.stops - found.starts).tolist() == [25, 25]
    expected = resample_poly(made.values[100:].numpy(), 1, 2, padtype="line")
    np.testing.assert_allclose(found.values[25:], expected, rtol=1e-5)


@pytest.mark.parametrize(("rate", "new_rate"), [(48000, 40), (44100, 10), (31.25, 10), (1000, 333.3)])
def test_the_new_rate_is_met(rate, new_rate):
    found = resample(pieces(rate_rows := int(20 * rate)), [rate], new_rate, True)
    assert len(found.values) == pytest.approx(rate_rows * new_rate / rate, abs=1.5)


def test_windows_that_overlap_much_are_not_kept():
    front_end = FrontEnd(["RAW_FE", "CONCAT"], frame_size=16, stride_size=0.07)
    samples = Samples(cut(pieces(200), 16, 1), front_end)
    x, _ = samples.__getitems__([3])
    torch.testing.assert_close(x, front_end(samples.windows.gather(torch.tensor([3]))))
    assert samples._cache is None


def test_augmentation_comes_after_the_scale():
    made = Samples(cut(pieces(64), 8, 8), FrontEnd(frame_size=8, scale=1000.0))
    seen = []

    class Watch:
        def __call__(self, x, generator):
            seen.append(float(x.max()))
            return x

    made.augmented(Watch(), 0, None).__getitems__([7])
    assert seen == [pytest.approx(0.063)]


def test_rates():
    nan = float("nan")
    assert check_rate(np.array([nan, 50.0]), 100.0, 20.0).tolist() == [100.0, 100.0]
    assert check_rate(np.array([50.0, 40.0]), None, 20.0).tolist() == [50.0, 40.0]
    np.testing.assert_equal(check_rate(np.array([50.0, nan]), None, None), [50.0, nan])


@pytest.mark.parametrize("new_sr", [None, 50.0, 49.7, 25.0])
def test_clocks_that_nearly_agree_are_one(new_sr):
    rates = np.array([49.75, 50.0, 50.2])
    assert check_rate(rates, None, new_sr).tolist() == rates.tolist()


@pytest.mark.parametrize("new_sr", [50.3, 60.0])
def test_a_rate_well_above_the_slowest_clock_is_refused(new_sr):
    with pytest.raises(InputError, match="`new_sr`: found"):
        check_rate(np.array([49.7, 50.0]), None, new_sr)


def test_a_recording_is_short_only_if_none_of_its_pieces_has_a_window():
    made = pieces(10, 3, 2, 5)
    joined = Pieces(made.values, made.starts, made.stops, made.labels, np.array([0, 0, 1, 1]))
    assert cut(joined, 4, 4).short == ()
    assert cut(joined, 6, 6).short == (1,)


@pytest.mark.parametrize(
    ("rates", "sampling_rate", "new_sr", "text"),
    [
        ([50.0, 100.0], None, None, "`new_sr`: is null, and the recordings have sampling rates from 50 to 100 Hz"),
        ([50.0, 100.0], None, None, "new_sr=RATE brings them to one, sampling_rate=75 takes them as of one"),
        ([float("nan")], None, 10.0, "`sampling_rate`: is null, and the recordings do not say it; new_sr needs it"),
        ([float("nan"), 50.0], None, 10.0, "`sampling_rate`: is null, and 1 of 2 recordings do not say it; new_sr"),
        (
            [0.05],
            None,
            25.0,
            "of the recordings, 0.05 Hz, and 1% above it; if their times are milliseconds, `time",
        ),
        ([50.0], None, 60.0, "`new_sr`: found 60; allowed: more than 0, up to the rate of the recordings, 50"),
    ],
)
def test_wrong_rates(rates, sampling_rate, new_sr, text):
    with pytest.raises(InputError) as error:
        check_rate(np.array(rates), sampling_rate, new_sr)
    assert text in str(error.value)


def test_features_are_computed_once_and_equal_those_of_each_batch():
    front_end = FrontEnd(["FFT_FE", "FFT_POS_HALF", "ABS", "CONCAT"], frame_size=8)
    samples = Samples(cut(pieces(64), 8, 8), front_end)
    x, _ = samples.__getitems__([5, 2])
    torch.testing.assert_close(x, front_end(samples.windows.gather(torch.tensor([5, 2]))))
    calls = []
    front_end.register_forward_hook(lambda *_: calls.append(1))
    samples.__getitems__([1])
    assert calls == []


def test_pieces_that_windows_cover_are_not_copied():
    made = pieces(8, 12, 4)
    assert pad(made, 4, 4) is made
