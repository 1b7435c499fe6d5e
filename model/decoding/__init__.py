"""The net's scores -> letters, marks, words and labels, column by column.

`base.py` says what a decoder is; `classifier.py`, `greedy.py` and `beam.py` hold one each, and
`hints.py` chooses: a new decoder is a new file and a line in `hints.new_decoder`. `lexicon.py`,
`regex.py` and `ngrams.py` are the guides that a beam search follows.
"""
