"""The deployed network as a graph of layers, which everything behind training reads."""
