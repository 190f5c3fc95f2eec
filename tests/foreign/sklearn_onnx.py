"""Recipes: scikit-learn's networks on vectors -> ONNX with skl2onnx."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def recipes() -> dict[str, Callable[[], bytes]]:
    """File name -> maker."""
    common = {"max_iter": 20, "random_state": 0}
    classifier = partial(MLPClassifier, hidden_layer_sizes=(24,), **common)
    regressor = partial(MLPRegressor, hidden_layer_sizes=(16, 8), **common)
    logistic = partial(LogisticRegression, max_iter=200)
    return {
        "sklearn_mlp.onnx": partial(convert, classifier, {}),
        "sklearn_mlp_plain.onnx": partial(convert, classifier, {"zipmap": False}),
        "sklearn_mlp_regressor.onnx": partial(convert, regressor, None),
        "sklearn_mlp_tanh.onnx": partial(convert, partial(classifier, activation="tanh"), {}),
        "sklearn_logistic.onnx": partial(convert, logistic, {"zipmap": False}),
    }


def convert(make, options: dict[str, bool] | None) -> bytes:
    """One estimator behind a scaler, trained on the 8x8 digits."""
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32)
    model = make_pipeline(StandardScaler(), make()).fit(x, y)
    given = {id(model.steps[-1][1]): options} if options else None
    return to_onnx(model, x[:1], options=given, target_opset=17).SerializeToString()
