"""The one root of every error that inkstream raises on purpose.

Each error has a stable `code` (what programs compare) and a message that says what came and what is
allowed (what people read). `service/protocol/errors.py` maps codes to closing codes and to HTTP
statuses.
"""

from typing import ClassVar


class InkstreamError(Exception):
    """Root of all errors of this product; `code` is stable, the message is safe to show."""

    code: ClassVar[str] = "internal"


class InputError(InkstreamError):
    """The caller's input cannot be read: wrong shape, range, type or format."""

    code = "bad_input"


class ImageError(InputError):
    """These bytes are not an image that we read, or one without ink."""

    code = "bad_image"


class ImageSizeError(ImageError):
    """An image with more pixels than the limit allows."""

    code = "over_limit"


class BlankImageError(ImageError):
    """An image without writing: nothing on it stands out from the paper."""


class InkSizeError(InputError):
    """Strokes with more columns, or a longer way of the pen, than the limit allows."""

    code = "over_limit"


class ConfigError(InkstreamError):
    """A setting or an option of training is out of its range."""

    code = "bad_config"


class DataError(InkstreamError):
    """A data file is missing, damaged or not what its name promises."""

    code = "bad_data"


class CheckpointError(InkstreamError):
    """A checkpoint file cannot be served: not ours, damaged, or of another version."""

    code = "bad_checkpoint"
