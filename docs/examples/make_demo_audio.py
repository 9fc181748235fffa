"""Makes the demo's audio: eight bars of a small band and a singer, recorded badly on purpose.

`wavechain demo` needs something worth mending that anybody may copy, so this script plays it: kick, snare,
hats, bass, chord pad, a plucked string and a voice made of formants, in F major at 96 beats a minute. Then it
damages the take the way a cheap interface in a bad room does: direct current, rumble, 50 Hz hum, hiss, uneven
sections, and a level some 11 LU too low. The first half second holds the faults alone, for whoever wants a
noise profile.

Conventions  44 100 Hz; waveforms are float64, (2, frames) or (frames,); a beat is a quarter note.
Repeatable   every random number is a raw PCG64 draw, a stream NumPy promises to keep; another machine's sine
             may differ in its last bit, so two renderings agree within one 16-bit step.
Licence      CC0-1.0, the script and the sound.

Run it as `python docs/examples/make_demo_audio.py [OUT.flac]`.
"""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import soundfile
from mutagen.flac import FLAC, Picture
from numpy.typing import NDArray

Wave = NDArray[np.float64]

SAMPLE_RATE = 44_100
BEAT_SECONDS = 60 / 96
LEAD_SECONDS = 0.5
FRAMES = int(SAMPLE_RATE * 22.6)
OUTPUT = Path(__file__).parents[2] / "cli" / "wavechain_cli" / "demo" / "wavechain-demo.flac"

# (bass note, pad voicing), one bar each; the ninth is the chord that rings out. MIDI numbers: 60 is middle C.
CHORDS = [
    (41, (53, 57, 60, 64)),  # F major 7
    (38, (53, 57, 60, 62)),  # D minor 7
    (34, (53, 57, 58, 62)),  # B flat major 7
    (36, (52, 55, 60, 62)),  # C added 9
    (41, (53, 57, 60, 64)),
    (38, (53, 57, 60, 62)),
    (34, (53, 57, 58, 62)),
    (36, (52, 55, 60, 62)),
    (41, (53, 57, 60, 65)),
]
FULL_BARS = (2, 3, 6, 7)  # the bars with drums; the others breathe

# The tune: (first beat, beats, note, vowels passed through, starts with "ch"). It sings "wave-chain".
TUNE = [
    (8.0, 1.5, 65, ("oo", "eh", "ee"), False),
    (9.5, 2.0, 69, ("eh", "ee", "nn"), True),
    (12.0, 1.5, 67, ("oo", "eh", "ee"), False),
    (13.5, 2.2, 64, ("eh", "ee", "nn"), True),
    (16.0, 1.0, 65, ("oo", "oh"), False),
    (17.0, 1.0, 67, ("oh", "oh"), False),
    (18.0, 2.5, 69, ("oh", "ah"), False),
    (21.0, 2.5, 62, ("oo", "ah"), False),
    (24.0, 1.5, 65, ("oo", "eh", "ee"), False),
    (25.5, 2.0, 70, ("eh", "ee", "nn"), True),
    (28.0, 1.0, 67, ("oo", "oh"), False),
    (29.0, 2.5, 67, ("oh", "ah"), False),
    (32.0, 1.8, 65, ("ah", "oo"), False),
]
# Centres of the first three resonances of an adult's vocal tract, hertz (textbook averages, rounded).
FORMANTS = {
    "ah": (730, 1090, 2440),
    "ee": (270, 2290, 3010),
    "eh": (530, 1840, 2480),
    "oh": (570, 840, 2410),
    "oo": (300, 870, 2240),
    "nn": (250, 1400, 2600),
}


def seconds_of(beat: float) -> float:
    return LEAD_SECONDS + beat * BEAT_SECONDS


def hertz(note: float) -> float:
    return float(440 * 2 ** ((note - 69) / 12))


def clock(seconds: float) -> Wave:
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def white(frames: int, seed: int) -> Wave:
    """Uniform noise with a standard deviation of 1."""
    raw = np.random.PCG64(seed).random_raw(frames)
    return ((raw >> np.uint64(11)) * 2.0**-52 - 1) * np.sqrt(3)


