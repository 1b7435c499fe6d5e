"""What `model/train.py` is made of: configuration, tasks, losses, run folders."""
