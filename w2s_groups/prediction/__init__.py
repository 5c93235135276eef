"""Accuracies of ridge teachers and students on one's own features, without training one head."""
