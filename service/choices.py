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

    def as_ink(self, data: bytes) -> bytes:
        """Columns as they came, with high ink."""
        return data if self.in_force.polarity == "ink-high" else data.translate(INVERSE)

    def until_line_end(self, data: bytes, column: int, ink_end: int) -> int:
        """How many of the columns in `data`, as they came, belong to the line: all, or fewer.

        `column` is the number of the first of them, `ink_end` that after the last one with ink.
        """
        data, height = self.as_ink(data), self._column_height
        for end in range(height, len(data) + 1, height):
            column += 1
            if any(data[end - height : end]):
                ink_end = column
            elif self.line_ends(column, ink_end):
                return end // height
        return len(data) // height

    def line_ends(self, column: int, ink_end: int) -> bool:
        """Whether a line of `column` columns has so many blank ones after its ink as end it."""
        blank = self.in_force.line_end_columns
        return blank > 0 and 0 < ink_end <= column - blank

    def named(self, row: list[float]) -> dict[str, float]:
        """The probabilities that are sent of one column's K."""
        labels, shown = self._labels, self._shown
        if shown is None:
            return dict(zip(labels, row, strict=True))
        most = self.in_force.top_k
        if most is not None and most < len(shown):
            shown = sorted(shown, key=row.__getitem__, reverse=True)[:most]
        return {labels[k]: row[k] for k in shown}
