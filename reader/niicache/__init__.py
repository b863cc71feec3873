"""Class-balanced batches from NIfTI folders, at the speed of memory.

    open_cache        a cache that ``niicache build`` wrote
    BalancedSequence  a Keras Sequence over it, for training
    OrderedSequence   a Keras Sequence of every case once, for evaluation
    Foreground        how often patches hold foreground, for ``BalancedSequence(foreground=)``
    augment           transforms, for ``BalancedSequence(transform=)``
    sliding_window    a whole case predicted by patches that overlap
    errors            everything that is raised on purpose

Names are loaded when first used, so that ``import niicache`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from niicache import errors
from niicache._version import __version__

if TYPE_CHECKING:
    from niicache import augment
    from niicache.balanced import BalancedSequence
    from niicache.cache import Cache, open_cache
    from niicache.ordered import OrderedSequence
    from niicache.patches.foreground import Foreground
    from niicache.patches.sliding import sliding_window
    from niicache.view import ClassView, Sample

__all__ = [
    "BalancedSequence",
    "Cache",
    "ClassView",
    "Foreground",
    "OrderedSequence",
    "Sample",
    "__version__",
    "augment",
    "errors",
    "open_cache",
    "sliding_window",
]

_HOMES = {
    "BalancedSequence": "niicache.balanced",
    "Cache": "niicache.cache",
    "ClassView": "niicache.view",
    "Foreground": "niicache.patches.foreground",
    "OrderedSequence": "niicache.ordered",
    "Sample": "niicache.view",
    "open_cache": "niicache.cache",
    "sliding_window": "niicache.patches.sliding",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    from importlib import import_module

    if name == "augment":
        return import_module("niicache.augment")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
