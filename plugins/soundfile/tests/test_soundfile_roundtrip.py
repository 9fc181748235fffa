"""What is written comes back: the same samples, at the same time, read by soundfile and by our own loader."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from wavechain.audio import Media
from wavechain.dsp.dither import Quantiser
from wavechain.output import OutputOptions
from wavechain.stream import Spec
from wavechain.testing import chirp, impulse, music
from wavechain_soundfile.loader import SoundFileLoader
from wavechain_soundfile.writer import SoundFileWriter

LOSSLESS = (".wav", ".rf64", ".w64", ".aiff", ".caf", ".au", ".flac")


def write(path, samples, sample_rate, media=None, **options):
    """*samples* (channels, frames) float32 to *path*, in two pieces, as the core does it; the encoding."""
    spec = Spec.audio(sample_rate, *samples.shape)
    writer = SoundFileWriter()
    encoding = writer.encoding(path.suffix, spec, media or Media(), OutputOptions.of(**options))
    sink = writer.open(path, spec, encoding)
    half = samples.shape[1] // 3
    quantise = Quantiser(encoding.bits, len(samples), seed=0, dither=False) if encoding.bits else None
    for piece in (samples[:, :half], samples[:, half:]):
        block = np.ascontiguousarray(piece)
        sink.write(quantise.process(block) if quantise else block)
    sink.close()
    return encoding


def read(path, size=100_000):
    with SoundFileLoader().open(path) as source:
        blocks = []
        while (block := source.read(size)).shape[1]:
            assert block.dtype == np.float32
            assert block.flags.c_contiguous
            blocks.append(block)
        return np.concatenate(blocks, axis=1), source


def whole_codes(bits, channels=2, frames=3000):
    """Samples that are exactly representable in *bits*, both ends of the range among them."""
    codes = np.random.default_rng(bits).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (channels, frames))
    codes[0, :4] = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0, -1]
    return (codes / 2.0 ** (bits - 1)).astype(np.float32), codes


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_integers_return_to_the_bit(tmp_path, suffix, bits, channels):
    samples, codes = whole_codes(bits, channels)
    path = tmp_path / f"codes{suffix}"
    encoding = write(path, samples, 48_000, bit_depth=str(bits))
    assert encoding.bits == bits
    shifted, sample_rate = soundfile.read(path, dtype="int32", always_2d=True)
    assert sample_rate == 48_000
    assert np.array_equal(shifted.T >> (32 - bits), codes)
    back, source = read(path)
    assert np.array_equal(back, samples)
    assert source.spec == Spec.audio(48_000, channels, 3000)
    assert source.media.bits == bits
    assert not source.media.lossy


@pytest.mark.parametrize("suffix", [suffix for suffix in LOSSLESS if suffix != ".flac"])
def test_floats_return_to_the_bit_beyond_full_scale_too(tmp_path, suffix):
    samples = (3 * np.random.default_rng(0).standard_normal((2, 3000))).astype(np.float32)
    path = tmp_path / f"floats{suffix}"
    encoding = write(path, samples, 44_100, bit_depth="float")
    assert (encoding.bits, encoding.clips) == (None, False)
    back, source = read(path)
    assert np.array_equal(back, samples)
    assert source.media.float_samples
    assert source.media.bits is None


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_eight_bits_stay_eight_bits(tmp_path, suffix):
    samples, _ = whole_codes(8)
    path = tmp_path / f"old{suffix}"
    assert write(path, samples, 22_050, Media(bits=8)).bits == 8
    back, source = read(path)
    assert np.array_equal(back, samples)
    assert source.media.bits == 8


def test_thirty_two_bits_keep_what_a_float_holds(tmp_path):
    samples, _ = whole_codes(24)
    path = tmp_path / "deep.wav"
    assert write(path, samples, 96_000, bit_depth="32").codec == "PCM_32"
    assert np.array_equal(read(path)[0], samples)


@pytest.mark.parametrize(("suffix", "sample_rate"), [(".ogg", 44_100), (".opus", 48_000), (".mp3", 44_100)])
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_formats_keep_length_and_time(tmp_path, suffix, sample_rate, channels):
    sound = chirp(sample_rate=sample_rate, seconds=0.7, channels=channels).waveform
    path = tmp_path / f"sweep{suffix}"
    assert write(path, sound, sample_rate).lossy
    back, source = read(path)
    assert back.shape == sound.shape
    assert source.spec.length == sound.shape[1]
    assert source.media.lossy
    assert source.media.bits is None
    spectrum = np.fft.rfft(back[0]) * np.conj(np.fft.rfft(sound[0]))
    assert np.argmax(np.fft.irfft(spectrum)) == 0  # neither early nor late by a single frame


@pytest.mark.parametrize("suffix", [".opus", ".ogg", ".mp3"])
def test_more_quality_is_more_bytes_and_less_error(tmp_path, suffix):
    sound = music(seconds=1, sample_rate=48_000).waveform
    sizes, errors = [], []
    for quality in (0, 5, 10):
        path = tmp_path / f"{quality}{suffix}"
        write(path, sound, 48_000, quality=quality)
        sizes.append(path.stat().st_size)
        errors.append(float(np.square(read(path)[0] - sound).mean()))
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)


def test_opus_takes_a_bit_rate(tmp_path):
    sound = music(seconds=2, sample_rate=48_000).waveform
    write(tmp_path / "a.opus", sound, 48_000, bitrate_kbps=128)
    kbps = (tmp_path / "a.opus").stat().st_size * 8 / 2 / 1000
    assert kbps == pytest.approx(128, rel=0.15)


def test_flac_levels_change_the_size_and_nothing_else(tmp_path):
    sound = music(seconds=1).waveform
    for level in (0, 8):
        write(tmp_path / f"{level}.flac", sound, 48_000, quality=level)
    fast, small = tmp_path / "0.flac", tmp_path / "8.flac"
    assert small.stat().st_size < fast.stat().st_size
    assert np.array_equal(read(fast)[0], read(small)[0])


def test_the_same_sound_makes_the_same_file(tmp_path):
    sound = music(seconds=0.2).waveform
    for suffix in (".wav", ".aiff", ".caf", ".flac"):
        for name in ("one", "two"):
            write(tmp_path / f"{name}{suffix}", sound, 48_000, Media(float_samples=True))
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_a_wav_of_unknown_length_is_a_plain_wav_when_it_turns_out_short(tmp_path):
    samples, _ = whole_codes(24)
    spec, path = Spec.audio(48_000, 2, None), tmp_path / "unknown.wav"
    writer = SoundFileWriter()
    encoding = writer.encoding(".wav", spec, Media(), OutputOptions())
    sink = writer.open(path, spec, encoding)
    sink.write(Quantiser(24, 2, seed=0, dither=False).process(samples))
    sink.close()
    assert path.read_bytes()[:4] == b"RIFF"
    assert np.array_equal(read(path)[0], samples)


def test_five_point_one_says_where_its_channels_are(tmp_path):
    path = tmp_path / "surround.wav"
    write(path, np.zeros((6, 100), np.float32), 48_000)
    data = path.read_bytes()
    assert data[20:22] == b"\xfe\xff"  # WAVE_FORMAT_EXTENSIBLE
    assert int.from_bytes(data[40:44], "little") == 0x3F  # L R C LFE Ls Rs


@pytest.mark.parametrize("size", [1, 3, 1000, 10**9])
def test_blocks_of_any_size_hold_the_same_sound(tmp_path, size):
    for suffix, rate in ((".flac", 44_100), (".ogg", 44_100), (".opus", 48_000), (".mp3", 44_100)):
        sound = impulse(at=700, sample_rate=rate, seconds=0.05, channels=2, level=0.5).waveform
        path = tmp_path / f"click{suffix}"
        write(path, sound, rate)
        assert np.array_equal(read(path, size)[0], read(path, 5000)[0])


def test_a_block_is_not_overwritten_by_the_next(tmp_path):
    for channels in (1, 2):
        samples, _ = whole_codes(16, channels)
        path = tmp_path / "two.wav"
        write(path, samples, 48_000, bit_depth="16")
        with SoundFileLoader().open(path) as source:
            first = source.read(1000)
            source.read(1000)
            assert np.array_equal(first, samples[:, :1000])


def test_libsndfile_itself_agrees_about_every_lossless_file(tmp_path):
    samples, _ = whole_codes(16)
    for suffix in LOSSLESS:
        path = tmp_path / f"x{suffix}"
        write(path, samples, 48_000, bit_depth="16")
        expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
        assert np.array_equal(read(path)[0], expected.T), suffix


def test_settings_survive_a_process_boundary():
    import pickle

    assert pickle.loads(pickle.dumps(SoundFileLoader())) == SoundFileLoader()
    assert pickle.loads(pickle.dumps(SoundFileWriter())) == SoundFileWriter()
