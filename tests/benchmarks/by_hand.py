"""The six-effect chain written by hand with pedalboard and soundfile, in blocks: the floor that wavechain is held to.

python by_hand.py IN.flac OUT.flac
"""

from __future__ import annotations

import sys

import pedalboard
import soundfile

BLOCK = 65_536


def main(source: str, output: str) -> None:
    board = pedalboard.Pedalboard(
        [
            pedalboard.HighpassFilter(80),
            pedalboard.LowShelfFilter(200, 2.0),
            pedalboard.PeakFilter(1000, 1.5, 1.0),
            pedalboard.Compressor(-18, 3, 10, 150),
            pedalboard.Reverb(room_size=0.4, wet_level=0.1, dry_level=0.7),
            pedalboard.Limiter(-2, 100),
        ]
    )
    with soundfile.SoundFile(source) as reader:
        rate, channels = reader.samplerate, reader.channels
        with soundfile.SoundFile(output, "w", rate, channels, "PCM_16") as writer:
            while len(block := reader.read(BLOCK, "float32", always_2d=True)):
                writer.write(board(block.T, rate, reset=False).T)


if __name__ == "__main__":
    main(*sys.argv[1:])
