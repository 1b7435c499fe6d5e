"""Which inkstream this is."""

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """The version of the installed distribution; "0" in a checkout that is not installed."""
    try:
        return version("inkstream")
    except PackageNotFoundError:
        return "0"
