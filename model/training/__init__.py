"""What a run of `model/train.py` is made of: knobs, tasks, losses, optimisers, its folder."""
