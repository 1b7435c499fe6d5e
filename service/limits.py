"""What one server allows."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Limits(BaseModel):
    """What one server allows. Each limit is a setting, and `ready.limits` has it under its name."""

    model_config = ConfigDict(
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,  # the server always sends every field
    )

    max_frame_bytes: Annotated[int, Field(ge=1024)] = 256 * 1024
    """Bytes of one message; beyond it the WebSocket is closed with 1009."""
    max_message_columns: Count = 2048
    """Columns in one message."""
    max_waiting_columns: Count = 4096
    """Columns received and not yet read; beyond it the server takes no more until it has room."""
    max_line_columns: Count = 100_000
    """Columns of one line; one more closes with 4413."""
    max_rewind_columns: Count = 512
    """How far a rewind may go back from the furthest column of the line."""
    max_control_per_s: Count = 100
    """Messages other than columns, in the long run; more, or too much ink, close with 4429."""
    max_hint_characters: Count = 4096
    """Characters of `words`, `context` and `pattern` in one `configure`."""
    max_message_points: Count = 8192
    """Points of the pen in one message."""
    ink_margin_columns: Annotated[int, Field(ge=0, le=256)] = 8
    """How far the pen must be beyond a column for a transcriber to read it."""
    max_ink_strokes: Count = 1024
    """Strokes that a rewind may still reach."""
    max_ink_points: Count = 65_536
    """Points of these strokes together."""
    max_bad_messages: Count = 16
    """Bad messages in a row that close with 4400."""
    max_sessions: Count = 1024
    """Sessions in all."""
    max_sessions_per_client: Count = 512
    """Sessions of one client address."""
    idle_timeout_s: Seconds = 300.0
    """Longest silence of a client before it is closed with 4408."""
    max_session_s: Seconds = 6 * 3600.0
    """Longest session; then it is closed with 4440."""
    max_body_bytes: Count = 16 * 1024 * 1024
    """Bytes of one REST request's body; JSON has at most 2097152."""
    max_image_pixels: Count = 16_000_000
    """Pixels of one image, by its header."""
