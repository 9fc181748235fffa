"""What is faulty on purpose lies beside the tests that import it; spawned processes find it there as well."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
