"""The work directory: what is done, by whom, and who takes what is left."""