def band(noise: Wave, low_hz: float, high_hz: float, order: int = 2) -> Wave:
    """Noise between two corners: zero-phase Butterworth magnitudes, at most the input's level."""
    f = np.fft.rfftfreq(noise.shape[-1], 1 / SAMPLE_RATE)
    with np.errstate(divide="ignore"):
        gain = 1 / np.sqrt((1 + (low_hz / f) ** (2 * order)) * (1 + (f / high_hz) ** (2 * order)))
    return np.fft.irfft(np.fft.rfft(noise) * gain, noise.shape[-1])


def add(track: Wave, sound: Wave, at_seconds: float, gain: float = 1.0) -> None:
    start = round(at_seconds * SAMPLE_RATE)
    end = min(start + len(sound), len(track))
    track[start:end] += gain * sound[: end - start]


def fade(sound: Wave, in_seconds: float, out_seconds: float) -> Wave:
    rise, fall = (round(s * SAMPLE_RATE) for s in (in_seconds, out_seconds))
    sound[:rise] *= np.sin(np.linspace(0, np.pi / 2, rise)) ** 2
    sound[len(sound) - fall :] *= np.cos(np.linspace(0, np.pi / 2, fall)) ** 2
    return sound


def pluck(note: float, seconds: float, seed: int) -> Wave:
    """A plucked string: Karplus and Strong's loop in closed form.

    The loop is a delay of one period, a two-point average and a loss; its transfer function 1 / (1 - loop) is
    evaluated on the frequency grid, where the delay may be any fraction of a frame: every note is in tune.
    """
    frames = round(seconds * SAMPLE_RATE)
    period = SAMPLE_RATE / hertz(note)
    burst = np.zeros(2 * frames)  # twice as long: what is still ringing must not wrap around to the start
    burst[: round(period)] = band(white(frames, seed), 20, 5_000)[: round(period)]
    omega = 2 * np.pi * np.fft.rfftfreq(len(burst))
    loss = 0.001 ** (period / SAMPLE_RATE / seconds)  # -60 dB at the end of the note
    loop = loss * np.cos(omega / 2) * np.exp(-1j * omega * period)
    return fade(np.fft.irfft(np.fft.rfft(burst) / (1 - loop), len(burst))[:frames], 0.001, 0.05)


def plucks() -> Wave:
    track = np.zeros(FRAMES)
    figure = (0, 2, 1, 3, 2, 1, 3, 2)
    for bar, (_, voicing) in enumerate(CHORDS[:8]):
        for step, tone in enumerate(figure):
            seed = 1_000 + 8 * bar + step
            accent = 1.0 if step % 4 == 0 else 0.7
            add(track, pluck(voicing[tone] + 12, 1.1, seed), seconds_of(4 * bar + step / 2), accent)
    add(track, pluck(77, 1.4, 999), seconds_of(32))
    return track


def pad() -> Wave:
    """Soft strings: six harmonics, two slightly mistuned copies a side, swelling through each bar."""
    track = np.zeros((2, FRAMES))
    for bar, (_, voicing) in enumerate(CHORDS):
        t = clock(4 * BEAT_SECONDS + 0.4 if bar < 8 else 1.2)
        for note in voicing:
            for side, cents in enumerate((-4.0, 4.0)):
                f = hertz(note + cents / 100)
                partials = (np.sin(2 * np.pi * k * f * t + k * note) / k**1.8 for k in range(1, 7))
                add(track[side], fade(np.sum(list(partials), axis=0), 0.35, 0.45), seconds_of(4 * bar))
    return track


def bass() -> Wave:
    track = np.zeros(FRAMES)
    for bar, (note, _) in enumerate(CHORDS):
        steps = ((0, 1.4), (1.5, 0.9), (2.5, 1.4)) if bar in FULL_BARS else ((0, 3.2 if bar < 8 else 2.0),)
        for beat, beats in steps:
            t = clock(beats * BEAT_SECONDS)
            phase = 2 * np.pi * hertz(note) * t
            tone = np.sin(phase) + 0.5 * np.sin(2 * phase) + 0.22 * np.sin(3 * phase) + 0.1 * np.sin(4 * phase)
            add(track, fade(tone * np.exp(-1.1 * t), 0.006, 0.06), seconds_of(4 * bar + beat))
    return track


