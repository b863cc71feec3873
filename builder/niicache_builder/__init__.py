"""The offline half of niicache: build, verify and describe caches.

    build, BuildOptions, Built   sources -> cache
    plan_build, Plan             what a build would do, writing nothing
    verify, Verification         is the cache whole
    stats, Stats                 what is in it

The command line, ``niicache``, is a thin layer over these.
"""

from __future__ import annotations

from niicache_builder.build import Built, build, plan_build
from niicache_builder.options import BuildOptions
from niicache_builder.plan import Plan
from niicache_builder.stats import Stats, stats
from niicache_builder.verify import Verification, verify

__all__ = [
    "BuildOptions",
    "Built",
    "Plan",
    "Stats",
    "Verification",
    "build",
    "plan_build",
    "stats",
    "verify",
]
