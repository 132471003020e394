"""What a fit takes is estimated before it starts; what does not fit is refused with a way out."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from featx import _memory
from featx._memory import available
from featx.errors import UsageError
from featx.evaluate import Source, Spec, evaluate
from featx.evaluate.room import estimate, fitting_jobs
from featx.evaluate.setup import Setup, read_setup
from featx.gram import ArrayVectors

GIB = 2**30


def asked(n: int, d: int, head: str, **more: Any) -> tuple[list[Source], Setup]:
    """Give features that take no memory, and a head for them."""
    X = np.broadcast_to(np.float16(1), (n, d))

    def no_gram() -> Any:
        raise AssertionError("nothing may be computed")

    y = np.arange(n) / n if head == "svr" else np.arange(n) % 3
    spec = Spec(head, **more)
    blocks = [Source(ArrayVectors(X), no_gram)]
    return blocks, read_setup(n, 1, y, spec, None, None, "group", "split")


@pytest.mark.parametrize("head", ["svm", "ridge", "logreg"])
@pytest.mark.parametrize(("n", "d"), [(12_500, 25_088), (70_000, 2_048)])
def test_the_stated_sets_fit_into_8_gib_on_two_threads(head: str, n: int, d: int) -> None:
    sources, setup = asked(n, d, head)
    assert fitting_jobs(sources, setup, 2, streams=True, free=8 * GIB) == 2


def test_fewer_threads_come_before_a_refusal() -> None:
    sources, setup = asked(12_500, 25_088, "svm")
    assert fitting_jobs(sources, setup, 16, streams=True, free=8 * GIB) in range(2, 16)


@pytest.mark.parametrize(
    ("head", "n", "d", "fixed", "way"),
    [
        ("knn", 20_000, 30_000, {}, "--head svm, ridge or logreg"),
        ("knn", 50_000, 768, {}, "--head svm, ridge or logreg"),
        ("svm", 50_000, 768, {"loss": "hinge"}, "--set loss=squared_hinge"),
        ("svr", 50_000, 768, {}, "--set loss=squared_epsilon_insensitive"),
    ],
)
def test_too_much_is_refused_before_anything_is_computed(
    head: str, n: int, d: int, fixed: Any, way: str
) -> None:
    sources, setup = asked(n, d, head, fixed=fixed, cv="random:1:0.2", search=False)
    with pytest.raises(UsageError, match=rf"{head} on {n:,} x {d:,} .* GiB are free.*{way}"):
        fitting_jobs(sources, setup, 4, streams=False, free=GIB)


def test_streamed_rows_that_do_not_fit_say_fewer() -> None:
    sources, setup = asked(70_000, 2_048, "svm")
    with pytest.raises(UsageError, match="fewer rows, or pooled features; or say"):
        fitting_jobs(sources, setup, 1, streams=True, free=GIB // 2)


def test_scaling_in_each_split_and_fusing_take_more() -> None:
    plain = estimate(*asked(8_000, 10_000, "svm"), streams=True)
    scaled = estimate(*asked(8_000, 10_000, "svm", scale="standard"), streams=True)
    (one,), setup = asked(8_000, 10_000, "svm")
    fused = estimate([one, one], setup, streams=True)
    assert scaled.each > plain.each
    assert fused.of(1) > plain.of(1)


def test_what_is_free_can_be_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATX_MEMORY_GIB", "1.5")
    assert available() == 1.5 * GIB
    for wrong in ("much", "-1", "nan"):
        monkeypatch.setenv("FEATX_MEMORY_GIB", wrong)
        with pytest.raises(UsageError, match=f"'{wrong}'; expected a number, at least 0"):
            available()


def test_an_evaluation_looks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATX_MEMORY_GIB", "0.1")
    X = np.random.default_rng(0).normal(size=(30, 4))
    with pytest.raises(UsageError, match=r"30 x 4 features takes about 0\.3 .* for the libraries"):
        evaluate(X, np.arange(30) % 2)


def test_the_system_says_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEATX_MEMORY_GIB", raising=False)
    assert 2**20 < available() < 2**50


def test_a_container_and_other_systems_have_their_own_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FEATX_MEMORY_GIB", raising=False)
    files = {"memory.max": "3000", "memory.current": "2500", "memory.stat": "inactive_file 700"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 7 kB\n")
    places = {"/sys/fs/cgroup": tmp_path, "/proc/meminfo": tmp_path / "meminfo"}
    monkeypatch.setattr(_memory, "Path", places.__getitem__)
    monkeypatch.setattr(sys, "platform", "linux")
    assert available() == 1200
    (tmp_path / "memory.max").write_text("max")
    assert available() == 7 * 1024
    (tmp_path / "meminfo").unlink()
    monkeypatch.setattr("os.sysconf", lambda name: len(name), raising=False)
    assert available() == len("SC_PAGE_SIZE") * len("SC_PHYS_PAGES")


def test_windows_is_asked_by_its_own_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(status: Any) -> int:
        status._obj[1], status._obj[2] = 64, 42
        return 1

    monkeypatch.delenv("FEATX_MEMORY_GIB", raising=False)
    kernel = SimpleNamespace(GlobalMemoryStatusEx=answer)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert available() == 42
