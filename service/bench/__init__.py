"""The load generator that ships: how fast is the service on this machine, beside what bounds it?

command -> compare -> load       one process puts a load of WebSockets on a server
                   -> kernels    what bounds the service, without a socket
                   -> peers      what it is measured against
        -> report                text, JSON, plot
"""


def main(args: list[str]) -> None:
    """Run `inkstream bench`; faults are raised for the command line that called it to tell."""
    from inkstream.service.bench.command import command  # noqa: PLC0415 - load and peers run without it

    command.main(args, prog_name="inkstream bench", standalone_mode=False)
