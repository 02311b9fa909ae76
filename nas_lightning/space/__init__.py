"""What can be found: the protocols of a space, and the cells of the user guide as one."""
