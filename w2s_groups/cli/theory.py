"""python -m w2s_groups.gaussian key=value ...: the gain, its zeros and the best η_u, in seconds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn, get_args

import numpy as np

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.seeds import stream
from w2s_groups.theory.answer import Answer, answer, text
from w2s_groups.theory.build import equal_cosines, model_with_overlap
from w2s_groups.theory.model import GroupModel, Law
from w2s_groups.theory.regime import Regime
from w2s_groups.theory.sobol import sobol_risks


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; --help lists every option")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 after one line on stderr for a user's mistake."""
    words = sys.argv[1:] if argv is None else list(argv)
    parser = _options()
    try:
        known, unknown = parser.parse_known_args(
            [f"--{w}" if "=" in w and not w.startswith("-") else w for w in words]
        )
        if unknown:
            name = unknown[0].lstrip("-").split("=")[0]
            raise unknown_name("option", name, [a.dest for a in parser._actions])
        print(_report(known))
    except InputError as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        return 2
    return 0


def _options() -> _Parser:
    parser = _Parser(
        prog="python -m w2s_groups.gaussian",
        description="Weak-to-strong gain of the z⊗ξ group model: its value, its zeros in eta_u and "
        "the best eta_u, by exact limits beside the printed ones. Options read name=value or "
        "--name value. Example: p_w=5 p_s=3 p_sw=1.36 mu_w=1.1 mu_s=1.2 gamma_z=0.05 nu_z=0.02 "
        "eta_l=0.05 eta_u=0.5",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--p_w", type=int, required=True, help="teacher's group-feature dimension, constant counted"
    )
    add("--p_s", type=int, help="student's (with p_sw; with cos it is 1 + their number)")
    add("--p_sw", type=float, help="similarity 1 + ||Xi||_F^2, spread over equal principal cosines")
    add("--cos", type=_floats, help="instead of p_s and p_sw: principal cosines of Xi, as 0.6,0")
    add("--mu_w", type=float, required=True, help="||W^T mu_xi||")
    add("--mu_s", type=float, required=True, help="||S^T mu_xi||")
    add("--alignment", type=float, help="cosine between W^T mu_xi and Xi S^T mu_xi; see docs")
    add("--sigma_xi", type=float, default=1.0, help="spread of xi within a group (default 1)")
    add("--sigma_y", type=float, default=1.0, help="label noise (default 1)")
    add("--beta_norm", type=float, default=1.0, help="||beta*|| (default 1; matters with ridge)")
    add("--law", default="mixture", help=f"{' or '.join(get_args(Law))} (default mixture)")
    add("--gamma_z", type=float, required=True, help="d_z / n of the teacher")
    add("--nu_z", type=float, required=True, help="d_z / N of the student")
    add("--alpha_w", type=float, default=0.0, help="teacher's ridge (default 0: least squares)")
    add("--alpha_s", type=float, default=0.0, help="student's ridge (default 0: least squares)")
    add("--eta_l", type=float, required=True, help="minority fraction of the labelled set")
    add("--eta_u", type=float, help="minority fraction of the unlabelled set (default eta_l)")
    add("--eta_t", type=_floats, default=[0.0, 0.5, 1.0], help="test mixes (default 0,0.5,1)")
    add("--check", action="store_true", help="also integrate by Sobol points and compare")
    add("--seed", type=int, default=0, help="seed of the check's scramblings (default 0)")
    return parser


def _report(options: argparse.Namespace) -> str:
    model = _model(options)
    regime = Regime(options.gamma_z, options.nu_z, options.alpha_w, options.alpha_s)
    eta_l = options.eta_l
    eta_u = eta_l if options.eta_u is None else options.eta_u
    result = answer(model, regime, eta_l=eta_l, eta_u=eta_u, eta_t=options.eta_t)
    shown = {
        "gamma_z": regime.gamma_z,
        "nu_z": regime.nu_z,
        "eta_l": eta_l,
        "eta_u": eta_u,
        "alpha_w": regime.alpha_w,
        "alpha_s": regime.alpha_s,
    }
    a, s = (np.linalg.norm(columns.T @ model.mu_xi) for columns in (model.W, model.S))
    lines = [
        f"z x xi model, {model.law} law: p_w={model.p_w} p_s={model.p_s} p_sw={model.p_sw:.6g} "
        f"||W^T mu||={a:.6g} ||S^T mu||={s:.6g} sigma_xi={model.sigma_xi:g} "
        f"sigma_y={model.sigma_y:g}",
        " ".join(f"{name}={value:g}" for name, value in shown.items()),
        "",
        text(result),
    ]
    if options.check:
        lines.append(_check(model, regime, result, eta_l, eta_u, options))
    return "\n".join([*lines, f"note: {model.note}"] if model.note else lines)


def _model(options: argparse.Namespace) -> GroupModel:
    cos = options.cos
    if cos is None:
        if options.p_s is None or options.p_sw is None:
            raise InputError("the student needs p_s and p_sw, or cos; give one of the two")
        cos = equal_cosines(options.p_w, options.p_s, options.p_sw)
    elif options.p_s is not None or options.p_sw is not None:
        raise InputError("cos already fixes p_s and p_sw; give cos, or p_s and p_sw, not both")
    return model_with_overlap(
        p_w=options.p_w,
        cos=cos,
        mu_w=options.mu_w,
        mu_s=options.mu_s,
        alignment=options.alignment,
        sigma_xi=options.sigma_xi,
        sigma_y=options.sigma_y,
        beta_norm=options.beta_norm,
        law=options.law,
    )


def _check(
    model: GroupModel,
    regime: Regime,
    result: Answer,
    eta_l: float,
    eta_u: float,
    options: argparse.Namespace,
) -> str:
    risks = sobol_risks(
        model,
        regime,
        eta_l=eta_l,
        eta_u=eta_u,
        eta_t=options.eta_t,
        rng=stream(options.seed, "gaussian/sobol"),
        log2_nodes=12,
    )
    exact = np.array([[getattr(mix.exact, side) for mix in result.mixes] for side in _SIDES])
    mean, error = risks.mean(axis=0), risks.std(axis=0, ddof=1) / np.sqrt(len(risks))
    return (
        f"check: {len(risks)} independent Sobol scramblings differ from the exact risks by at most "
        f"{np.max(np.abs(mean / exact - 1)):.1e} relative; their own standard error is up to "
        f"{np.max(error / exact):.1e}."
    )


_SIDES = ("teacher", "student")


def _floats(words: str) -> list[float]:
    return [float(word) for word in words.split(",") if word]
