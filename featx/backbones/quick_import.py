"""Import torchvision without torch's compiler, which running a network has no use for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

_COMPILER = "torch._dynamo"


def import_torchvision() -> None:
    """Import torchvision; where it asks torch's compiler something, that is imported when it does.

    One of torchvision's modules imports a function of the compiler's, to ask it something when a
    region of interest is pooled. With the compiler behind it that takes ten times as long as all
    the rest of torchvision (2.2 s beside 0.25), at the start of every extraction.
    """
    if "torchvision" in sys.modules:
        return
    import torch  # noqa: F401  # with all that it imports itself, the compiler perhaps

    if _COMPILER in sys.modules:
        return
    try:
        with _postponed():
            import torchvision
    except (ImportError, AttributeError):  # another torchvision wants more of it
        import torchvision  # noqa: F401  # for whoever imports it next


@contextmanager
def _postponed() -> Iterator[None]:
    """Put modules in the compiler's place whose one function imports it when it is called."""

    def is_compile_supported(*arguments: Any) -> Any:
        return import_module(f"{_COMPILER}.utils").is_compile_supported(*arguments)

    package, utils = ModuleType(_COMPILER), ModuleType(f"{_COMPILER}.utils")
    places = {package.__name__: package, utils.__name__: utils}

    def leave() -> None:
        for name, module in places.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]

    def really(module: str, name: str) -> Any:
        if name.startswith("__"):  # which the import itself asks for
            raise AttributeError(name)
        leave()  # another thread needs the compiler meanwhile
        return getattr(import_module(module), name)

    vars(package).update(__path__=[], __getattr__=partial(really, package.__name__))
    vars(utils).update(
        is_compile_supported=is_compile_supported, __getattr__=partial(really, utils.__name__)
    )
    sys.modules.update(places)
    try:
        yield
    finally:
        leave()
