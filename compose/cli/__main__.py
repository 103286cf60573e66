"""``python -m saystream.compose.cli`` is ``saystream``."""

from saystream.compose.cli import main

main()
