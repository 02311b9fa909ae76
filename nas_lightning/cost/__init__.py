"""What a network costs: exact for a fixed one, expected (differentiable) for the supernet."""
