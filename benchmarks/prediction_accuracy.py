"""Predictions against fitted heads on a packaged data set: the numbers of docs/prediction.md, 6.

    python benchmarks/prediction_accuracy.py data=birds_mammals draws=60 samples=128

Every ordered pair of the packaged networks at l2 = alpha d, alpha in 1e-3, 1e-2, 1e-1, on a 5 x 5
grid of eta. An hour on two cores at 60 draws; draws=20 and pairs=1 take minutes.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np
from hydra import compose as hydra_compose
from hydra import initialize_config_dir

from w2s_groups import compose, inputs
from w2s_groups.heads.grid import solve
from w2s_groups.heads.problem import Problem, Squared, one_hot
from w2s_groups.pool import make_pool
from w2s_groups.prediction.agreement import agreement
from w2s_groups.prediction.forecast import METRICS
from w2s_groups.prediction.population import points, population
from w2s_groups.prediction.predictive import predict
from w2s_groups.risks import accuracy_by_group
from w2s_groups.sampling import Request, draw, group_counts

NETWORKS = [
    f"packaged/{name}" for name in ("squeezenet1_1", "efficientnet_lite0", "efficientnet_lite2")
]
ALPHAS = (1e-3, 1e-2, 1e-1)
ETAS = (0.05, 0.15, 0.25, 0.35, 0.5)


def load(data: str, extra: list[str]):
    names = ",".join(NETWORKS)
    compose.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(compose.conf_dir())):
        composed = hydra_compose(
            "config", [f"data={data}", f"teacher=[{names}]", f"student=[{names}]", *extra]
        )
    cfg = compose.from_hydra(composed)
    dataset = inputs.load_dataset(cfg)
    return cfg, dataset, *inputs.load_features(dataset, cfg)[:2]


def scores(head, X):
    z = X.astype(np.float64) @ head.coef + head.intercept
    return np.concatenate([1 - z, z], axis=1) if z.shape[1] == 1 else z


def measured(pool, n_l, n_u, l2_w, l2_s, draws):
    """Accuracies of teacher (D, L, G) and student (D, L, U, G) by group of the test images."""
    D, C = pool.drawable, pool.n_classes

    def rows(eta_l, eta_u, seed):
        found = draw(pool.groups, pool.codes[D], pool.priors, Request(n_l, n_u, eta_l, eta_u), seed)
        return D[found.labelled], D[found.unlabelled]

    def accuracy(head, side):
        said = scores(head, pool.features[side][pool.test]).argmax(axis=1)
        return accuracy_by_group(
            said, pool.y[pool.test], pool.codes[pool.test], pool.groups.n_groups
        )[0]

    teacher, student = [], []
    for seed in range(draws):
        labelled = [rows(eta, ETAS[0], seed)[0] for eta in ETAS]
        unlabelled = [rows(ETAS[0], eta, seed)[1] for eta in ETAS]
        heads = solve(
            pool.features,
            [Problem("teacher", r, one_hot(pool.y[r], C), Squared(), l2_w) for r in labelled],
        )
        taught = [scores(head, pool.features["teacher"]) for head in heads]
        students = solve(
            pool.features,
            [Problem("student", r, t[r], Squared(), l2_s) for t in taught for r in unlabelled],
        )
        teacher.append([accuracy(head, "teacher") for head in heads])
        flat = np.array([accuracy(head, "student") for head in students])
        student.append(flat.reshape(len(ETAS), len(ETAS), -1))
    return np.array(teacher), np.array(student)


def main() -> None:
    given = dict(arg.split("=", 1) for arg in sys.argv[1:])
    draws, samples = int(given.pop("draws", 20)), int(given.pop("samples", 128))
    pairs = list(itertools.permutations(NETWORKS, 2))[: int(given.pop("pairs", 6))]
    data = given.pop("data", "birds_mammals")
    cfg, dataset, matrices, usable = load(data, [f"{k}={v}" for k, v in given.items()])
    print(f"{'teacher -> student':46} alpha metric      part    near  cover  rms    signs")
    for teacher, student in pairs:
        sides = {"teacher": matrices["teacher", teacher], "student": matrices["student", student]}
        pool = make_pool(dataset, sides, usable, cfg.class_balance.value)
        part = {
            rows: [pool.features[side][at] for side in sides] + [pool.codes[at]]
            for rows, at in (("pool", pool.drawable), ("test", pool.test))
        }
        people, seen = population(*part["pool"], pool.groups), points(*part["test"], pool.groups)
        d_w, d_s = (pool.features[side].shape[1] for side in sides)
        n_l, n_u = cfg.n_l[0], cfg.n_u[0]
        counts_l, counts_u = (
            np.stack([group_counts(pool.groups, pool.priors, n, eta) for eta in ETAS])
            for n in (n_l, n_u)
        )
        for alpha in ALPHAS:
            l2 = alpha * d_w, alpha * d_s
            P = predict(people, counts_l, counts_u, *l2, points=seen, samples=samples)
            fitted = measured(pool, n_l, n_u, *l2, draws)
            for metric in METRICS:
                found = agreement(P, *fitted, metric, pool.groups, pool.priors)
                for name in ("teacher", "student", "gain"):
                    q = getattr(found, name)
                    rms = np.sqrt(np.mean((q.predicted - q.measured) ** 2))
                    signs = f"{found.right.sum()}/{found.clear.sum()}" if name == "gain" else ""
                    print(
                        f"{teacher[9:] + ' -> ' + student[9:]:46} {alpha:<5g} {metric:11} "
                        f"{name:7} {q.near.mean():5.3f} {q.covered.mean():6.3f} {rms:6.4f} {signs}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
