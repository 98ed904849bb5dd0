"""`python -m jaxbias` is the command `jaxbias`."""

from jaxbias.cli.command import main

main()
