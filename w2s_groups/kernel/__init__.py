"""The kernel regime: gradients of every sample, and the random operator that both sides use."""
