"""The version of the handler and of the engine: one number for both."""

__version__ = "0.1.0"
