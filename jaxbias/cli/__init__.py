"""The command `jaxbias`."""
