"""The design of an experiment: groups, and draws with a given minority fraction."""
