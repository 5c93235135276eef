"""Accuracies of linear teachers and students on one's own features, without training a head."""
