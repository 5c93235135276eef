"""The schema of the whole configuration: types, ranges, what goes together, and its cells."""
