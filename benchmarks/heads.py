"""How fast heads are cross-validated, beside what else a user would try.

    python benchmarks/heads.py svm FEATURES.npy LABELS.npy      (5 folds x 7 values of C)
    python benchmarks/heads.py ridge FEATURES.npy TARGET.npy    (5 folds x 13 alphas)
    python benchmarks/heads.py svr FEATURES.npy TARGET.npy      (5 folds x 7 values of C)
    python benchmarks/heads.py wide              (made up: 2,500 x 100,352, 25 classes)

FEATURES is an (n, d) array, as ``np.save`` writes ``featx.load(...).raw``. Each row of the table is
a process of its own, one after the other, in rounds (``--rounds``): its time begins when the array
is loaded and the libraries are imported, and ends with the scores of every fold and candidate; its
memory is the whole process' peak. A figure is the median over rounds, and the ratio is taken in
each round before its median. ``--skip NAME`` leaves a row out, ``--only NAME`` takes just those.
Rows whose library is not installed are left out and named.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from machine import machine

CS = [10.0**power for power in range(-6, 1)]
ALPHAS = [10.0**power for power in range(-4, 9)]
TOL = 1e-4


def folds(y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = KFold if y.dtype.kind == "f" else StratifiedKFold
    return list(kind(5, shuffle=True, random_state=0).split(np.zeros(len(y)), y))


def made_up() -> tuple[np.ndarray, np.ndarray]:
    """2,500 x 100,352 float16: the positive part of a class' mean, a cell's mean and noise.

    25 classes of 100. Every feature has a Gaussian mean of standard deviation 0.25 for each class
    and a bias of -0.8; noise has standard deviation 1. A fifth of the values is above zero.
    """
    rng = np.random.default_rng(0)
    y = np.arange(2500) % 25
    X = np.empty((2500, 100_352), np.float16)
    for start in range(0, 100_352, 2048):
        part = X[:, start : start + 2048]
        centres = 0.25 * rng.standard_normal((25, part.shape[1]), dtype=np.float32) - 0.8
        part[...] = np.maximum(centres[y] + rng.standard_normal(part.shape, dtype=np.float32), 0)
    return X, y


# What each row does with X (n, d) and y: it returns scores (candidates, folds), or None.


def featx_svm(X: np.ndarray, y: np.ndarray) -> Any:
    return _featx(X, y, "svm", {"C": CS})


def featx_svr(X: np.ndarray, y: np.ndarray) -> Any:
    return _featx(X, y, "svr", {"C": CS})


def featx_ridge(X: np.ndarray, y: np.ndarray) -> Any:
    return _featx(X, y, "ridge", {"alpha": ALPHAS})


def _featx(X: np.ndarray, y: np.ndarray, head: str, grid: dict[str, list[float]]) -> Any:
    from featx.evaluate import Source, Spec, grid_scores
    from featx.gram import ArrayVectors, Gram

    kept = os.environ.get("BENCH_GRAM")  # where this row may use what a row before it kept
    given = X if kept is None else [Source(ArrayVectors(X), lambda: Gram(np.load(kept), False))]
    task = "regression" if y.dtype.kind == "f" else "classification"
    values = grid_scores(given, y, Spec(head=head, grid=grid, task=task)).values
    return -values if y.dtype.kind == "f" else values  # an error counts downwards, as elsewhere


def sklearn_svm(X: np.ndarray, y: np.ndarray) -> Any:
    from sklearn.svm import LinearSVC

    return _grid_search(LinearSVC(tol=TOL, random_state=0), {"C": CS}, X, y, "accuracy")


def sklearn_svm_converged(X: np.ndarray, y: np.ndarray) -> Any:
    from sklearn.svm import LinearSVC

    svm = LinearSVC(dual=True, tol=1e-6, max_iter=1_000_000, random_state=0)
    return _grid_search(svm, {"C": CS}, X, y, "accuracy")


def sklearn_svr(X: np.ndarray, y: np.ndarray) -> Any:
    from sklearn.svm import LinearSVR

    svr = LinearSVR(tol=TOL, random_state=0)
    return _grid_search(svr, {"C": CS}, X, y, "neg_root_mean_squared_error")


def sklearn_ridge(X: np.ndarray, y: np.ndarray) -> Any:
    from sklearn.linear_model import Ridge, RidgeClassifier

    if y.dtype.kind == "f":
        return _grid_search(Ridge(), {"alpha": ALPHAS}, X, y, "neg_root_mean_squared_error")
    return _grid_search(RidgeClassifier(), {"alpha": ALPHAS}, X, y, "accuracy")


def _grid_search(model: Any, grid: dict[str, list[float]], X: Any, y: Any, scoring: str) -> Any:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV

    warnings.simplefilter("ignore", ConvergenceWarning)
    os.environ["PYTHONWARNINGS"] = "ignore"
    jobs = int(os.environ.get("BENCH_JOBS", "2"))
    search = GridSearchCV(model, grid, cv=folds(y), n_jobs=jobs, refit=False, scoring=scoring)
    search.fit(X, y)
    return [
        [search.cv_results_[f"split{fold}_test_score"][i] for fold in range(5)]
        for i in range(len(search.cv_results_["params"]))
    ]


def himalaya_ridge(X: np.ndarray, y: np.ndarray) -> Any:
    from himalaya.backend import set_backend
    from himalaya.kernel_ridge import KernelRidgeCV

    set_backend("torch")
    Y = y[:, None] if y.dtype.kind == "f" else 2.0 * (y[:, None] == np.unique(y)) - 1
    model = KernelRidgeCV(alphas=ALPHAS, kernel="linear", cv=folds(y))
    model.fit(X.astype(np.float32), Y.astype(np.float32))


def one_sklearn_svm(X: np.ndarray, y: np.ndarray) -> Any:
    """One fold at the middle C, to be multiplied."""
    return [[_fit_one(X, y, *folds(y)[0])]]


def two_sklearn_svm(X: np.ndarray, y: np.ndarray) -> Any:
    """Two folds at the middle C at the same time, as n_jobs=2 does; to be multiplied."""
    from joblib import Parallel, delayed

    found = Parallel(n_jobs=2)(delayed(_fit_one)(X, y, *fold) for fold in folds(y)[:2])
    return [found]


def _fit_one(X: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    from sklearn.svm import LinearSVC

    svm = LinearSVC(C=1e-3, tol=TOL, random_state=0).fit(X[train], y[train])
    return float(svm.score(X[test], y[test]))


def intel_svc(X: np.ndarray, y: np.ndarray) -> Any:
    """One linear SVC of scikit-learn-intelex, which has no LinearSVC."""
    from sklearnex.svm import SVC

    train, test = folds(y)[0]
    svm = SVC(kernel="linear", C=1e-3).fit(X[train], y[train])
    return [[svm.score(X[test], y[test])]]


def intel_ridge(X: np.ndarray, y: np.ndarray) -> Any:
    """One Ridge of scikit-learn-intelex."""
    from sklearnex.linear_model import Ridge

    train, test = folds(y)[0]
    ridge = Ridge(alpha=1e4).fit(X[train], y[train])
    return [[-float(np.sqrt(np.mean((ridge.predict(X[test]) - y[test]) ** 2)))]]


FEATX = "featx"
TABLES: dict[str, dict[str, tuple[Callable[..., Any], dict[str, str], float]]] = {
    # name: what it does, its environment, how many times it has to be done
    "svm": {
        "featx, cold: compiling too": (featx_svm, {"NUMBA_CACHE_DIR": "NEW"}, 1),
        FEATX: (featx_svm, {}, 1),
        "featx, Gram matrix kept": (featx_svm, {"BENCH_GRAM": "KEPT"}, 1),
        "GridSearchCV(LinearSVC), n_jobs=2": (sklearn_svm, {"BENCH_JOBS": "2"}, 1),
        "GridSearchCV(LinearSVC), n_jobs=1": (sklearn_svm, {"BENCH_JOBS": "1"}, 1),
        "scikit-learn-intelex SVC: 1 of 35 fits": (intel_svc, {}, 35),
        "LinearSVC, tol 1e-6, n_jobs=2": (sklearn_svm_converged, {"BENCH_JOBS": "2"}, 1),
    },
    "wide": {
        "featx, cold: compiling too": (featx_svm, {"NUMBA_CACHE_DIR": "NEW"}, 1),
        FEATX: (featx_svm, {}, 1),
        "featx, Gram matrix kept": (featx_svm, {"BENCH_GRAM": "KEPT"}, 1),
        "LinearSVC, n_jobs=1: 1 of 35 fits": (one_sklearn_svm, {}, 35),
        "LinearSVC, n_jobs=2: 2 of 35 fits": (two_sklearn_svm, {}, 17.5),
    },
    "ridge": {
        FEATX: (featx_ridge, {}, 1),
        "featx, Gram matrix kept": (featx_ridge, {"BENCH_GRAM": "KEPT"}, 1),
        "himalaya KernelRidgeCV, torch": (himalaya_ridge, {}, 1),
        "GridSearchCV(Ridge), n_jobs=2": (sklearn_ridge, {"BENCH_JOBS": "2"}, 1),
        "scikit-learn-intelex Ridge: 1 of 65 fits": (intel_ridge, {}, 65),
    },
    "svr": {
        "featx, cold: compiling too": (featx_svr, {"NUMBA_CACHE_DIR": "NEW"}, 1),
        FEATX: (featx_svr, {}, 1),
        "featx, Gram matrix kept": (featx_svr, {"BENCH_GRAM": "KEPT"}, 1),
        "GridSearchCV(LinearSVR), n_jobs=2": (sklearn_svr, {"BENCH_JOBS": "2"}, 1),
    },
}


def load(features: str, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Give float32 features, and classes as numbers or a target as float64."""
    if features == "made up":
        return made_up()
    X = np.load(features).astype(np.float32, copy=False)
    y = np.load(target, allow_pickle=False)
    return X, y.astype(np.float64) if y.dtype.kind == "f" else np.unique(y, return_inverse=True)[1]


