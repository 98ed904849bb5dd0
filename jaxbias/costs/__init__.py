"""Costs: what programs take, in time and memory, from measuring them."""
