"""The registered methods: name -> settings class. Solved in the order of their needs."""

from w2s_groups.methods.base import Method
from w2s_groups.methods.baseline import Baseline
from w2s_groups.methods.ceiling import Ceiling
from w2s_groups.methods.combined import Combined
from w2s_groups.methods.confidence import Confidence
from w2s_groups.methods.gce_only import GCEOnly
from w2s_groups.methods.hard import Hard
from w2s_groups.methods.selection_only import SelectionOnly
from w2s_groups.methods.selective import Selective
from w2s_groups.methods.self_distilled import SelfDistilled
from w2s_groups.methods.teacher import Teacher
from w2s_groups.methods.w2s import W2S

METHODS: dict[str, type[Method]] = {
    "teacher": Teacher,
    "w2s": W2S,
    "hard": Hard,
    "selective": Selective,
    "selection_only": SelectionOnly,
    "gce_only": GCEOnly,
    "confidence": Confidence,
    "combined": Combined,
    "self_distilled": SelfDistilled,
    "baseline": Baseline,
    "ceiling": Ceiling,
}
