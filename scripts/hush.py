"""TensorFlow's greeting, left out.

On import it writes lines about oneDNN and absent GPU drivers straight to file descriptor 2, before
any setting of its logger applies: TF_CPP_MIN_LOG_LEVEL=3 does not stop them (TensorFlow 2.21).
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def hushed_stderr() -> Iterator[None]:
    """Send what is written to file descriptor 2 nowhere; exceptions are raised as ever."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def import_keras() -> None:
    """Import Keras and its backend without the greeting.

    Raises:
        ImportError: If Keras or its backend is not installed.
    """
    with hushed_stderr():
        import keras  # noqa: F401 - only to have it loaded, in silence
