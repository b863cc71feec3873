"""The offline half of niicache: build, verify, repair and describe caches.

    build, BuildOptions, Built   sources -> cache
    plan_build, Plan             what a build would do, writing nothing
    verify, Verification         is the cache whole
    repair, Repaired             write again what is damaged
    stats, Stats                 what is in it
    restore                      a prediction on the grid of its source

The command line, ``niicache``, is a thin layer over these. Names are loaded when first used, so
that the command line can start workers before it loads anything heavy.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from niicache_builder.build import Built, build, plan_build
    from niicache_builder.options import BuildOptions
    from niicache_builder.plan import Plan
    from niicache_builder.repair import Repaired, repair
    from niicache_builder.restore import restore
    from niicache_builder.stats import Stats, stats
    from niicache_builder.verify import Verification, verify

__all__ = [
    "BuildOptions",
    "Built",
    "Plan",
    "Repaired",
    "Stats",
    "Verification",
    "build",
    "plan_build",
    "repair",
    "restore",
    "stats",
    "verify",
]

_HOMES = {
    "BuildOptions": "options",
    "Built": "build",
    "Plan": "plan",
    "Repaired": "repair",
    "Stats": "stats",
    "Verification": "verify",
    "build": "build",
    "plan_build": "build",
    "restore": "restore",
    "repair": "repair",
    "stats": "stats",
    "verify": "verify",
}


class _Front(ModuleType):
    """Keeps importing a module from hiding the function of the same name."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Front


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
