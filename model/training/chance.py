"""Random numbers that follow from where a run stands, so that nothing of them need be saved."""

import numpy as np
import torch


def seeded(*place: int) -> torch.Generator:
    """A generator for one place of a run, such as seed, step and shard."""
    number = np.random.SeedSequence(place).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(number >> np.uint64(1)))  # torch takes 63 bits
