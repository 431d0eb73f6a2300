"""Signs of replaced labels in training data, from samples."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nachweis.domain.errors import UndefinedError
from nachweis.engines.intervals import wilson_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Z_999 = 3.090232306167813
"""99.9 % quantile of the standard normal distribution."""

Z_99 = 2.3263478740408408
"""99 % quantile of the standard normal distribution."""

_FOLDS = 3
_HASHED = 512


def is_missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values are None or NaN."""
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values))
    if values.dtype.kind == "O":
        return np.array([v is None or (isinstance(v, float) and math.isnan(v)) for v in values])
    return np.zeros(len(values), dtype=bool)


@dataclass(frozen=True, slots=True)
class FlipEstimate:
    """How many labels were replaced by another one at random.

    Attributes:
        share: Estimated share of flipped labels; may be negative by chance.
        low: 99.9 % lower limit.
        high: 99.9 % upper limit.
        n: Rows.
    """

    share: float
    low: float
    high: float
    n: int


def flips_against(probabilities: Floats, labels: Ints) -> FlipEstimate:
    """Estimate label flips against probabilities that are known to be right.

    If a share f of the labels is replaced by another of the K classes at random, the probability
    of class j becomes p_j + f d_j with d_j = (1 - p_j) / (K - 1) - p_j. Least squares over rows and
    classes gives f without any assumption about how far the classes overlap; its standard error is
    robust (sandwich).

    Args:
        probabilities: One row per row of data, one column per class.
        labels: Index of each row's class.

    Returns:
        The estimate.

    Raises:
        UndefinedError: With fewer than two classes, no rows, or probabilities that are all equal.
    """
    n, classes = probabilities.shape
    if n < 2 or classes < 2:
        raise UndefinedError("flips need two rows and two classes")
    observed = np.zeros_like(probabilities)
    observed[np.arange(n), labels] = 1.0
    direction = (1.0 - probabilities) / (classes - 1) - probabilities
    weight = (direction**2).sum(axis=1)
    total = float(weight.sum())
    if total < 1e-9:
        raise UndefinedError("the probabilities say nothing about the classes")
    moved = ((observed - probabilities) * direction).sum(axis=1)
    share = float(moved.sum() / total)
    error = math.sqrt(float(((moved - share * weight) ** 2).sum())) / total
    return FlipEstimate(share, share - Z_999 * error, share + Z_999 * error, n)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often labels contradict a model, where it is surest and where it is least sure.

    Attributes:
        sure: Rows among the surest tenth.
        sure_contradicted: Of them, rows whose label is another than the model's.
        unsure: Rows among the less sure half.
        unsure_contradicted: Of them, rows whose label is another than the model's.
        guessed: Share contradicted by always guessing the most frequent class.
    """

    sure: int
    sure_contradicted: int
    unsure: int
    unsure_contradicted: int
    guessed: float

    @property
    def interval(self) -> tuple[float, float]:
        """99.9 % Wilson interval of the share contradicted among the surest rows."""
        return wilson_interval(self.sure_contradicted, self.sure, Z_999)

    @property
    def flatness(self) -> float:
        """Share contradicted where the model is surest, relative to where it is not."""
        unsure = self.unsure_contradicted / self.unsure
        return (self.sure_contradicted / self.sure) / unsure if unsure > 0 else 0.0

    @property
    def flatness_interval(self) -> tuple[float, float] | None:
        """98 % interval of the flatness, a ratio of two shares (Katz et al. 1978).

        None where one of them is nought.
        """
        if not self.sure_contradicted or not self.unsure_contradicted:
            return None
        variance = (
            1 / self.sure_contradicted
            - 1 / self.sure
            + 1 / self.unsure_contradicted
            - 1 / self.unsure
        )
        factor = math.exp(Z_99 * math.sqrt(variance))
        return (self.flatness / factor, self.flatness * factor)


def agreement(probabilities: Floats, labels: Ints) -> Agreement:
    """Compare labels with held-out probabilities by how sure these are.

    Random flips contradict a model equally often wherever it looks, natural overlap of the classes
    mostly where it is unsure. The share contradicted among the surest rows bounds random flips
    from above.

    Args:
        probabilities: Held-out probabilities, one column per class.
        labels: Index of each row's class.

    Returns:
        The counts.

    Raises:
        UndefinedError: With fewer than 200 rows.
    """
    n = len(labels)
    if n < 200:
        raise UndefinedError("fewer than 200 rows")
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    contradicted = (probabilities.argmax(axis=1) != labels)[order]
    sure, unsure = contradicted[: n // 10], contradicted[n - n // 2 :]
    guessed = 1.0 - float(np.bincount(labels).max()) / n
    return Agreement(len(sure), int(sure.sum()), len(unsure), int(unsure.sum()), guessed)


def confident_joint(probabilities: Floats, labels: Ints) -> Ints:
    """Counts of given label by confidently predicted label (Northcutt et al. 2021).

    A row counts for the class with the highest probability among those whose probability reaches
    the class's mean over the rows that carry its label.

    Args:
        probabilities: Held-out probabilities, one column per class.
        labels: Index of each row's class.

    Returns:
        Square table; rows below every threshold are in no cell.
    """
    classes = probabilities.shape[1]
    thresholds = np.array(
        [
            probabilities[labels == j, j].mean() if (labels == j).any() else np.inf
            for j in range(classes)
        ]
    )
    confident = probabilities >= thresholds - 1e-12
    best = np.where(confident, probabilities, -1.0).argmax(axis=1)
    chosen = confident.any(axis=1)
    joint = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(joint, (labels[chosen], best[chosen]), 1)
    return joint


def cross_validated(columns: Mapping[str, NDArray[Any]], labels: Ints, seed: int = 0) -> Floats:
    """Held-out class probabilities of a small logistic regression.

    Numbers are standardised with their missing values marked, categories and words hashed.

    Args:
        columns: Inputs.
        labels: Index of each row's class, every class in at least three rows.
        seed: Chooses the folds.

    Returns:
        One row per row of data, one column per class.

    Raises:
        UndefinedError: If a class is too rare for the folds.
    """
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(labels)
    if len(counts) < 2 or counts.min() < _FOLDS:
        raise UndefinedError("a class is too rare")
    x = sparse.csr_matrix(sparse.hstack(list(_encoded(columns))))
    found = np.zeros((len(labels), len(counts)))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(np.zeros(len(labels)), labels):
        model = LogisticRegression(max_iter=200)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fit that is not fully converged still ranks rows
            model.fit(x[train], labels[train])
        found[test] = model.predict_proba(x[test])
    return found


def _encoded(columns: Mapping[str, NDArray[Any]]) -> Iterator[Any]:
    from scipy import sparse
    from sklearn.feature_extraction.text import HashingVectorizer

    words = []
    for name, values in columns.items():
        missing = is_missing(values)
        if values.dtype.kind in "biuf":
            numbers = values.astype(np.float64)
            valid = np.isfinite(numbers)
            mean = float(numbers[valid].mean()) if valid.any() else 0.0
            deviation = float(numbers[valid].std()) if valid.any() else 0.0
            scaled = np.where(valid, (numbers - mean) / (deviation or 1.0), 0.0)
            yield sparse.csr_matrix(np.clip(scaled, -8, 8).reshape(-1, 1))
            if missing.any():
                yield sparse.csr_matrix(missing.astype(np.float64).reshape(-1, 1))
        else:
            words.append([f"{name}={value} {value}" for value in values.astype(str)])
    if words:
        texts = [" ".join(parts) for parts in zip(*words, strict=True)]
        vectors = HashingVectorizer(
            n_features=_HASHED,
            token_pattern=r"[^\s]+",  # noqa: S106 - what a word is, no password
            alternate_sign=False,
        )
        yield vectors.transform(texts) * 3.0
