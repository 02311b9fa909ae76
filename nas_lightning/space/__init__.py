"""What can be found: operations, cells, supernet, genotype, network. Imports torch only."""
