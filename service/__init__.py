"""Speak to the world: servers, clients, protocol and command line, around the nets of `model`."""


def installed_version() -> str:
    """Return the version of the installed distribution; "0" in a checkout that is not installed."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - takes 20 ms

    try:
        return version("inkstream")
    except PackageNotFoundError:
        return "0"