def drums() -> Wave:
    """Left and right: kick and snare in the middle, hats a little to the right."""
    track = np.zeros((2, FRAMES))
    t = clock(0.35)
    # The sweep's phase is the integral of 50 + 90 exp(-t / 25 ms) hertz.
    kick = np.sin(2 * np.pi * (50 * t + 90 * 0.025 * (1 - np.exp(-t / 0.025)))) * np.exp(-t / 0.11)
    rattle = band(white(len(t), 21), 1_200, 9_000) * np.exp(-t / 0.07)
    skin = (np.sin(2 * np.pi * 187 * t) + 0.6 * np.sin(2 * np.pi * 331 * t)) * np.exp(-t / 0.06)
    snare = fade(0.5 * rattle + 0.6 * skin, 0.001, 0.02)
    hat = band(white(len(t), 22), 7_000, 14_000, order=4) * np.exp(-t / 0.028)
    for bar in (*FULL_BARS, 8):
        for beat in (0.0, 2.0, 2.5) if bar < 8 else (0.0,):
            add(track[0], fade(kick.copy(), 0.002, 0.02), seconds_of(4 * bar + beat))
        for beat in (1.0, 3.0) if bar < 8 else ():
            add(track[0], snare, seconds_of(4 * bar + beat), 0.8)
    track[1] = track[0]
    for bar in FULL_BARS:
        for step in range(8):
            loud = 0.28 if step % 2 else 0.42
            late = 0.03 * (step % 2)  # beats; a little swing
            add(track[0], hat, seconds_of(4 * bar + step / 2 + late), 0.7 * loud)
            add(track[1], hat, seconds_of(4 * bar + step / 2 + late), loud)
    return track


def sung(seconds: float, note: float, vowels: tuple[str, ...], seed: int) -> Wave:
    """One note of the singer: harmonics of a glottal buzz, each as loud as the mouth's shape lets it be."""
    t = clock(seconds)
    vibrato = 0.25 * np.clip((t - 0.25) / 0.4, 0, 1) * np.sin(2 * np.pi * 5.3 * t)
    scoop = -0.7 * np.exp(-t / 0.06)
    f = 440 * 2 ** ((note + vibrato + scoop - 69) / 12)
    phase = 2 * np.pi * np.cumsum(f) / SAMPLE_RATE
    # The mouth moves slowly: formants are worked out 200 times a second and drawn through.
    grid = np.arange(0, len(t), SAMPLE_RATE // 200)
    corners = np.linspace(0, min(0.45, seconds) if "nn" not in vowels else seconds * 0.95, len(vowels))
    centres = [np.interp(t[grid], corners, [FORMANTS[v][i] for v in vowels]) for i in range(3)]
    voice = np.zeros(len(t))
    for k in range(1, int(5_000 / hertz(note))):
        resonances = zip(centres, (90, 110, 170), (1.0, 0.6, 0.35), strict=True)
        mouth = sum(g / np.hypot(1, (k * f[grid] - centre) / (width / 2)) for centre, width, g in resonances)
        voice += np.interp(np.arange(len(t)), grid, mouth) * np.sin(k * phase) / k**0.7
    breath = 0.015 * band(white(len(t), seed), 1_500, 7_000)
    return fade(voice + breath, 0.07, min(0.25, seconds / 4))


def voice() -> Wave:
    track = np.zeros(FRAMES)
    burst = band(white(round(0.11 * SAMPLE_RATE), 31), 2_500, 8_000, order=3)
    for index, (beat, beats, note, vowels, starts_with_ch) in enumerate(TUNE):
        add(track, sung(beats * BEAT_SECONDS, note, vowels, 2_000 + index), seconds_of(beat))
        if starts_with_ch:
            add(track, fade(burst.copy(), 0.01, 0.06), seconds_of(beat) - 0.06, 0.16)
    return track


def reverberation(sound: Wave, seconds: float = 1.3) -> Wave:
    """A small hall: exponentially decaying noise, darker than it is bright, different on each side."""
    t = clock(seconds)
    hall = np.stack([band(white(len(t), seed), 250, 4_500) for seed in (41, 42)]) * 10 ** (-3 * t / seconds)
    hall /= np.sqrt(np.sum(hall**2, axis=1, keepdims=True))
    size = 1 << (FRAMES + len(t)).bit_length()
    return np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(hall, size), size)[:, :FRAMES]


