"""The command line. Heavy modules are imported by the command that needs them, so help is instant.

Exit codes: 0 all went well, 1 something failed (said in one line on standard error), 2 the command
was not understood, 130 interrupted. A reader that leaves early, such as `head`, is no error.
"""

import dataclasses
import importlib
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
from click.exceptions import NoArgsIsHelpError

from inkstream.service.cli.options import CHARACTERS
from inkstream.service.cli.recognize import recognize

DEFAULT_URL: Final = "ws://127.0.0.1:8000"
MAX_SHOWN: Final = 12  # labels that a model's line names
EXTRAS: Final = {"cv2": "scan"} | dict.fromkeys(  # which one brings a package
    ("torch", "onnx", "matplotlib", "tqdm", "safetensors", "rapidfuzz", "wordfreq"), "train"
)
INTERRUPTED: Final = 130  # what shells expect after Ctrl-C: 128 + SIGINT


def main() -> None:
    """Entry point of `inkstream`."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # whoever began us has closed it
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
            setattr(sys, name, nowhere)
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors become one line each."""
    from inkstream.model.errors import InkstreamError

    try:
        code = cli.main(list(args), prog_name="inkstream", standalone_mode=False)
        sys.stdout.flush()
    except click.Abort as error:
        if isinstance(error.__cause__, EOFError):  # click thinks of a prompt, and we have none
            raise error.__cause__ from None
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):  # click leaves by the latter when a pipe was closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more goes there
        return 0
    except NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return 2
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "inkstream"
        return _fail(f"{error.format_message()} (see {where} --help)", 2)
    except (click.ClickException, InkstreamError, OSError) as error:
        return _fail(_text(error), 1)
    return code if isinstance(code, int) else 0


def _text(error: Exception) -> str:
    """What to say of an error; the system's own ones without their numbers."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return error.message if isinstance(error, click.ClickException) else str(error)


def _fail(message: str, code: int) -> int:
    click.echo(f"inkstream: {' '.join(message.split())}", err=True)
    return code


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from inkstream.service import installed_version

        click.echo(f"inkstream {installed_version()}")
        context.exit()


@click.group()
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="print the version and stop",
)
def cli() -> None:
    """Read handwriting while it is being written.

    \b
    Start here:
      inkstream serve                      serve on 127.0.0.1:8000
      inkstream stream examples/7.png      watch an answer grow, column by column
      inkstream recognize examples/?.png   read images, no server needed
    """


class SettingsCommand(click.Command):
    """A command with one flag for each setting, made from `Settings` when it is needed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Own parameters first, then the settings in the order of their class."""
        from inkstream.service.settings import Settings

        flags = [_flag(name, field) for name, field in Settings.model_fields.items()]
        own = super().get_params(ctx)
        return [*own[:-1], *flags, *own[-1:]]  # --help stays last


def _flag(name: str, field: Any) -> click.Option:
    """The flag of one setting; its text is checked by `Settings`, like the environment's."""
    flag = "--" + name.replace("_", "-")
    default = field.get_default(call_default_factory=True)
    if isinstance(default, bool):
        return click.Option([f"{flag}/--no-{flag[2:]}", name], default=None, help=field.description)
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    text = field.description if shown in (None, "") else f"{field.description}  [{shown}]"
    return click.Option([flag, name], metavar="VALUE", help=text)


@cli.command(cls=SettingsCommand)
@click.option("--print-settings", is_flag=True, help="print what holds, as a TOML file, and stop")
def serve(print_settings: bool, **flags: str | bool | None) -> int:
    """Serve WebSocket streams and REST.

    Each setting may also come from the environment (INKSTREAM_PORT=9000) or from a TOML file
    (--config). Flags win. A list is written with commas.

    \b
    Examples:
      inkstream serve --port 9000 --log-format json
      INKSTREAM_API_KEYS=one,two inkstream serve --host 0.0.0.0
      inkstream serve --print-settings > inkstream.toml
    """
    from inkstream.model.errors import ConfigError
    from inkstream.service.settings import Settings

    given = {name: value for name, value in flags.items() if value is not None}
    try:
        settings = Settings.load(**given)
    except ConfigError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None
    if print_settings:
        click.echo(settings.render(), nl=False)
        return 0
    from inkstream.service.server.process import serve as serve_until_stopped

    return serve_until_stopped(settings)


cli.add_command(recognize)


