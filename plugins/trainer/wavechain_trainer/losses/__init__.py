"""What a network is told about its output. Signal losses compare two waveforms; objectives play one network against
another. Each is a part: a recipe asks for it by name, and its settings stand in the recipe's file.
"""

from __future__ import annotations
