"""The heavy operations of the supernet, in plain PyTorch and as compiled kernels. Imports torch only."""
