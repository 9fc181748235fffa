"""Networks that tell real sound from made sound, for adversarial training. Each is a part, made from its settings:
``part("discriminator", "multi-period", {"widths": [24, 48]})``.
"""

from __future__ import annotations
