"""`python -m w2s_groups.gaussian`: the older name of `w2s-groups theory`."""
