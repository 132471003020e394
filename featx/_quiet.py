"""Keep warnings of other libraries out of the person's terminal, safely from many threads."""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_inside: Counter[str] = Counter()


@contextmanager
def quiet(module: str) -> Iterator[None]:
    """Ignore warnings raised in a library's own modules while at least one thread is inside.

    ``warnings.catch_warnings`` replaces the whole list of filters and puts an old one back, which
    from several threads leaves the wrong list behind. Here one rule is counted in and out.

    Parameters
    ----------
    module
        Pattern that the beginning of a module's name matches.
    """
    filters: Any = warnings.filters
    rule: Any = ("ignore", None, Warning, re.compile(module), 0)
    with _lock:
        _inside[module] += 1
        if rule not in filters:
            filters.insert(0, rule)
    try:
        yield
    finally:
        with _lock:
            _inside[module] -= 1
            if not _inside[module] and rule in filters:
                filters.remove(rule)


def quiet_log(name: str) -> None:
    """Keep a library's log from being printed where nobody asked for it."""
    logger = logging.getLogger(name)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
