"""Attacks by strangers: a server with default settings, beside neighbours who must not notice."""
