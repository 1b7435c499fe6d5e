"""Processes for work that can run away: their pool, their inside, and turns of clients at them."""
