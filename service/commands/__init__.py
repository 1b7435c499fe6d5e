"""What `inkstream` does, a module for each of its larger commands; `service.cli` leads here.

recognize -> offline, folder     images and ink, read here
stream    -> show, terminal      an answer that grows, drawn
train                            nets, languages
evaluate  -> evaluate_* -> road, replay     what they are worth
data                             labelled ink
"""