@cli.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--url", default=DEFAULT_URL, show_default=True, help="the server")
@click.option("--model", help="model to ask for  [what suits the image: see above]")
@click.option("--key", help="API key, where the server wants one")
@CHARACTERS
@click.option("--language", help="language model of the server to read lines with")
@click.option("--pattern", metavar="REGEX", help="regular expression that lines fulfil")
@click.option(
    "--pace",
    type=click.FloatRange(0, 10_000),
    metavar="MS",
    help="milliseconds between columns  [in a terminal 60, for lines 15; else 0]",
)
@click.option(
    "--plain",
    is_flag=True,
    help="a line for each column and event, as in a pipe or a small terminal",
)
def stream(
    *,
    image: Path,
    url: str,
    model: str | None,
    key: str | None,
    characters: str | None,
    language: str | None,
    pattern: str | None,
    pace: float | None,
    plain: bool,
) -> None:
    """Send an image through a server, column by column, and watch the answer grow.

    IMAGE may be a file of ink, .jsonl or .inkml, whose strokes are sent. Without --model ink, an
    image at least twice as wide as high, and one with --language or --pattern are read by the net
    lines, if the server has it, all else by the server's first.

    \b
    Examples:
      inkstream stream examples/7.png
      inkstream stream examples/hello.png --language english
      inkstream stream examples/hello.jsonl
      inkstream stream examples/3.png --pace 200
      inkstream stream scan.jpg --url wss://ink.example.org --key KEY
    """
    from inkstream.service.cli.stream import show
    from inkstream.service.client.conversation import NoConnectionError

    if pace is not None and math.isnan(pace):
        raise click.BadParameter("nan is no pace, expected a number", param_hint="--pace")
    plain = plain or not sys.stdout.isatty()
    said = {"characters": characters, "language_model": language, "pattern": pattern}
    hints = {name: value for name, value in said.items() if value is not None}
    try:
        show(image, url, model, key, hints, pace_ms=pace, plain=plain, output=sys.stdout)
    except NoConnectionError as error:
        raise click.ClickException(f"{error}; start a server with: inkstream serve") from None


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="one JSON object a line")
@click.option(
    "--weights",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="folder to look in  [the one that came with inkstream]",
)
def models(as_json: bool, weights: Path | None) -> None:
    """List the nets that lie here, what was measured of each, and the language models.

    \b
    Examples:
      inkstream models
      inkstream models --weights runs/ --json
    """
    import json

    from inkstream.model import checkpoint

    folder = weights or checkpoint.WEIGHTS_FOLDER
    found = sorted(folder.rglob(f"*{checkpoint.SUFFIX}"))
    if not found:
        raise click.ClickException(f"no models in {folder}")
    for path in found:
        read = checkpoint.read(path)
        metadata = read.metadata
        if as_json:
            described = {"path": str(path), **checkpoint.describe(read)}
            click.echo(json.dumps(described, ensure_ascii=False))
        else:
            labels = metadata.config.labels
            known = " ".join(labels) if len(labels) <= MAX_SHOWN else f"{len(labels)} labels"
            click.echo(
                f"{metadata.name} {metadata.version}: {metadata.config.kind} of {known},"
                f" {metadata.parameters:,} parameters, trained on {metadata.data}  ({path})"
            )
            for name, share in read.metrics.items():
                click.echo(f"  {name.replace('_', ' ')} {share:.2%}")
    _list_languages(folder, as_json=as_json)


def _list_languages(folder: Path, *, as_json: bool) -> None:
    import json

    from inkstream.model.decoding.ngrams import SUFFIX, Language

    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        language = Language.load(path)
        about = dataclasses.asdict(language.about)
        if as_json:
            described = {"path": str(path), **about, "n_grams": len(language)}
            click.echo(json.dumps(described, ensure_ascii=False))
        else:
            click.echo(
                f"{about['name']}: language model of {len(about['characters'])} characters,"
                f" {len(language):,} n-grams up to {about['order']} long  ({path})"
            )


_FORWARDED: Final = {"ignore_unknown_options": True, "help_option_names": []}


@cli.command(context_settings=_FORWARDED)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def train(args: tuple[str, ...]) -> int:
    """Train a net (train extra). Example: inkstream train digits --minutes 60"""
    return _forward("inkstream.service.cli.train", "train", args)


@cli.command(context_settings=_FORWARDED)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def evaluate(args: tuple[str, ...]) -> int:
    """Measure a net and draw plots (train extra). Example: inkstream evaluate digits"""
    return _forward("inkstream.service.cli.evaluate", "evaluate", args)


@cli.command(context_settings=_FORWARDED)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def data(args: tuple[str, ...]) -> int:
    """Read labelled ink (train extra). Example: inkstream data unipen unipen-train.tar.xz"""
    return _forward("inkstream.service.cli.data", "data", args)


@cli.command(context_settings=_FORWARDED)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def bench(args: tuple[str, ...]) -> int:
    """Measure speed on this machine (train extra). Example: inkstream bench --rounds 1"""
    return _forward("inkstream.service.bench.command", "command", args)


def _forward(module: str, name: str, args: Sequence[str]) -> int:
    """Hand the rest of the line to a command whose module is imported only now."""
    context = click.get_current_context()
    try:
        command: click.Command = getattr(importlib.import_module(module), name)
        code = command.main(list(args), prog_name=context.command_path, standalone_mode=False)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        name = error.name
        raise click.ClickException(
            f"{name} is not installed; it comes with: pip install 'inkstream[{EXTRAS[name]}]'"
        ) from None
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    main()
