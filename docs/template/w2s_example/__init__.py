"""A method, a dataset and a network for w2s_groups."""
