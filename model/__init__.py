"""Turn columns into answers: nets, decoders, training, evaluation. Numbers in, numbers out.

Shapes are written with these letters throughout: B batch (streams), T columns, H column height
(pixels), L layers, U units, K labels, D numbers of one stream's state.
"""


def installed_version() -> str:
    """Return the version of the installed distribution; "0" in a checkout that is not installed."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - takes 20 ms

    try:
        return version("inkstream")
    except PackageNotFoundError:
        return "0"
