"""`w2s-groups theory key=value ...`: the gain, its zeros and the best eta_u, in seconds."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_groups.cli.errors import Parser
from w2s_groups.core.errors import unknown_name

_DESCRIPTION = """\
Weak-to-strong gain of the Gaussian group model: its value, its zeros in eta_u
and the best eta_u, by the exact limits and by the printed ones. Options are
written name=value or --name value.
"""
_EXAMPLES = """\
example:
  w2s-groups theory p_w=5 p_s=3 p_sw=1.36 mu_w=1.1 mu_s=1.2 gamma_z=0.05 \\
    nu_z=0.02 eta_l=0.05 eta_u=0.5
"""


def main(argv: Sequence[str]) -> int:
    """Print the answer; exit status 0."""
    parser = _parser()
    names = [name.removeprefix("--") for name in parser._option_string_actions if name[:2] == "--"]
    words = []
    for word in argv:
        name, equals, _ = word.partition("=")
        if equals and not name.startswith("-"):
            if name not in names:
                raise unknown_name("option", name, names)
            word = f"--{word}"
        words.append(word)
    options = parser.parse_args(words)
    from w2s_groups.cli import theory_answer  # seconds, which a refusal need not wait for

    print(theory_answer.report(options))
    return 0


def _parser() -> Parser:
    parser = Parser(prog="w2s-groups theory", description=_DESCRIPTION, epilog=_EXAMPLES)
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
    add(
        "--sigma_xi",
        type=float,
        default=1.0,
        help="standard deviation of xi within a group (default 1)",
    )
    add("--sigma_y", type=float, default=1.0, help="label noise (default 1)")
    add("--beta_norm", type=float, default=1.0, help="||beta*|| (default 1; matters with ridge)")
    add("--law", default="mixture", help="mixture or location (default mixture)")
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


def _floats(words: str) -> list[float]:
    return [float(word) for word in words.split(",") if word]
