"""The feature store: a content-addressed, append-only table of the vectors of one recipe."""

from __future__ import annotations

from featx.store.adopting import Adopter, Written, write_reserved
from featx.store.block import Block, check_vectors
from featx.store.chunks import Damage
from featx.store.compact import Compaction, compact
from featx.store.layout import (
    DONE,
    EMPTY,
    SCHEMA_VERSION,
    SUPERSEDED,
    UNDECODABLE,
    block_rows,
    lock_file,
    size_bytes,
)
from featx.store.reader import FeatureStore, list_stores
from featx.store.writer import StoreWriter

__all__ = [
    "DONE",
    "EMPTY",
    "SCHEMA_VERSION",
    "SUPERSEDED",
    "UNDECODABLE",
    "Adopter",
    "Block",
    "Compaction",
    "Damage",
    "FeatureStore",
    "StoreWriter",
    "Written",
    "block_rows",
    "check_vectors",
    "compact",
    "list_stores",
    "lock_file",
    "size_bytes",
    "write_reserved",
]
