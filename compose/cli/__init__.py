"""The command line."""

from saystream.compose.cli.app import main

__all__ = ["main"]
