"""The theory's figures by name: one settings class each, whose `run` computes and draws it.

A class has `run(out_dir, work_dir, progress)`: figures go to out_dir, points that are done to
work_dir, so that an interrupted run goes on where it was.
"""

from w2s_groups.theory_figures.gain_vs_eta_u import GainVsEtaU
from w2s_groups.theory_figures.intrinsic_dimension import IntrinsicDimension
from w2s_groups.theory_figures.phase_map import GainPhaseMap
from w2s_groups.theory_figures.printed_vs_exact import PrintedVsExact

EXPERIMENTS: dict[str, type] = {
    "gain_vs_eta_u_theory": GainVsEtaU,
    "intrinsic_dimension": IntrinsicDimension,
    "phase_map": GainPhaseMap,
    "printed_vs_exact": PrintedVsExact,
}
