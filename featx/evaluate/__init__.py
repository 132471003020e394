"""Cross-validate a head: arrays in, scores out.

``evaluate(X, y, spec, *, groups=None, split=None, group_name="group", split_name="split",
n_jobs=None, progress=Silent()) -> Evaluation``
"""

from featx.evaluate.result import Candidate, Evaluation, FoldResult, Spec

__all__ = ["Candidate", "Evaluation", "FoldResult", "Spec"]