def performance() -> Wave:
    """The band as it deserved to be recorded."""
    strings, singer, beat = plucks(), voice(), drums()
    dry = 0.07 * pad() + 0.24 * bass() + 0.75 * beat
    dry += 0.45 * strings * np.array([[0.85], [0.5]]) + 0.27 * singer
    return dry + 0.16 * reverberation(0.3 * strings + 0.3 * singer + 0.1 * beat.mean(axis=0))


def badly_recorded(music: Wave) -> Wave:
    """The same take with every fault that a first chain should mend. Levels are dB re full scale, RMS."""
    t = np.arange(FRAMES) / SAMPLE_RATE
    # The singer turns away from the microphone in bars 5 and 6, and the band starts shyly.
    corners = [seconds_of(beat) for beat in (0, 7.5, 8, 15.5, 16, 23.5, 24, 34)]
    ride_db = np.interp(t, corners, [-5, -5, 0, 0, -9, -8, 1, 0])
    rumble = band(white(FRAMES, 51), 14, 30, order=4)
    rumble *= 10 ** (-40 / 20) / np.sqrt(np.mean(rumble**2))
    hum = sum(
        10 ** (level / 20) * np.sqrt(2) * np.sin(2 * np.pi * f * t + f)
        for f, level in ((50, -52), (100, -60), (150, -57), (250, -66))
    )
    hiss = np.stack([band(white(FRAMES, seed), 300, 15_000, order=1) for seed in (61, 62)]) * 10 ** (-66 / 20)
    direct_current = np.array([[0.012], [-0.007]])
    quiet = 0.194  # brings the take to -27 LUFS
    return quiet * music * 10 ** (ride_db / 20) + rumble + hum + hiss + direct_current


def render() -> NDArray[np.int16]:
    """(frames, 2), 16 bit, with triangular dither of one step to either side."""
    take = badly_recorded(performance()).T * 2**15
    dither = (white(2 * FRAMES, 71) + white(2 * FRAMES, 72)).reshape(FRAMES, 2) / np.sqrt(12)
    return np.round(take + dither).clip(-(2**15), 2**15 - 1).astype(np.int16)


def cover(samples: NDArray[np.int16], size: int = 320) -> bytes:
    """The waveform as a PNG: light bars on a dusk-blue ground."""
    loudest = np.abs(samples[: len(samples) // 64 * 64]).max(axis=1).reshape(64, -1).max(axis=1)
    height = 0.04 + 0.36 * loudest / loudest.max()
    y, x = np.mgrid[0:size, 0:size] / size
    bar = (np.abs(y - 0.5) < height[np.minimum((x * 64).astype(int), 63)]) & (x * 64 % 1 < 0.7)
    ground = np.stack([24 + 30 * y, 34 + 44 * y, 70 + 60 * x], axis=-1)
    light = np.stack([240 - 40 * x, 190 + 0 * x, 120 + 90 * x], axis=-1)
    pixels = np.where(bar[..., np.newaxis], light, ground).astype(np.uint8)
    rows = b"".join(b"\x00" + row.tobytes() for row in pixels)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def write(path: Path) -> None:
    samples = render()
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16", compression_level=1.0)
    tagged = FLAC(path)
    tagged.update(
        title="Eight Bars, Badly Recorded",
        artist="wavechain",
        album="wavechain demo",
        date="2026",
        license="CC0-1.0",
        comment="Made by docs/examples/make_demo_audio.py; DC, rumble, hum, hiss and low level are intended.",
    )
    picture = Picture()
    picture.type, picture.mime, picture.desc = 3, "image/png", "Front cover"
    picture.width = picture.height = 320
    picture.depth = 24
    picture.data = cover(samples)
    tagged.add_picture(picture)
    tagged.save()


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT)
