"""The engine: a pack becomes one compiled program, from its examples to the rows it gives."""
