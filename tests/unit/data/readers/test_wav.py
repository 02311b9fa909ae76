"""WAV files: right values, and headers as recorders leave them that lost power or did not know the end."""

import struct
import wave

import numpy as np
import pytest
from scipy.io import wavfile

from nas_lightning.data.readers.wav import read_wav
from nas_lightning.data.reading import Findings
from nas_lightning.errors import InputError

SINE = np.round(20000 * np.sin(np.arange(400) / 7)).astype(np.int16)
PCM = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)


def chunk(name, content, size=None, pad=True):
    head = name + struct.pack("<I", len(content) if size is None else size)
    return head + content + (b"\0" if pad and len(content) % 2 else b"")


def wav(*chunks, size=None):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def form(*numbers):
    return chunk(b"fmt ", struct.pack("<HHIIHH", *numbers))


def read(tmp_path, content):
    findings = Findings()
    (tmp_path / "x.wav").write_bytes(content)
    return read_wav(tmp_path / "x.wav", "x.wav", findings), findings


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (np.int16, [-32768, 0, 16384], [-1, 0, 0.5]),
        (np.uint8, [0, 128, 192], [-1, 0, 0.5]),
        (np.int32, [-(2**31), 0, 2**30], [-1, 0, 0.5]),
        (np.float32, [-1, 0, 0.5], [-1, 0, 0.5]),
        (np.float64, [-1, 0, 0.1], [-1, 0, 0.1]),
    ],
)
def test_whole_numbers_are_scaled(tmp_path, kind, values, expected):
    wavfile.write(tmp_path / "x.wav", 8000, np.array(values, kind))
    content, findings = read(tmp_path, (tmp_path / "x.wav").read_bytes())
    assert (content.values[:, 0].tolist(), content.sampling_rate) == (expected, 8000.0)
    whole = [line for line in findings.decisions if "whole numbers of" in line]
    assert len(whole) == (np.dtype(kind).kind in "iu")
    assert (content.unit is None) == (not whole)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_width_against_the_wave_module(tmp_path, width, channels):
    random = np.random.default_rng(width)
    numbers = random.integers(-(2 ** (8 * width - 1)), 2 ** (8 * width - 1), (50, channels))
    stored = numbers + (128 if width == 1 else 0)
    with wave.open(str(tmp_path / "made.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(100)
        file.writeframes(b"".join(int(v).to_bytes(width, "little", signed=width > 1) for v in stored.ravel()))
    content, findings = read(tmp_path, (tmp_path / "made.wav").read_bytes())
    np.testing.assert_allclose(content.values, numbers / 2 ** (8 * width - 1), atol=0, rtol=0)
    assert f"{8 * width}-bit WAV files are divided by {2 ** (8 * width - 1):,}" in findings.decisions[0]
    units = {1: "(samples - 128) / 128", 2: "samples / 32768", 3: "samples / 8388608", 4: "samples / 2147483648"}
    assert content.unit == units[width]


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 801, 2**31])
@pytest.mark.parametrize("whole", [0, 36, 0xFFFFFFFF, 836])
def test_sizes_that_were_never_written(tmp_path, size, whole):
    if (size, whole) == (0, 836):
        pytest.skip("all sizes agree: there are no samples")
    content, findings = read(tmp_path, wav(chunk(b"fmt ", PCM), chunk(b"data", SINE.tobytes(), size), size=whole))
    np.testing.assert_array_equal(content.values[:, 0], SINE / 32768)
    assert len(findings.warnings) == 1
    assert "are read to the end of the file" in findings.warnings[0]


def test_a_file_that_was_cut_off_ends_with_its_last_whole_frame(tmp_path):
    wavfile.write(tmp_path / "x.wav", 8000, np.arange(120, dtype=np.int16).reshape(60, 2))
    content, findings = read(tmp_path, (tmp_path / "x.wav").read_bytes()[:-5])
    np.testing.assert_array_equal(content.values, np.arange(116).reshape(58, 2) / 32768)
    assert len(findings.warnings) == 1


