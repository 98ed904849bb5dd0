"""Where and when a study runs: `python -m launch`. Nothing of `jaxbias` imports it."""