def child(table: str, row: str, features: str, target: str) -> None:
    """Time one row and print it as JSON."""
    function = TABLES[table][row][0]
    X, y = load(features, target)
    if function in (one_sklearn_svm, two_sklearn_svm, intel_svc) and X.dtype == np.float16:
        X = X.astype(np.float32)
    import sklearn.model_selection
    import sklearn.svm  # noqa: F401  # imports are not timed
    from joblib.externals.loky import get_reusable_executor

    import featx.evaluate
    import featx.solvers.svm  # noqa: F401  # numba; compiling is timed

    if function is himalaya_ridge:
        import himalaya.kernel_ridge  # noqa: F401  # imports are not timed
        import torch  # noqa: F401  # imports are not timed
    X.max()  # every page of it is in memory now
    start = time.perf_counter()
    scores = function(X, y)
    seconds = time.perf_counter() - start
    get_reusable_executor().shutdown(wait=True)  # what workers took is known once they have ended
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    kids = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    out = {"seconds": seconds, "peak": peak, "largest_worker": kids}
    print(json.dumps(out | {"scores": None if scores is None else np.asarray(scores).tolist()}))


def run(table: str, row: str, features: str, target: str, folder: Path) -> dict[str, Any] | None:
    """Run one row in a process of its own; None where a library is missing."""
    environment = dict(os.environ)
    for name, value in TABLES[table][row][1].items():
        known = {"NEW": tempfile.mkdtemp(dir=folder), "KEPT": str(folder / "gram.npy")}
        environment[name] = known.get(value, value)
    command = [sys.executable, __file__, "--child", row, table, features, target]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        reason = lines[-1] if lines else f"ended with {done.returncode} (-9: out of memory)"
        print(f"left out: {row}: {reason}", flush=True)
        return None
    return dict(json.loads(done.stdout.splitlines()[-1]))


