"""From a configuration to stored cells: preparation, blocks of cells, jobs and sweeps."""
