"""Measure how fast the service is on this machine, beside what bounds it.

compare -> load       one process puts a load of WebSockets on a server
        -> kernels    what bounds the service, without a socket
        -> peers      other servers on the same uvicorn
"""
