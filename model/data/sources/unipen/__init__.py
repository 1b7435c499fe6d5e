"""UNIPEN's training release, from its archive or folder to an `InkSet` that is read once and kept.

release -> pieces -> letters, guides    a page's ink and its segments, as pieces
        -> cut, labels                  one segment's ink; its label made plain
        -> format                       the files
rules                                   all rules and what they changed, as a document
"""

from inkstream.model.data.sources.unipen.release import cache_folder, keep, read
from inkstream.model.data.statistics import Statistics

__all__ = ["Statistics", "cache_folder", "keep", "read"]
