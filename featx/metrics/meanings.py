"""What each metric is, in a line for people: the one place that says it."""

MEANINGS = {
    "accuracy": "share of images whose class was predicted",
    "balanced_accuracy": (
        "mean of the classes' recalls: every class counts the same, however many images it has"
    ),
    "f1_macro": "mean over the classes of F1 = 2 · precision · recall / (precision + recall)",
    "sensitivity": (
        "recall of the positive class, the last in order of two; of more classes the mean of "
        "their recalls"
    ),
    "average_precision": (
        "mean precision over the ranking by score, weighted by the gain in recall; of more "
        "than two classes the mean of one against the rest"
    ),
    "roc_auc": (
        "chance that an image of a class scores higher for it than one of another class; 0.5 "
        "is guessing"
    ),
    "quadratic_kappa": (
        "agreement beyond chance of ordered classes, a miss by two counting four times one by "
        "one: 1 is perfect, 0 is chance"
    ),
    "log_loss": (
        "mean of -log p of the true class, where p is its predicted probability; 0 is perfect"
    ),
    "mae": "mean absolute error, mean |y - p|, in units of the target",
    "rmse": (
        "root of the mean squared error, √ mean (y - p)², in units of the target; large "
        "errors weigh more"
    ),
    "r2": (
        "share of the target's variance that is explained, 1 - Σ(y - p)² / Σ(y - mean y)²; 0 "
        "is saying the mean, below 0 is worse than that"
    ),
    "plcc": (
        "Pearson's linear correlation of prediction and target: 1 is a straight line, 0 is none"
    ),
    "srocc": "Spearman's rank correlation: 1 where predictions put the images in the right order",
    "krocc": (
        "Kendall's rank correlation (tau-b): pairs in the right order less pairs in the wrong "
        "one, as a share of the pairs"
    ),
    "plcc_logistic4": (
        "PLCC after predictions are mapped to the target's scale by a logistic curve with 4 "
        "parameters, fitted to the test images"
    ),
    "plcc_logistic5": (
        "PLCC after predictions are mapped to the target's scale by a logistic curve with 5 "
        "parameters, fitted to the test images"
    ),
    "rmse_logistic4": (
        "RMSE after predictions are mapped to the target's scale by a logistic curve with 4 "
        "parameters, fitted to the test images"
    ),
    "rmse_logistic5": (
        "RMSE after predictions are mapped to the target's scale by a logistic curve with 5 "
        "parameters, fitted to the test images"
    ),
}
"""By name; y is the target, p the prediction."""
