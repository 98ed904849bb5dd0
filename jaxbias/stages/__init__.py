"""Stages: the walks through the flow that commands ask for."""
