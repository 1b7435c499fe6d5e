"""Strokes, fingers, palms and pens anywhere on the writing pad."""

from typing import Any

from tests.service.web.pad.pad_page import Pad

Point = tuple[float, float]  # CSS pixels, right of and below the paper's upper left corner in view


def origin(pad: Pad) -> Point:
    """Return where in the window the paper has its upper left corner."""
    box = pad.page.locator("#pad").bounding_box()
    assert box is not None
    return box["x"], box["y"]


def draw(pad: Pad, first: Point, *points: Point, steps: int = 1, key: str = "") -> None:
    """Write a stroke with the mouse; press a key before the last point."""
    (left, top), (x, y) = origin(pad), first
    pad.page.mouse.move(left + x, top + y)
    pad.page.mouse.down()
    for x, y in points[:-1]:
        pad.page.mouse.move(left + x, top + y, steps=steps)
    if key:
        pad.page.keyboard.press(key)
    x, y = points[-1]
    pad.page.mouse.move(left + x, top + y, steps=steps)
    pad.page.mouse.up()


class Pointer:
    """Fingers, a palm or a pen on the pad, simulated by the browser's developer tools."""

    def __init__(self, pad: Pad) -> None:
        self._devtools = pad.page.context.new_cdp_session(pad.page)
        self._left, self._top = origin(pad)

    def touch(self, kind: str, *fingers: Point, palm: Point | None = None) -> None:
        """Let fingers "Start", "Move", "End" or "Cancel", with a palm beside them."""
        points = [
            {"x": self._left + x, "y": self._top + y, "id": number}
            for number, (x, y) in enumerate(fingers)
        ]
        if palm is not None:
            x, y = self._left + palm[0], self._top + palm[1]
            points.append({"x": x, "y": y, "id": len(fingers), "radiusX": 45, "radiusY": 60})
        event: dict[str, Any] = {"type": f"touch{kind}", "touchPoints": points}
        self._devtools.send("Input.dispatchTouchEvent", event)

    def pen(self, kind: str, x: float, y: float, force: float = 0.0) -> None:
        """Let a pen be "Pressed", "Moved" or "Released"."""
        position = {"x": self._left + x, "y": self._top + y, "button": "left", "buttons": 1}
        event = {"type": f"mouse{kind}", "pointerType": "pen", "clickCount": 1, "force": force}
        self._devtools.send("Input.dispatchMouseEvent", position | event)
