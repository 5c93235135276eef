"""The registered methods: name -> settings class. Solved in the order of their needs."""

from w2s_groups.methods.base import Method
from w2s_groups.methods.baseline import Baseline
from w2s_groups.methods.ceiling import Ceiling
from w2s_groups.methods.selective import Selective
from w2s_groups.methods.teacher import Teacher
from w2s_groups.methods.w2s import W2S

METHODS: dict[str, type[Method]] = {
    "teacher": Teacher,
    "w2s": W2S,
    "selective": Selective,
    "baseline": Baseline,
    "ceiling": Ceiling,
}
