"""Sockets and processes: uvicorn, frames, connections, the drain, workers and their supervisor."""
