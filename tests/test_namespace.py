"""The public names."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import featx


def test_every_name_is_there_and_documented() -> None:
    assert sorted(featx.__all__) == list(featx.__all__)
    for name in featx.__all__:
        assert getattr(featx, name).__doc__, name
    assert set(dir(featx)) >= set(featx.__all__)


def test_no_module_hides_a_public_name() -> None:
    """Importing ``featx.x`` sets the attribute ``x``: no public name may be a module's."""
    for module in pkgutil.iter_modules(featx.__path__):
        assert module.name not in featx.__all__
    importlib.import_module("featx.prediction")
    assert callable(featx.predict)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = featx.nonsense
