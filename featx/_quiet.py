"""Keep Pillow's warnings out of the person's terminal while an image is decoded."""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_RULE: Any = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
_lock = threading.Lock()
_inside = 0


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings raised in Pillow's own modules while at least one thread is inside.

    ``warnings.catch_warnings`` replaces the whole list of filters and puts an old one back, which
    from several threads leaves the wrong list behind. Here one rule is counted in and out. What
    Pillow warns about (odd metadata, large images) either fails the image or does not matter.
    """
    global _inside
    filters: Any = warnings.filters
    with _lock:
        _inside += 1
        if _RULE not in filters:
            filters.insert(0, _RULE)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside and _RULE in filters:
                filters.remove(_RULE)


def quiet_log(name: str) -> None:
    """Keep a library's log from being printed where nobody asked for it."""
    logger = logging.getLogger(name)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
