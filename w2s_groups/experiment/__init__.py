"""From a configuration to stored cells, predictions and reports."""
