"""Logistic mappings against scipy's curve_fit of the published formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad, curve_fit
from scipy.special import expit

from featx.mapping import _Projected, fit_mapping


def vqeg(x, b1, b2, b3, b4):
    return b2 + (b1 - b2) / (1 + np.exp(-(x - b3) / np.abs(b4)))


def sheikh(x, b1, b2, b3, b4, b5):
    return b1 * (0.5 - 1 / (1 + np.exp(b2 * (x - b3)))) + b4 * x + b5


FORMULAS = {4: vqeg, 5: sheikh}
TRUE = {4: (90.0, 15.0, 40.0, 9.0), 5: (70.0, 0.12, 45.0, 0.2, 30.0)}
CASES = [(p, turn, noise) for p in (4, 5) for turn in (1, -1) for noise in (2.0, 8.0)]


def error(y, f):
    return float(np.mean((y - f) ** 2))


@pytest.mark.parametrize(("p", "turn", "noise"), CASES)
def test_the_fit_is_that_of_curve_fit_on_the_formula(p, turn, noise):
    rng = np.random.default_rng(p)
    x = rng.uniform(0, 100, 300)
    y = turn * (FORMULAS[p](x, *TRUE[p]) + rng.normal(0, noise, 300))
    swapped = {4: (turn * 90.0, turn * 15.0, 40.0, 9.0), 5: (70.0 * turn, 0.12, 45.0, 0.2, 30.0)}
    b, _ = curve_fit(FORMULAS[p], x, y, p0=swapped[p], maxfev=10_000)
    truth, found = FORMULAS[p](x, *b), fit_mapping(x, y, p)
    # Both stop within 1e-8 of the least error; the curve there is flat to the root of that.
    assert error(y, found) == pytest.approx(error(y, truth), rel=1e-6)
    np.testing.assert_allclose(found, truth, atol=2e-3 * np.ptp(truth))


@pytest.mark.parametrize("p", [4, 5])
def test_a_curve_of_the_family_is_found_exactly(p):
    x = np.linspace(0, 100, 60)
    y = FORMULAS[p](x, *TRUE[p])
    np.testing.assert_allclose(fit_mapping(x, y, p), y, atol=2e-3)


@pytest.mark.parametrize("p", [4, 5])
def test_units_do_not_matter(p):
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    y = expit(2 * x) + rng.normal(0, 0.1, 80)
    plain, other = fit_mapping(x, y, p), fit_mapping(1e4 - 50 * x, 3 - 1e-3 * y, p)
    np.testing.assert_allclose(other, 3 - 1e-3 * plain, atol=1e-3 * 1e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(7, 60), st.floats(-2, 2))
def test_it_is_never_worse_than_a_straight_line_with_five_and_a_constant_with_four(seed, m, slope):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=m)
    y = slope * x + rng.normal(size=m)
    line = np.polyval(np.polyfit(x, y, 1), x)
    assert error(y, fit_mapping(x, y, 5)) <= error(y, line) * (1 + 1e-9)
    assert error(y, fit_mapping(x, y, 4)) <= y.var() * (1 + 1e-9)


def test_a_straight_relation_stays_straight_with_four():
    x = np.linspace(-1, 1, 50)
    found = fit_mapping(x, 5 + 2 * x, 4)
    # The least slope that is looked at, 1/30 a standard deviation, bends less than 1e-3 over it.
    np.testing.assert_allclose(found, 5 + 2 * x, atol=4e-3)


@pytest.mark.parametrize("straight", [False, True])
def test_the_gradient_is_that_of_differences(straight):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 40))
    x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    problem = _Projected.of(x, y, straight)
    for at in ((1.0, 0.0), (4.0, 0.5), (0.3, -1.0)):
        off = check_grad(lambda b: problem.loss(b)[0], lambda b: problem.loss(b)[1], at)
        assert off < 1e-6


@pytest.mark.parametrize("p", [4, 5])
def test_nothing_to_map_is_nan(p):
    rng = np.random.default_rng(0)
    y = rng.normal(size=20)
    few = np.arange(20) % p
    for x, target in ((np.full(20, 0.1), y), (y, np.full(20, 7.0)), (few.astype(float), y)):
        found = fit_mapping(x, target, p)
        assert found.shape == (20,)
        assert np.isnan(found).all()
    assert np.isfinite(fit_mapping((np.arange(20) % (p + 1)).astype(float), y, p)).all()


def test_a_step_far_from_every_value_leaves_the_line():
    problem = _Projected.of(np.array([-1.0, 1.0]), np.array([-1.0, 1.0]), straight=False)
    value, gradient = problem.loss(np.array([30.0, 1000.0]))
    assert value == 1
    assert not gradient.any()
    assert not problem.value(np.array([30.0, 1000.0])).any()
