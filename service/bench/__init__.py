"""Measure how fast the service is on this machine, and how many people can write at once.

compare -> load       one process puts a load of WebSockets on a server
        -> peers      other servers on the same uvicorn
"""
