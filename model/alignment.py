"""What was read beside what was written."""

from rapidfuzz.distance import Levenshtein


def same(text: str, label: str) -> list[tuple[int, int]]:
    """Places in both of the characters that stand in both, by the alignment of fewest changes."""
    blocks = Levenshtein.editops(text, label).as_matching_blocks()
    return [(block.a + k, block.b + k) for block in blocks for k in range(block.size)]
