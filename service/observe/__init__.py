"""Logs, metrics, traces, the memory of a process and the time that its event loop stands still."""
