"""The page of a run and of a sweep: one HTML file, from what lies in the folder."""
