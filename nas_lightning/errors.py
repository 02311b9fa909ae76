"""The one exception for mistakes of the user."""


class InputError(ValueError):
    """The input or the configuration is wrong.

    The text is one sentence that names the key or file, what was found and what is allowed; the command line prints
    it and exits with status 2.
    """
