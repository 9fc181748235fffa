"""Which stages there are: finding, blocking, loading and explaining plugins.

    specs.py        what a plugin says about a stage, a preset and itself
    register.py     the object that a plugin's hook is given; checks everything when it is said
    discovery.py    entry points into plugin records, one state each
    core_plugin.py  the combinators, registered as any plugin would
    lookup.py       `Registry`: names to stages and back

Two environment variables steer it, and reach every worker process:

    WAVECHAIN_BLOCK="name,name"            these plugins are not even imported
    WAVECHAIN_PREFER="name=distribution"   who may have a plugin name that several distributions claim
"""

from __future__ import annotations

import importlib
from functools import cache

from wavechain.registry.lookup import Registry
from wavechain.registry.specs import (
    KINDS,
    PART_KINDS,
    PLUGIN_API,
    ModelSpec,
    PartSpec,
    PluginRecord,
    PresetSpec,
    StageSpec,
    install_line,
)

__all__ = [
    "KINDS",
    "PART_KINDS",
    "PLUGIN_API",
    "ModelSpec",
    "PartSpec",
    "PluginRecord",
    "PresetSpec",
    "Registry",
    "StageSpec",
    "install_line",
    "registry",
    "reset",
]


@cache
def registry() -> Registry:
    """The registry of this process, built when it is first asked for.

    Raises  UsageError for an environment variable that cannot be read
    """
    return Registry.from_environment()


def reset() -> None:
    """Forget the registry of this process, so that the next call looks for plugins again."""
    registry.cache_clear()
    importlib.invalidate_caches()