@pytest.mark.parametrize("pad", [True, False])
def test_a_chunk_of_odd_size_with_and_without_its_last_byte(tmp_path, pad):
    content, findings = read(
        tmp_path, wav(chunk(b"fmt ", PCM), chunk(b"LIST", b"INFO1", pad=pad), chunk(b"data", SINE.tobytes()))
    )
    np.testing.assert_array_equal(content.values[:, 0], SINE / 32768)
    assert not findings.warnings


def test_chunks_behind_the_samples_are_no_samples(tmp_path):
    content, findings = read(
        tmp_path, wav(chunk(b"fmt ", PCM), chunk(b"data", SINE.tobytes()), chunk(b"LIST", b"INFOmade"))
    )
    assert len(content.values) == 400
    assert not findings.warnings


def test_a_size_that_was_written_too_early_is_said(tmp_path):
    content, findings = read(tmp_path, wav(chunk(b"fmt ", PCM), chunk(b"data", SINE.tobytes(), 200)))
    assert len(content.values) == 100
    assert "has others, which are left out" in findings.warnings[0]


def test_other_byte_orders_and_long_files(tmp_path):
    big = b"RIFX" + struct.pack(">I", 836) + b"WAVE" + b"fmt " + struct.pack(">IHHIIHH", 16, 1, 1, 50, 100, 2, 16)
    content, _ = read(tmp_path, big + b"data" + struct.pack(">I", 800) + SINE.astype(">i2").tobytes())
    np.testing.assert_array_equal(content.values[:, 0], SINE / 32768)
    sizes = struct.pack("<QQQI", 0, 800, 400, 0)
    long = wav(
        chunk(b"ds64", sizes), chunk(b"fmt ", PCM), chunk(b"data", SINE.tobytes(), 0xFFFFFFFF), b"LIST\4\0\0\0abcd"
    )
    content, findings = read(tmp_path, b"RF64" + long[4:])
    assert len(content.values) == 400
    assert not findings.warnings


def test_an_extensible_header(tmp_path):
    head = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 100, 400, 4, 24, 22, 24, 4) + struct.pack("<H", 1) + bytes(14)
    content, _ = read(tmp_path, wav(chunk(b"fmt ", head), chunk(b"data", np.int32([2**30, -(2**31)]).tobytes())))
    assert content.values[:, 0].tolist() == [0.5, -1]


def test_no_rate(tmp_path):
    content, findings = read(
        tmp_path, wav(chunk(b"fmt ", PCM.replace(struct.pack("<I", 8000), bytes(4))), chunk(b"data", SINE.tobytes()))
    )
    assert content.sampling_rate is None
    assert "says no sampling rate" in findings.warnings[0]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (wav(chunk(b"data", SINE.tobytes())), "its samples stand before the chunk 'fmt '"),
        (wav(chunk(b"LIST", b"INFO")), "it has no chunk 'fmt '"),
        (wav(chunk(b"fmt ", PCM)), "it has no chunk 'data'"),
        (wav(chunk(b"fmt ", PCM[:10]), chunk(b"data", b"ab")), "its chunk 'fmt ' has 10 bytes"),
        (wav(form(7, 1, 8000, 8000, 1, 8), chunk(b"data", b"ab")), "written as mu-law"),
        (wav(form(1, 0, 8000, 0, 0, 0), chunk(b"data", b"ab")), "0 channels of 0 bits"),
        (wav(form(3, 1, 8000, 2, 2, 16), chunk(b"data", b"ab")), "1 channels of 16 bits"),
        (wav(chunk(b"fmt ", PCM), chunk(b"data", b"")), "x.wav: has no samples"),
        (wav(chunk(b"fmt ", PCM), chunk(b"data", b"a")), "x.wav: has no samples"),
        (wav(chunk(b"fmt ", PCM), chunk(b"data", b""), chunk(b"LIST", b"INFO")), "x.wav: has no samples"),
        (b"RIFF", "it begins with b'RIFF'"),
        (b"ID3\3" + bytes(40), "it begins with b'ID3"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_in_words(tmp_path, content, text):
    with pytest.raises(InputError) as error:
        read(tmp_path, content)
    assert text in str(error.value)
    assert "local variable" not in str(error.value)


def test_a_million_empty_chunks_take_no_time(tmp_path):
    with pytest.raises(InputError, match="has no chunk"):
        read(tmp_path, wav(chunk(b"fmt ", PCM), b"junk\0\0\0\0" * 1_000_000))
