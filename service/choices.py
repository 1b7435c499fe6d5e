"""What a client chose by `configure`, and how it bears on columns and answers."""

from typing import Final

from model.decode import ClassifierDecoder
from model.errors import InputError
from service.errors import ValueRefusedError
from service.messages import Configure, Configured

INVERSE: Final = bytes(range(255, -1, -1))  # for bytes.translate: ink-low to ink-high


class Choices:
    """The values in force for one session; they outlast lines and rewinds."""

    def __init__(self, labels: tuple[str, ...], column_height: int) -> None:
        self.in_force = Configured()
        self._labels = labels
        self._column_height = column_height
        self._shown: list[int] | None = None  # which of the K answers are sent; None is all

    def change(self, message: Configure, decoder: ClassifierDecoder) -> None:
        """Put what the message gives in force, or raise `ValueRefusedError` and change nothing."""
        labels = self._labels
        if (message.top_k or 0) > len(labels):
            raise ValueRefusedError(f"top_k is {message.top_k}, allowed: 1..{len(labels)}")
        given = {name: getattr(message, name) for name in message.model_fields_set - {"type"}}
        chosen = self.in_force.model_copy(update={"id": None} | given)
        try:
            decoder.allow(chosen.characters)
        except InputError as error:
            raise ValueRefusedError(str(error)) from error
        self.in_force = chosen
        self._shown = None
        if chosen.characters is not None or chosen.top_k is not None:
            spelt = set(chosen.characters or "".join(labels))
            self._shown = [k for k, label in enumerate(labels) if set(label) <= spelt]

    def cut(self, data: bytes, column: int, ink_end: int) -> bytes:
        """The columns in `data` with high ink, up to the one that ends the line.

        `column` is the number of the first of them, `ink_end` that after the last one with ink.
        """
        if self.in_force.polarity == "ink-low":
            data = data.translate(INVERSE)
        if not self.in_force.line_end_columns:
            return data
        height = self._column_height
        for end in range(height, len(data) + 1, height):
            column += 1
            if any(data[end - height : end]):
                ink_end = column
            elif self.line_ends(column, ink_end):
                return data[:end]
        return data

    def line_ends(self, column: int, ink_end: int) -> bool:
        """Whether a line of `column` columns has so many blank ones after its ink as end it."""
        return 0 < self.in_force.line_end_columns <= column - ink_end and ink_end > 0

    def named(self, row: list[float]) -> dict[str, float]:
        """The probabilities that are sent of one column's K."""
        labels, shown = self._labels, self._shown
        if shown is None:
            return dict(zip(labels, row, strict=True))
        most = self.in_force.top_k
        if most is not None and most < len(shown):
            shown = sorted(shown, key=row.__getitem__, reverse=True)[:most]
        return {labels[k]: row[k] for k in shown}
