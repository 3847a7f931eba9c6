"""Effects on single units and their distribution: couplings and bounds."""
