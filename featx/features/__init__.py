"""Read cached features as arrays: what notebooks and heads work on."""

from featx.features.describe import describe
from featx.features.kind import Kind
from featx.features.opening import load, view
from featx.features.products import KindProducts, products_of
from featx.features.signatures import signatures_of
from featx.features.spent import extract_seconds
from featx.features.view import Features, as_numbers

__all__ = [
    "Features",
    "Kind",
    "KindProducts",
    "as_numbers",
    "describe",
    "extract_seconds",
    "load",
    "products_of",
    "signatures_of",
    "view",
]
