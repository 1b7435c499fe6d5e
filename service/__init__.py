"""Speak to the world: servers, clients, protocol and command line, around the nets of `model`."""
