"""The z⊗ξ group model of LDL25: exact limits, printed forms, simulation. docs/theory.md derives it.

DLLL25's intrinsic dimensions are in intrinsic.py and intrinsic_simulate.py.
"""

from w2s_groups.theory.setting import limits

__all__ = ["limits"]
