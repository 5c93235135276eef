"""The methods by name: those of this package, and plug-ins. Solved in the order of their needs."""

from w2s_groups.methods.adaptive_confidence import AdaptiveConfidence
from w2s_groups.methods.afr import AFR
from w2s_groups.methods.base import Method
from w2s_groups.methods.baseline import Baseline
from w2s_groups.methods.ceiling import Ceiling
from w2s_groups.methods.chain import Chain
from w2s_groups.methods.combined import Combined
from w2s_groups.methods.confidence import Confidence
from w2s_groups.methods.dfr import DFR
from w2s_groups.methods.ensemble import Ensemble
from w2s_groups.methods.gce_only import GCEOnly
from w2s_groups.methods.graph_smoothed import GraphSmoothed
from w2s_groups.methods.group_dro import GroupDRO
from w2s_groups.methods.hard import Hard
from w2s_groups.methods.iterated import Iterated
from w2s_groups.methods.jtt import JTT
from w2s_groups.methods.learnt_selector import LearntSelector
from w2s_groups.methods.majority_vote import MajorityVote
from w2s_groups.methods.raven import Raven
from w2s_groups.methods.registry import Methods
from w2s_groups.methods.selection_only import SelectionOnly
from w2s_groups.methods.selective import Selective
from w2s_groups.methods.self_distilled import SelfDistilled
from w2s_groups.methods.teacher import Teacher
from w2s_groups.methods.tuned_teacher import TunedTeacher
from w2s_groups.methods.w2s import W2S
from w2s_groups.methods.w2s_tuned import W2STuned
from w2s_groups.methods.zero_shot import ZeroShot

BUILT_IN: dict[str, type[Method]] = {
    "teacher": Teacher,
    "tuned_teacher": TunedTeacher,
    "w2s": W2S,
    "w2s_tuned": W2STuned,
    "hard": Hard,
    "selective": Selective,
    "selection_only": SelectionOnly,
    "gce_only": GCEOnly,
    "confidence": Confidence,
    "adaptive_confidence": AdaptiveConfidence,
    "jtt": JTT,
    "afr": AFR,
    "combined": Combined,
    "self_distilled": SelfDistilled,
    "ensemble": Ensemble,
    "majority_vote": MajorityVote,
    "raven": Raven,
    "chain": Chain,
    "iterated": Iterated,
    "graph_smoothed": GraphSmoothed,
    "learnt_selector": LearntSelector,
    "baseline": Baseline,
    "zero_shot": ZeroShot,
    "dfr": DFR,
    "group_dro": GroupDRO,
    "ceiling": Ceiling,
}
METHODS = Methods(BUILT_IN)
