"""Fields of the configuration that take one of a few words."""

from __future__ import annotations

from enum import Enum


class ClassBalance(Enum):
    """Class shares of every draw: equal, or those of the dataset's own pool."""

    uniform = "uniform"
    dataset = "dataset"


class Task(Enum):
    """What heads learn: the class y, or the numeric target of the data, by squared loss."""

    classification = "classification"
    regression = "regression"


class HeadKind(Enum):
    """The kind of every head: logistic or softmax regression, ridge regression in closed form, or
    a network of two layers.
    """

    logistic = "logistic"
    ridge = "ridge"
    mlp = "mlp"


class Precision(Enum):
    """Precision of a network's products; all else is float32."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class OnBadImage(Enum):
    """An unreadable image ends the run before training, or is left out of the pool."""

    stop = "stop"
    skip = "skip"


class Verify(Enum):
    """Images that are read to know their content: those that have changed, or all."""

    changed = "changed"
    full = "full"


class ReadFrom(Enum):
    """Images that accuracies are predicted for: the pool's own, each as if not drawn, or test.

    auto: test where heads are measured on them, else pool.
    """

    auto = "auto"
    pool = "pool"
    test = "test"


class GroupLabels(Enum):
    """Group labels that a method uses: none, of the validation set, or of all training sets."""

    none = "none"
    val = "val"
    train = "train"


class TableFormat(Enum):
    """Kind of file that a table is written to."""

    parquet = "parquet"
    csv = "csv"


class Engine(Enum):
    """What runs an extraction: this process, or actors of a Ray cluster."""

    local = "local"
    ray = "ray"
