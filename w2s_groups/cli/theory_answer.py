"""What `w2s-groups theory` prints: the gain of the model that the options describe."""

from __future__ import annotations

import argparse
import inspect

import numpy as np

from w2s_groups.core.seeds import stream
from w2s_groups.theory.answer import Answer, answer, text
from w2s_groups.theory.model import GroupModel
from w2s_groups.theory.regime import Regime
from w2s_groups.theory.setting import model_of
from w2s_groups.theory.sobol import sobol_risks

_SIDES = ("teacher", "student")


def report(options: argparse.Namespace) -> str:
    """The model, its setting and the gain with its zeros as text, and a check if options ask."""
    model = _model(options)
    regime = Regime(options.gamma_z, options.nu_z, options.alpha_w, options.alpha_s)
    etas = {
        "eta_l": options.eta_l,
        "eta_u": options.eta_l if options.eta_u is None else options.eta_u,
    }
    setting = {
        **{"gamma_z": regime.gamma_z, "nu_z": regime.nu_z},
        **etas,
        **{"alpha_w": regime.alpha_w, "alpha_s": regime.alpha_s},
    }
    result = answer(model, regime, eta_t=options.eta_t, **etas)
    a, s = (np.linalg.norm(columns.T @ model.mu_xi) for columns in (model.W, model.S))
    lines = [
        f"z x xi model, {model.law} law: p_w={model.p_w} p_s={model.p_s} p_sw={model.p_sw:.6g} "
        f"||W^T mu||={a:.6g} ||S^T mu||={s:.6g} sigma_xi={model.sigma_xi:g} "
        f"sigma_y={model.sigma_y:g}",
        " ".join(f"{name}={value:g}" for name, value in setting.items()),
        "",
        text(result),
    ]
    if options.check:
        lines.append(_check(model, regime, result, etas, options))
    return "\n".join([*lines, f"note: {model.note}"] if model.note else lines)


def _model(options: argparse.Namespace) -> GroupModel:
    """The model that the options describe."""
    names = inspect.signature(model_of).parameters
    return model_of(**{name: getattr(options, name) for name in names})


def _check(
    model: GroupModel,
    regime: Regime,
    result: Answer,
    etas: dict[str, float],
    options: argparse.Namespace,
) -> str:
    rng = stream(options.seed, "gaussian/sobol")
    risks = sobol_risks(
        model,
        regime,
        eta_l=etas["eta_l"],
        eta_u=etas["eta_u"],
        eta_t=options.eta_t,
        rng=rng,
        log2_nodes=12,
    )
    exact = np.array([[getattr(mix.exact, side) for mix in result.mixes] for side in _SIDES])
    mean, error = risks.mean(axis=0), risks.std(axis=0, ddof=1) / np.sqrt(len(risks))
    return (
        f"check: {len(risks)} independent Sobol scramblings differ from the exact risks by at most "
        f"{np.max(np.abs(mean / exact - 1)):.1e} relative; their own standard error is up to "
        f"{np.max(error / exact):.1e}."
    )
