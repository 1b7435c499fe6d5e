"""What `model/train.py` is made of: configuration, tasks, run folders."""
