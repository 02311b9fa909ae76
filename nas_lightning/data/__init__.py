"""Readers, splits and the DataModule. Knows nothing of search."""
