"""The z⊗ξ Gaussian model and DLLL25's: exact limits, expansions, simulations."""
