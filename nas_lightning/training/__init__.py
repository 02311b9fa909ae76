"""Training and evaluation of a fixed network."""
