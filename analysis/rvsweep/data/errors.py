"""What a user gave cannot be used."""


class InputError(Exception):
    """The message says what is wrong, where, and what to do."""
