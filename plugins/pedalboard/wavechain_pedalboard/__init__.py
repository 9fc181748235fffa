"""wavechain stages from Spotify's pedalboard: every built-in effect, and hosting of VST3 and Audio Unit plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register

# name, module:class, short, summary. Filters carry the word in their name: the plain names are those of essentials,
# which need no pedalboard.
STAGES = (
    ("bitcrush", "distortion:Bitcrush", True, "Rounds the samples to few levels: the grain of early samplers."),
    (
        "brickwall-limiter",
        "dynamics:BrickwallLimiter",
        True,
        "Keeps every sample under a ceiling, without make-up gain.",
    ),
    ("chorus", "modulation:Chorus", True, "A second, wavering voice: choir, flanger or vibrato."),
    ("clipping", "distortion:Clipping", True, "Cuts the waveform off at a level."),
    ("compressor", "dynamics:Compressor", True, "Turns down what is loud: threshold, ratio, attack, release."),
    ("convolution", "convolution:Convolution", True, "Plays the sound through a recorded room, speaker or spring."),
    ("delay", "space:Delay", True, "Echoes, each quieter than the one before."),
    ("distortion", "distortion:Distortion", True, "Pushes the waveform into a soft ceiling."),
    ("gain", "levels:Gain", False, "Louder or quieter, nothing else."),
    ("gsm-compressor", "codecs:GsmCompressor", True, "A call on a mobile telephone of the 1990s."),
    ("high-shelf-filter", "filters:HighShelfFilter", True, "Raises or lowers everything above a frequency."),
    ("highpass-filter", "filters:HighpassFilter", True, "Thins out what is below a frequency, by 6 dB an octave."),
    ("invert", "levels:Invert", False, "Turns the waveform upside down."),
    ("ladder-filter", "filters:LadderFilter", True, "The resonant filter of early synthesisers."),
    ("limiter", "dynamics:Limiter", True, "Makes it loud: compression, make-up gain and a hard stop at 0 dBFS."),
    ("low-shelf-filter", "filters:LowShelfFilter", True, "Raises or lowers everything below a frequency."),
    ("lowpass-filter", "filters:LowpassFilter", True, "Thins out what is above a frequency, by 6 dB an octave."),
    ("mp3-compressor", "codecs:Mp3Compressor", True, "Encodes to MP3 and decodes again, on the way."),
    ("noise-gate", "dynamics:NoiseGate", True, "Turns down what is quiet: breaths, hiss and room."),
    ("peak-filter", "filters:PeakFilter", True, "Raises or lowers what is around a frequency."),
    ("phaser", "modulation:Phaser", True, "Notches that sweep up and down the spectrum."),
    ("pitch-shift", "pitch:PitchShift", True, "Higher or lower, at the same speed."),
    (
        "plugin-host",
        "plugin_host:PluginHost",
        True,
        "Runs a VST3 or Audio Unit effect that is installed on this machine.",
    ),
    ("resample", "codecs:Resample", False, "Plays the sound through a lower sample rate and back."),
    ("reverb", "space:Reverb", True, "A room: small and dull, or large and bright."),
)


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Effects of Spotify's pedalboard, and hosting of VST3 and Audio Unit plugins.")
    for name, target, short, summary in STAGES:
        register.stage(
            name,
            kind="effect",
            summary=summary,
            target=f"wavechain_pedalboard.{target}",
            requires=("pedalboard",),
            extra="effects",
            short=short,
        )
