"""Turn columns into answers: nets, decoders, training, evaluation. Numbers in, numbers out.

Shapes are written with these letters throughout: B batch (streams), T columns, H column height
(pixels), L layers, U units, K labels, D numbers of one stream's state.
"""
