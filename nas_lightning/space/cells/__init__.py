"""The cells of the user guide as a search space: two kinds of cell, repeated in the outline of a size."""
