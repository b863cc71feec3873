"""How much memory this process may take."""

from __future__ import annotations

import os
import resource


def memory_bytes() -> int:
    """Return the memory of this machine, or the limit of this process where that is less."""
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return there if limit == resource.RLIM_INFINITY else min(there, limit)
