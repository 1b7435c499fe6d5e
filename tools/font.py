"""Make the font in which pages are drawn, and searched as PDF: a part of DejaVu Sans.

python -m tools.font
"""

from pathlib import Path
from typing import Final

import matplotlib
from fontTools import subset

from inkstream.model.pages.drawing import FONT

FONTS: Final = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
RANGES: Final = (
    (0x20, 0x7E),
    (0xA0, 0x17F),  # Latin-1 and Latin Extended-A
    (0x218, 0x21B),  # Romanian
    (0x384, 0x3CE),  # Greek
    (0x400, 0x45F),  # Cyrillic
    (0x2010, 0x203A),  # dashes, quotation marks and dots
    (0x20AC, 0x20AC),
    (0xFFFD, 0xFFFD),
)


def main() -> None:
    """Write the font and its licence."""
    options = subset.Options(hinting=False, layout_features=[], name_IDs=["*"], notdef_outline=True)
    font = subset.load_font(FONTS / "DejaVuSans.ttf", options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[code for first, last in RANGES for code in range(first, last + 1)])
    subsetter.subset(font)
    subset.save_font(font, str(FONT), options)
    FONT.with_suffix(".LICENSE").write_bytes((FONTS / "LICENSE_DEJAVU").read_bytes())


if __name__ == "__main__":
    main()
