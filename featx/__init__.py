"""Embed images once with a frozen backbone, fit heads in seconds, believe the number.

>>> import featx
>>> featx.extract("photos", backbone="vgg16")  # doctest: +SKIP
>>> view = featx.load("photos")  # doctest: +SKIP
>>> featx.fit(view, "svm")  # doctest: +SKIP

Nothing heavy is imported until it is used. `featx.plots` draws figures, `featx.reporting` writes
pages of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featx.comparison import Comparison as Comparison
    from featx.comparison import compare as compare
    from featx.curves import LearningCurve as LearningCurve
    from featx.curves import curve as curve
    from featx.embedder import Embedder as Embedder
    from featx.extraction import Extraction as Extraction
    from featx.extraction import extract as extract
    from featx.features import Features as Features
    from featx.features import load as load
    from featx.finetuning import finetune as finetune
    from featx.fitting import cross_validate as cross_validate
    from featx.fitting import fit as fit
    from featx.fitting import fit_targets as fit_targets
    from featx.inspection import Inspection as Inspection
    from featx.inspection import inspect as inspect
    from featx.model import Model as Model
    from featx.model import load_model as load_model
    from featx.planning import Plan as Plan
    from featx.planning import plan as plan
    from featx.prediction import predict as predict
    from featx.probing import Probe as Probe
    from featx.probing import probe_layers as probe_layers
    from featx.reporting import Report as Report
    from featx.reporting import report as report
    from featx.result import FitResult as FitResult
    from featx.surveying import Stats as Stats
    from featx.surveying import stats as stats

_WHERE = {
    "Comparison": "comparison",
    "Embedder": "embedder",
    "Extraction": "extraction",
    "Features": "features",
    "FitResult": "result",
    "Inspection": "inspection",
    "LearningCurve": "curves",
    "Model": "model",
    "Plan": "planning",
    "Probe": "probing",
    "Report": "reporting",
    "Stats": "surveying",
    "compare": "comparison",
    "cross_validate": "fitting",
    "curve": "curves",
    "extract": "extraction",
    "finetune": "finetuning",
    "fit": "fitting",
    "fit_targets": "fitting",
    "inspect": "inspection",
    "load": "features",
    "load_model": "model",
    "plan": "planning",
    "predict": "prediction",
    "probe_layers": "probing",
    "report": "reporting",
    "stats": "surveying",
}
__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'featx' has no attribute {name!r}")
    value = getattr(import_module(f"featx.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
