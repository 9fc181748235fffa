"""The everyday stages: levels, cuts, channels, filters, dynamics, loudness, resampling; and the bundled presets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register

STAGES = {
    "gain": ("gain:Gain", "Louder or quieter."),
    "polarity": ("polarity:Polarity", "Turn the waveform upside down, in all channels or in some."),
    "dc-removal": ("dc_removal:DcRemoval", "Remove a constant or a drifting offset."),
    "fade": ("fade:Fade", "Fade in from silence, out into silence."),
    "pad": ("pad:Pad", "Add silence at the start or the end."),
    "trim": ("trim:Trim", "Keep the stretch between two times."),
    "trim-silence": ("trim_silence:TrimSilence", "Cut off silence at the start and the end."),
    "channels": ("channels:Channels", "Down-mix, up-mix, pick, swap or map channels."),
    "resample": ("resample:Resample", "Another sample rate, exactly in time."),
    "normalize": ("normalize:Normalize", "Bring the highest peak or true peak to a level."),
    "loudness": ("loudness:Loudness", "Bring the loudness (EBU R 128) to a target, true peak under a ceiling."),
    "expander": ("expander:Expander", "Make what is quiet quieter: breath, spill, room noise."),
    "de-esser": ("de_esser:DeEsser", "Tame hissing s and sh sounds."),
    "highpass": ("filters:Highpass", "Remove what is below a frequency (Butterworth, any order)."),
    "lowpass": ("filters:Lowpass", "Remove what is above a frequency (Butterworth, any order)."),
    "band-pass": ("filters:BandPass", "Keep what is around a frequency."),
    "notch": ("filters:Notch", "Remove one frequency: hum, a whistle."),
    "peak": ("filters:Peak", "Raise or lower what is around a frequency."),
    "low-shelf": ("filters:LowShelf", "Raise or lower everything below a frequency."),
    "high-shelf": ("filters:HighShelf", "Raise or lower everything above a frequency."),
}

PRESETS = {
    "podcast": "A voice: rumble out, level even, s sounds tamed, -16 LUFS.",
    "vinyl-transfer": "A record: rumble and offset out, true peak at -1 dBTP, 24-bit FLAC.",
    "master-streaming": "A master for streaming services: -14 LUFS, -1 dBTP.",
    "broadcast": "A programme for broadcast: EBU R 128, -23 LUFS, -1 dBTP.",
    "lo-fi": "An old sampler: narrow, coarse, warm.",
    "telephone": "A voice down the line: mono, 300 to 3400 Hz.",
    "archive": "Nothing is changed: re-encoded to FLAC and verified.",
}


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="The everyday stages, and the bundled presets.")
    for name, (target, summary) in STAGES.items():
        register.stage(name, kind="effect", summary=summary, target=f"wavechain_essentials.{target}")
    # The last mile needs the limiter too, so the stage lives in the core.
    register.stage(
        "true-peak-limiter",
        kind="effect",
        summary="Hold the true peak under a ceiling, with look-ahead.",
        target="wavechain.limiting:TruePeakLimiter",
    )
    for name, summary in PRESETS.items():
        register.preset(name, summary=summary, path=f"wavechain_essentials:presets/{name}.toml")
