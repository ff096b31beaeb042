"""What can go wrong with the container itself."""


class SettingsError(Exception):
    """The environment, a file or the configuration is wrong; one sentence that says what to do."""


class PartError(Exception):
    """nginx or TorchServe did not start, or refused what it was given; one sentence."""
