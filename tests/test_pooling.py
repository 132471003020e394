"""Poolings against torch's own operations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # its usual name

from featx.errors import UnknownNameError, UsageError
from featx.pooling import POOLINGS, check_pooling, pool, pooled_dim

RNG = np.random.default_rng(0)
MAPS = RNG.standard_normal((3, 8, 5, 7)).astype(np.float32)
TOKENS = RNG.standard_normal((3, 17, 8)).astype(np.float32)
T = torch.from_numpy(MAPS)
EXPECTED = {
    "flatten": torch.flatten(T, 1),
    "avg": F.adaptive_avg_pool2d(T, 1).flatten(1),
    "max": F.adaptive_max_pool2d(T, 1).flatten(1),
    "std": T.flatten(2).std(dim=2, correction=0),
    "gem": F.avg_pool2d(T.clamp(min=1e-6).pow(3), (5, 7)).pow(1 / 3).flatten(1),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_maps_are_pooled_as_torch_does(name: str) -> None:
    np.testing.assert_allclose(pool(MAPS, name), EXPECTED[name].numpy(), rtol=2e-6, atol=1e-6)


def test_tokens() -> None:
    np.testing.assert_array_equal(pool(TOKENS, "cls"), TOKENS[:, 0])
    np.testing.assert_allclose(pool(TOKENS, "tokens-avg"), TOKENS[:, 1:].mean(1), atol=1e-6)
    np.testing.assert_allclose(pool(TOKENS, "avg"), TOKENS.mean(1), atol=1e-6)


def test_a_vector_stays_itself() -> None:
    vectors = TOKENS[:, 0]
    for name in ("flatten", "avg", "max"):
        np.testing.assert_array_equal(pool(vectors, name), vectors)


@pytest.mark.parametrize("shape", [(8, 5, 7), (17, 8), (8,)])
@pytest.mark.parametrize("name", POOLINGS)
def test_the_promised_dimension(name: str, shape: tuple[int, ...]) -> None:
    if name in {"cls", "tokens-avg"} and len(shape) != 2:
        with pytest.raises(UsageError, match="needs a layer that gives tokens"):
            pooled_dim(name, shape)
        return
    out = pool(np.ones((2, *shape), np.float32), name)
    assert out.shape == (2, pooled_dim(name, shape))
    assert out.dtype == np.float32
    assert out.flags.c_contiguous


def test_an_unknown_pooling_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'flatten'"):
        pool(MAPS, "flaten")


@pytest.mark.parametrize("name", ["cls", "tokens-avg"])
def test_a_token_of_the_image_is_not_taken_for_a_class_token(name: str) -> None:
    for class_token in (True, None):
        check_pooling(name, (17, 8), class_token)
    with pytest.raises(UsageError, match=r"has none.*use avg"):
        check_pooling(name, (17, 8), class_token=False)
    check_pooling("avg", (17, 8), class_token=False)
