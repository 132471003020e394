"""Splits: every row once, groups together, classes in proportion, errors that say what to do."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.cli.parsing import names
from featx.errors import TargetError, UsageError
from featx.folds import Rows, inner_splits, make_plan, parse_cv, read_sides


def rows(counts=(30, 20, 10), groups=None, seed=0):
    codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    names = tuple("abcdefgh"[: len(counts)])
    return Rows(len(codes), codes.astype(np.int64), names, groups, "patient")


def numbers(n=50, groups=None):
    return Rows(n, None, (), groups, "patient")


def apart(described, train, test):
    assert not set(train) & set(test)
    if described.groups is not None:
        assert not set(described.groups[train]) & set(described.groups[test])


@settings(max_examples=25, deadline=None)
@given(st.booleans(), st.booleans(), st.integers(2, 5), st.integers(0, 1000))
def test_folds_test_every_row_once_and_keep_groups_apart(classes, grouped, k, seed):
    groups = np.arange(60) // 2 if grouped else None
    described = rows(groups=groups, seed=seed) if classes else numbers(60, groups)
    try:
        plan = make_plan(described, cv=str(k), seed=seed)
    except TargetError:
        assert grouped
        return
    tested = np.sort(np.concatenate([fold.test for fold in plan.folds]))
    assert np.array_equal(tested, np.arange(60))
    for fold in plan.folds:
        apart(described, fold.train, fold.test)
        assert len(fold.train) + len(fold.test) == 60
        for train, test in fold.inner:
            apart(described, train, test)
            assert set(train) | set(test) == set(fold.train)
        if classes and not grouped:
            shares = np.bincount(described.codes[fold.test], minlength=3) / [30, 20, 10]
            assert np.abs(shares - 1 / k).max() <= 0.1


def test_the_plan_speaks():
    groups = np.arange(60) // 2
    assert make_plan(rows()).how == "5-fold cross-validation, stratified"
    plan = make_plan(rows(groups=groups), cv="3", repeats=2)
    assert plan.how == ("3-fold cross-validation, repeated 2 times, stratified, grouped by patient")
    assert len(plan.folds) == 6
    assert plan.inner_how == "3-fold cross-validation"
    assert make_plan(numbers(), cv="random:4:0.2").how == "4 random splits with 20 % test rows"
    assert not plan.single
    assert np.array_equal(plan.final, np.arange(60))


@pytest.mark.parametrize("classes", [True, False])
@pytest.mark.parametrize("grouped", [True, False])
def test_random_splits_hold_the_fraction_and_the_groups(classes, grouped):
    groups = np.arange(200) // 2 if grouped else None
    described = rows((100, 60, 40), groups) if classes else numbers(200, groups)
    plan = make_plan(described, cv="random:6:0.25", seed=1)
    assert len(plan.folds) == 6
    for fold in plan.folds:
        apart(described, fold.train, fold.test)
        assert len(fold.test) == pytest.approx(50, abs=5)
        assert np.all(np.diff(fold.test) > 0)
        if classes:
            counts = np.bincount(described.codes[fold.test])
            assert np.abs(counts - [25, 15, 10]).max() <= 4
    assert not np.array_equal(plan.folds[0].test, plan.folds[1].test)


def test_repeats_differ_and_seeds_repeat():
    first, again = make_plan(rows(), repeats=2), make_plan(rows(), repeats=2)
    assert not np.array_equal(first.folds[0].test, first.folds[5].test)
    for one, other in zip(first.folds, again.folds, strict=True):
        assert np.array_equal(one.test, other.test)
    assert not np.array_equal(make_plan(rows(), seed=7).folds[0].test, first.folds[0].test)


def test_a_hold_out_keeps_its_test_rows_from_the_final_model():
    plan = make_plan(rows(), test_size=0.25)
    assert plan.notes == ()
    told = make_plan(rows(), test_size=0.25, cv="3")
    assert np.array_equal(told.folds[0].test, plan.folds[0].test)
    assert told.notes == ("cv 3 is not heeded: the test size says which rows are tested",)
    assert plan.single
    assert len(plan.folds) == 1
    assert np.array_equal(plan.final, plan.folds[0].train)
    assert len(plan.folds[0].test) == 15
    assert len(plan.folds[0].inner) == 5


def test_no_search_needs_no_inner_splits():
    plan = make_plan(rows(), search=False)
    assert all(fold.inner == () for fold in plan.folds)
    assert plan.inner_how == ""


def test_training_rows_are_cut_down_and_test_rows_are_not():
    whole, plan = make_plan(rows(), seed=3), make_plan(rows(), train_per_class=4, seed=3)
    for fold, full in zip(plan.folds, whole.folds, strict=True):
        assert np.array_equal(fold.test, full.test)
        assert set(fold.train) <= set(full.train)
        assert np.bincount(rows().codes[fold.train]).tolist() == [4, 4, 4]
        assert len(fold.inner) == 4
    assert len(plan.final) == 12
    assert "cut down to 4 a class" in plan.how


def test_a_column_tunes_on_val_and_scores_test_once():
    split = np.array((["train"] * 3 + ["Valid"] + ["TEST "]) * 12, dtype=object)
    plan = make_plan(rows(), split=split, split_name="fold")
    (fold,) = plan.folds
    assert plan.single
    assert np.array_equal(fold.test, np.flatnonzero(split == "TEST "))
    ((train, val),) = fold.inner
    assert np.array_equal(val, np.flatnonzero(split == "Valid"))
    assert np.array_equal(np.sort(np.r_[train, val]), fold.train)
    assert plan.how == "a single split by column 'fold': 12 test rows"
    assert plan.inner_how == "its 12 val rows"


def test_a_column_without_val_tunes_in_folds_and_without_test_scores_val():
    split = np.array(["train", "train", "test"] * 20)
    assert len(make_plan(rows(), split=split).folds[0].inner) == 5
    plan = make_plan(rows(), split=np.array(["train", "train", "val"] * 20))
    assert len(plan.folds[0].test) == 20
    assert "no test rows" in plan.notes[0]


def test_groups_on_both_sides_of_a_column_are_pointed_out():
    split = np.array(["train", "test"] * 30)
    plan = make_plan(rows(groups=np.arange(60) // 3), split=split)
    assert "20 of 20 test groups (patient)" in plan.warnings[0]
    apart_split = np.repeat(["train", "test"], 30)
    assert make_plan(rows(groups=np.arange(60) // 3), split=apart_split).warnings == ()


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"split": np.array(["train", "a"] * 30)}, "'a'"),
        ({"split": np.array(["train"] * 60)}, "no test rows"),
        ({"split": np.array(["test"] * 60)}, "no train rows"),
        ({"split": np.where(rows().codes == 2, "test", "train"), "x": 1}, "class 'c'"),
        ({"train_per_class": 11}, "--train-per-class 8"),
        ({"train_per_class": 1}, "--no-search"),
    ],
)
def test_what_a_split_cannot_serve(kwargs, words):
    kwargs.pop("x", None)
    if words == "class 'c'":
        kwargs["split"][:1] = "test"
    with pytest.raises(TargetError, match=words):
        make_plan(rows(), **kwargs)


@pytest.mark.parametrize("cv", ["1", "0", "x", "random:3", "random:x:0.2", "random:0:0.2", "2.5"])
def test_a_cv_that_cannot_be_read(cv):
    with pytest.raises(UsageError, match="--cv 5"):
        make_plan(rows(), cv=cv)


def test_other_values_that_cannot_be_worked_with():
    for kwargs in ({"test_size": 1.5}, {"test_size": 0.0}, {"repeats": 0}, {"train_per_class": 0}):
        with pytest.raises(UsageError):
            make_plan(rows(), **kwargs)
    for kwargs in ({"test_size": 0.2}, {"repeats": 2}):
        with pytest.raises(UsageError, match="which rows are tested"):
            make_plan(rows(), split=np.array(["train", "test"] * 30), **kwargs)
    with pytest.raises(UsageError, match="needs classes"):
        make_plan(numbers(), train_per_class=3)


def test_too_few_of_a_class_or_of_groups():
    with pytest.raises(
        TargetError, match=r"class 'c' has 3 rows, fewer than the 5 folds; leave .* or use --cv 3"
    ):
        make_plan(rows((10, 10, 3)))
    with pytest.raises(TargetError, match="needs 2 at least"):
        make_plan(rows((10, 1)))
    few = np.repeat([0, 1, 2], 20)
    with pytest.raises(TargetError, match=r"there are 3 groups \(patient\)"):
        make_plan(numbers(60, few))
    with pytest.raises(TargetError, match="only one class, 'a'"):
        make_plan(rows((10,)))
    with pytest.raises(TargetError, match="cannot be split"):
        make_plan(rows(), test_size=0.01)
    with pytest.raises(TargetError, match="fewer than the 5 folds"):
        make_plan(numbers(3))
    with pytest.raises(TargetError, match="there are 3 images, fewer"):
        make_plan(Rows(60, None, groups=few))


@pytest.mark.parametrize("search", [False, True])
def test_the_advice_for_a_class_of_two_leads_out(search):
    few = rows((10, 10, 2))
    with pytest.raises(TargetError) as caught:
        make_plan(few, search=search)
    said = str(caught.value)
    leave = "leave that class out: --missing c or use --cv 2"
    assert said.startswith(f"class 'c' has 2 rows, fewer than the 5 folds; {leave}")
    assert said.endswith("--cv 2 --no-search") == search
    assert len(make_plan(few, cv="2", search=False).folds) == 2  # as advised

    with pytest.raises(TargetError, match="has 1 row among the training rows") as caught:
        make_plan(few, cv="2")
    assert "--no-search, or leave that class out: --missing c" in str(caught.value)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (
            (9, 9, 2, 3),
            "leave the 2 classes that have fewer out: --missing c,d or use --cv 2 --no-search",
        ),
        ((9, 9, 2, 3, 2, 3), "--missing c,d,e,... or use --cv 2 --no-search"),
        ((9, 2), "label more of it or use --cv 2 --no-search"),
        ((4, 2), "label more of such classes or use --cv 2 --no-search"),
        ((9, 9, 1), "it needs 2 at least: leave that class out: --missing c"),
    ],
)
def test_what_else_helps_a_class_of_few(counts, said):
    with pytest.raises(TargetError) as caught:
        make_plan(rows(counts))
    assert str(caught.value).endswith(said)


def test_names_of_classes_can_be_pasted():
    codes = np.repeat([0, 1, 2], (9, 9, 2))
    described = Rows(20, codes, ("a", "b", "a, b's"), None)
    with pytest.raises(TargetError) as caught:
        make_plan(described)
    pasted = shlex.split(str(caught.value).split("--missing ")[1])
    assert names(pasted[:1]) == ("a, b's",)


def test_the_advice_for_one_training_row_a_class_leads_out():
    few = rows((9, 9, 2))
    with pytest.raises(TargetError, match=r"1 training row, .* --train-per-class 1 --no-search"):
        make_plan(few, cv="2", train_per_class=3)
    assert make_plan(few, cv="2", train_per_class=1, search=False).folds


def test_rows_all_on_one_side_of_a_column_are_not_drawn_anew():
    described = rows()
    split = np.where(described.codes == 2, "test", "train")
    split[:1] = "test"
    with pytest.raises(TargetError, match="change column 'split', label more of it") as caught:
        make_plan(described, split=split)
    assert "--cv" not in str(caught.value)


def test_a_class_in_one_group_cannot_be_on_both_sides():
    groups = np.where(rows((30, 4)).codes == 1, 99, np.arange(34))
    with pytest.raises(TargetError, match=r"class 'b' has 1 group \(patient\), fewer than the 2"):
        make_plan(rows((30, 4), groups), cv="random:20:0.5")


def test_groups_too_large_for_the_fraction():
    with pytest.raises(TargetError, match="60 training and 0 test rows"):
        make_plan(rows(groups=np.arange(60) // 20), test_size=0.01)


def test_inner_folds_are_as_many_as_the_smallest_class_allows():
    described = rows((20, 3))
    assert len(inner_splits(described, np.arange(23), 5, 0)) == 3


def test_words_for_sides():
    assert read_sides(np.array(["Training", "dev", "holdout"])).tolist() == [
        "train", "val", "test",
    ]  # fmt: skip
    assert parse_cv("random:10:0.2") == ("random", 10, 0.2)