def keep_gram(features: str, target: str, folder: Path) -> None:
    from featx.gram import ArrayVectors, build_gram

    X, _ = load(features, target)
    np.save(folder / "gram.npy", build_gram(ArrayVectors(X)).values)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("features", nargs="?", default="made up")
    parser.add_argument("target", nargs="?", default="")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--skip", action="append", default=[])
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        child(options.table, options.child, options.features, options.target)
        return
    rows = [
        row
        for row in TABLES[options.table]
        if not any(word in row for word in options.skip)
        and (not options.only or any(word in row for word in options.only))
    ]
    found: dict[str, list[dict[str, Any]]] = {row: [] for row in rows}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keep_gram(options.features, options.target, folder)
        for _ in range(options.rounds):
            for row in list(rows):
                result = run(options.table, row, options.features, options.target, folder)
                if result is None:
                    rows.remove(row)
                    continue
                result["seconds"] *= TABLES[options.table][row][2]
                found[row].append(result)
                print(f"  {row}: {result['seconds']:.2f} s", flush=True)
    report(options.table, rows, found)


def report(table: str, rows: list[str], found: dict[str, list[dict[str, Any]]]) -> None:
    """Print the table: seconds, memory, and how many times longer than featx."""
    made_on = machine("numpy", "scipy", "scikit-learn", "numba")
    print(f"\n{made_on}\n\n| {table} | seconds | times featx | peak MiB | best mean score |")
    print("|---|---|---|---|---|")
    for row in rows:
        results = found[row]
        ratio = median(
            a["seconds"] / b["seconds"] for a, b in zip(results, found[FEATX], strict=True)
        )
        workers = 2 if "n_jobs=2" in row else 0
        peak = max(r["peak"] + workers * r["largest_worker"] for r in results)
        scores = results[0]["scores"]
        best = "" if scores is None else f"{np.asarray(scores).mean(axis=1).max():.4f}"
        seconds = median(r["seconds"] for r in results)
        note = " (extrapolated)" if TABLES[table][row][2] > 1 else ""
        print(f"| {row} | {seconds:.2f}{note} | {ratio:.1f} | {peak / 2**20:.0f} | {best} |")
    grids = {row: np.asarray(found[row][0]["scores"]) for row in rows if found[row][0]["scores"]}
    whole = {row: scores for row, scores in grids.items() if scores.shape == grids[FEATX].shape}
    for row, scores in whole.items():
        worst = np.abs(scores - grids[FEATX]).max()
        print(
            f"{row}: best candidate {scores.mean(axis=1).argmax()}, largest difference of a "
            f"fold's score from featx {worst:.6f}"
        )


if __name__ == "__main__":
    main()
