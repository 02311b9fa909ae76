"""Records, checks, the guide's YAML layout, and everything that touches Hydra."""
