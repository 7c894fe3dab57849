"""The one exception that users see as a single line."""


class UserError(ValueError):
    """Something the user asked for cannot be done as asked.

    The message is one line: what is wrong, and what would be right. The command line prints it without a traceback
    and exits with code 2. It is a ValueError, so that library users may catch it as one.
    """


class TrainingFailed(RuntimeError):
    """A run that cannot go on: its numbers are no longer finite. One line; the command line exits with code 1."""
