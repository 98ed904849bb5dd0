"""Scores: of models trained here or elsewhere, and what is read off them at once."""
