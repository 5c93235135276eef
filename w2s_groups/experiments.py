"""The theory's figures by name: one settings class each, whose `run` computes and draws it.

A class has `run(out_dir, work_dir, progress)`: figures go to out_dir, points that are done to
work_dir, so that an interrupted run goes on where it was.
"""

from w2s_groups.gaussian.gain_experiment import GainVsEtaU
from w2s_groups.gaussian.intrinsic_experiment import IntrinsicDimension
from w2s_groups.gaussian.phase_experiment import GainPhaseMap
from w2s_groups.gaussian.printed_experiment import PrintedVsExact

EXPERIMENTS: dict[str, type] = {
    "gain_vs_eta_u_theory": GainVsEtaU,
    "intrinsic_dimension": IntrinsicDimension,
    "phase_map": GainPhaseMap,
    "printed_vs_exact": PrintedVsExact,
}
