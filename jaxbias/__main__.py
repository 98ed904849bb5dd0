"""`python -m jaxbias` is the command `jaxbias`."""

from jaxbias.cli import main

main()
