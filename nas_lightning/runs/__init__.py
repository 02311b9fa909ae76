"""What a run does, from a configuration to the files of its folder: ``modes`` is the door, ``pipeline`` the story."""
