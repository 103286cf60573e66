"""What to do where an extra of the package is not installed."""


def how_to_install(extra: str) -> str:
    """Say how an extra is installed: beside a package that is there, or from a checkout."""
    return f"pip install 'saystream[{extra}]', or in a checkout pip install '.[{extra}]'"
