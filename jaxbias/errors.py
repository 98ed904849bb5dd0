"""The one exception that reaches a user as a single line and exit code 2."""


class InputError(ValueError):
    """Wrong input: the message names the field or file, the numbers, and the way out."""
