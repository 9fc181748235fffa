"""What happens to recordings: one fault a module, each a `wavechain.recipes.Degradation`.

Conventions: waveforms (channels, frames) float32, any channel count; time exact, length kept; what comes out is new,
finite and may exceed [-1, 1]; all chance comes from the generator that is handed in. Silence gets no level to compare
with, so faults that are measured against the signal leave it silent.
"""

from __future__ import annotations
