"""Run the command line: `python -m inkstream`."""

from inkstream.service.cli.main import main

if __name__ == "__main__":
    main()
