"""The plan: all trainings of a study by content, their packs, and the rounds of a search."""
