"""UNIPEN's training release `train_r01_v07` (Zenodo record 1195803): read whole, and kept.

Below its top folder, `data/CATEGORY/DONOR/...` holds labels, which include ink from `include/...`.
`format` reads these files, `labels` cleans labels by rules, which are counted, `pieces` finds the
ink of each label, its letters, lines and guides, and `release` reads and keeps it all.

The release is one archive that never changes: what it does not have is not provided for.
"""

from inkstream.model.data.sources.unipen.release import cache_folder, keep, keep_archive, read

__all__ = ["cache_folder", "keep", "keep_archive", "read"]
