"""Predictions against fitted heads on a packaged set: the numbers of docs/prediction.md, 6 and 10.

    python benchmarks/prediction_accuracy.py data=birds_mammals draws=60 samples=128
    python benchmarks/prediction_accuracy.py data=birds_mammals head=logistic etas=.05,.2,.5

Every ordered pair of the packaged networks on a grid of eta: ridge heads at l2 = alpha d, alpha in
1e-3, 1e-2, 1e-1; logistic heads at the same values of l2, and as `guide` the prediction of ridge
heads at each alpha, compared with the same logistic heads. Ten minutes on two cores at 60 draws;
pairs=2,3 takes the second and third of the six. With head=ridge, keep=0.5 also retrains every
student on its most confident half, with the teacher's decisions as labels: rows "retrained", the
gain over the student ("gain2"), and the kept shares by group.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from reference_heads import predict_proba
from scipy.stats import spearmanr

from w2s_groups.design.sampling import Request, draw, group_counts
from w2s_groups.experiment.prepare import prepare
from w2s_groups.heads.problem import CrossEntropy, Problem, Squared, one_hot
from w2s_groups.heads.solve import solve
from w2s_groups.interface import hydra_config
from w2s_groups.prediction.estimates import METRICS
from w2s_groups.prediction.logistic import predict_logistic
from w2s_groups.prediction.population import points, population
from w2s_groups.prediction.ridge import predict
from w2s_groups.prediction.ridge_retraining import Selection
from w2s_groups.results.risks import accuracy_by_group

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/helpers"))
from measured_draws import compared_with_draws

NETWORKS = [
    f"packaged/{name}" for name in ("squeezenet1_1", "efficientnet_lite0", "efficientnet_lite2")
]
SIDES = ("teacher", "student")
ALPHAS = (1e-3, 1e-2, 1e-1)  # and logistic heads' l2
ETAS = (0.05, 0.15, 0.25, 0.35, 0.5)


def load(data: str, extra: list[str]):
    names = ",".join(NETWORKS)
    hydra_config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(hydra_config.conf_dir())):
        composed = hydra_compose(
            "config", [f"data={data}", f"teacher=[{names}]", f"student=[{names}]", *extra]
        )
    return prepare(hydra_config.from_hydra(composed))


def most_confident(head, X, rows, keep):
    """The share `keep` of rows with the largest margins between two scores, ascending."""
    top = np.sort(predict_proba(head, X[rows]), axis=1)
    order = np.argsort(top[:, -2] - top[:, -1], kind="stable")
    return np.sort(rows[order[: max(1, int(keep * len(rows) + 0.5))]])


def measured(pool, loss, etas, n_l, n_u, l2_w, l2_s, draws, keep=None):
    """Accuracies of teacher (D, L, G) and student (D, L, U, G) by group of the test images.

    With keep, also of the retrained student, and the kept share of each group, (D, L, U, G).
    """
    D, C = pool.drawable, pool.n_classes

    def rows(eta_l, eta_u, seed):
        drawn = draw(pool.groups, pool.codes[D], pool.priors, Request(n_l, n_u, eta_l, eta_u), seed)
        return D[drawn.labelled], D[drawn.unlabelled]

    def accuracy(head, side):
        predicted = predict_proba(head, pool.features[side][pool.test]).argmax(axis=1)
        return accuracy_by_group(
            predicted, pool.y[pool.test], pool.codes[pool.test], pool.groups.n_groups
        )[0]

    def by_group(rows):
        return np.bincount(pool.codes[rows], minlength=pool.groups.n_groups)

    teacher, student, retrained, share = [], [], [], []
    shape = (len(etas), len(etas), pool.groups.n_groups)
    for seed in range(draws):
        labelled = [rows(eta, etas[0], seed)[0] for eta in etas]
        unlabelled = [rows(etas[0], eta, seed)[1] for eta in etas]
        heads = solve(
            pool.features,
            [Problem("teacher", r, one_hot(pool.y[r], C), loss, l2_w) for r in labelled],
        )
        taught = [predict_proba(head, pool.features["teacher"]) for head in heads]
        cells = [(targets, rows) for targets in taught for rows in unlabelled]
        students = solve(pool.features, [Problem("student", r, t[r], loss, l2_s) for t, r in cells])
        teacher.append([accuracy(head, "teacher") for head in heads])
        student.append(np.reshape([accuracy(head, "student") for head in students], shape))
        if keep is not None:
            kept = [
                most_confident(head, pool.features["student"], r, keep)
                for head, (_, r) in zip(students, cells, strict=True)
            ]
            labels = [t[k].argmax(axis=1) for (t, _), k in zip(cells, kept, strict=True)]
            again = solve(
                pool.features,
                [
                    Problem("student", k, one_hot(y, C), loss, l2_s)
                    for k, y in zip(kept, labels, strict=True)
                ],
            )
            retrained.append(np.reshape([accuracy(head, "student") for head in again], shape))
            shares = [by_group(k) / by_group(r) for (_, r), k in zip(cells, kept, strict=True)]
            share.append(np.reshape(shares, shape))
    parts = (teacher, student) if keep is None else (teacher, student, retrained, share)
    return tuple(np.array(part) for part in parts)


def line(label, metric, name, q, signs=""):
    gap = q.predicted - q.measured
    rms, most = np.sqrt(np.mean(gap**2)), np.abs(gap).max()
    rho = spearmanr(q.predicted.ravel(), q.measured.ravel()).statistic
    print(
        f"{label} {metric:11} {name:9} {q.near.mean():5.3f} {q.covered.mean():6.3f} {rms:6.4f} "
        f"{most:6.4f} {rho:5.2f} {signs}",
        flush=True,
    )


def show(label, alpha, prediction, fitted, pool):
    """Lines of teacher, student and gain; of retrained students where there are some."""
    label = f"{label:56} {alpha:<5g}"
    for metric in METRICS:
        result = compared_with_draws(prediction, *fitted[:2], metric, pool.groups, pool.priors)
        line(label, metric, "teacher", result.teacher)
        line(label, metric, "student", result.student)
        line(label, metric, "gain", result.gain, f"{result.right.sum()}/{result.clear.sum()}")
        if len(fitted) == 2:
            continue
        before, after = (part.reshape(len(part), -1, part.shape[-1]) for part in fitted[1:3])
        result = compared_with_draws(
            prediction.retraining(), before, after[:, :, None], metric, pool.groups, pool.priors
        )
        line(label, metric, "retrained", result.student)
        line(label, metric, "gain2", result.gain, f"{result.right.sum()}/{result.clear.sum()}")
    if len(fitted) == 2:
        return
    for g, name in enumerate(pool.groups.names):
        share, kept = fitted[3][..., g].mean(axis=0), prediction.kept[..., g].mean(axis=-1)
        rms = np.sqrt(np.mean((share - kept) ** 2))
        print(
            f"{label} kept of {name}: {share.min():.3f} to {share.max():.3f} of the "
            f"group, predicted {kept.min():.3f} to {kept.max():.3f}, rms {rms:.4f}"
        )


def main() -> None:
    given = dict(arg.split("=", 1) for arg in sys.argv[1:])
    draws, samples = int(given.pop("draws", 20)), int(given.pop("samples", 128))
    pairs = list(itertools.permutations(NETWORKS, 2))
    if "pairs" in given:
        pairs = [pairs[int(k) - 1] for k in given.pop("pairs").split(",")]
    data, head = given.pop("data", "birds_mammals"), given.pop("head", "ridge")
    keep = float(given.pop("keep")) if "keep" in given else None
    etas = [float(eta) for eta in given.pop("etas").split(",")] if "etas" in given else ETAS
    prepared = load(data, [f"{k}={v}" for k, v in given.items()])
    n_l, n_u = prepared.cfg.n_l[0], prepared.cfg.n_u[0]
    head_line = "alpha metric      part      near  cover  rms    most   rho   signs"
    print(f"{'teacher -> student':56} {head_line}")
    for teacher, student in pairs:
        pool = prepared.pair(teacher, student).pool
        part = {
            rows: [pool.features[side][at] for side in SIDES] + [pool.codes[at]]
            for rows, at in (("pool", pool.drawable), ("test", pool.test))
        }
        people, seen = population(*part["pool"], pool.groups), points(*part["test"], pool.groups)
        d_w, d_s = (pool.features[side].shape[1] for side in SIDES)
        counts_l, counts_u = (
            np.stack([group_counts(pool.groups, pool.priors, n, eta) for eta in etas])
            for n in (n_l, n_u)
        )
        label = f"{teacher[9:]} -> {student[9:]}"
        ridge = {
            alpha: predict(
                people,
                counts_l,
                counts_u,
                alpha * d_w,
                alpha * d_s,
                points=seen,
                samples=samples,
                selection=None if keep is None else Selection(keep),
            )
            for alpha in ALPHAS
        }
        for alpha in ALPHAS:
            if head == "ridge":
                l2 = alpha * d_w, alpha * d_s
                fitted = measured(pool, Squared(), etas, n_l, n_u, *l2, draws, keep)
                show(label, alpha, ridge[alpha], fitted, pool)
                continue
            fitted = measured(pool, CrossEntropy(), etas, n_l, n_u, alpha, alpha, draws)
            own = predict_logistic(
                people, counts_l, counts_u, alpha, alpha, points=seen, samples=samples
            )
            show(label, alpha, own, fitted, pool)
            for guide, prediction in ridge.items():
                show(f"{label} guide {guide:g}", alpha, prediction, fitted, pool)


if __name__ == "__main__":
    main()
