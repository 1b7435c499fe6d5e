"""The command line. Heavy modules are imported by the command that needs them, so help is instant.

Exit codes: 0 all went well, 1 something failed (said in one line on standard error), 2 the command
was not understood, 130 interrupted. A reader that leaves early, such as `head`, is no error.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

DEFAULT_URL: Final = "ws://127.0.0.1:8000"
DEFAULT_MODEL: Final = "digits"
DEFAULT_PACE_MS: Final = 60.0  # a digit is drawn in under two seconds: slow enough to follow
IMAGE_SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
)
TRAIN_PACKAGES: Final = frozenset({"torch", "onnx", "matplotlib", "tqdm", "safetensors"})
INTERRUPTED: Final = 130  # what shells expect after Ctrl-C: 128 + SIGINT


def main() -> None:
    """Entry point of `inkstream`."""
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors become one line each."""
    from model.errors import InkstreamError

    try:
        code = cli.main(list(args), prog_name="inkstream", standalone_mode=False)
        sys.stdout.flush()
    except click.Abort:
        return INTERRUPTED
    except (BrokenPipeError, SystemExit) as left:  # click exits so when it meets a closed pipe
        return _leave(left)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "inkstream"
        return _fail(f"{error.format_message()} (see {where} --help)", 2)
    except (click.ClickException, InkstreamError, OSError) as error:
        return _fail(_text(error), 1)
    return code if isinstance(code, int) else 0


def _leave(left: BaseException) -> int:
    """The reader of a pipe has seen enough: that is no error, but nothing more may be written."""
    if isinstance(left, SystemExit) and not isinstance(left.__context__, BrokenPipeError):
        raise left
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _text(error: Exception) -> str:
    """What to say of an error; the system's own ones without their numbers."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return error.message if isinstance(error, click.ClickException) else str(error)


def _fail(message: str, code: int) -> int:
    click.echo(f"inkstream: {' '.join(message.split())}", err=True)
    return code


@click.group(invoke_without_command=True)
@click.option("--version", is_flag=True, is_eager=True, help="print the version and stop")
@click.pass_context
def cli(context: click.Context, version: bool) -> None:
    """Read handwriting while it is being written.

    \b
    Start here:
      inkstream serve                      serve on 127.0.0.1:8000
      inkstream stream examples/7.png      watch an answer grow, column by column
      inkstream recognize examples/*.png   read images, no server needed
    """
    if version:
        from service.version import installed_version

        click.echo(f"inkstream {installed_version()}")
        context.exit()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        context.exit(2)


class SettingsCommand(click.Command):
    """A command with one flag for each setting, made from `Settings` when it is needed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Own parameters first, then the settings in the order of their class."""
        from service.settings import Settings

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
    from service.settings import Settings

    settings = Settings.load(**{name: value for name, value in flags.items() if value is not None})
    if print_settings:
        click.echo(settings.render(), nl=False)
        return 0
    from service.server import serve as serve_until_stopped

    return serve_until_stopped(settings)


@cli.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="name or path of a model")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a line")
@click.option("--csv", "as_csv", is_flag=True, help="comma-separated values with a header")
def recognize(*, images: tuple[str, ...], model: str, as_json: bool, as_csv: bool) -> int:
    """Read images of one digit each, here, without a server.

    IMAGE is a file, a folder (all images in it and below), or a quoted pattern. One that cannot be
    read is named on standard error, the others are read all the same, and the exit code is 1.

    \b
    Examples:
      inkstream recognize examples/7.png
      inkstream recognize scans/ --csv > scans.csv
      inkstream recognize 'scans/**/*.jpg' --json | jq .label
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other", click.get_current_context())
    paths = [path for image in images for path in _expand(image)]
    from model import load
    from model.errors import InkstreamError

    recognizer = load(model)
    write = _json_line if as_json else _csv_line if as_csv else _text_line
    if as_csv:
        click.echo("image,label,probability")
    code = 0
    with click.progressbar(
        paths, file=sys.stderr, label="reading", hidden=not _wants_progress(len(paths))
    ) as bar:
        for path in bar:
            try:
                answer = recognizer.recognize(path)
            except InkstreamError as error:
                code = _fail(f"{path}: {error}", 1)
            else:
                click.echo(write(path, answer))
    return code


def _expand(image: str) -> list[Path]:
    """The files that one argument names, sorted."""
    path = Path(image)
    if path.is_dir():
        inside = (file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
        found = sorted(file for file in inside if file.is_file())
    elif path.exists():
        return [path]
    else:
        import glob

        found = sorted(Path(name) for name in glob.glob(image, recursive=True))  # noqa: PTH207
    if not found:
        raise click.BadParameter(f"no image at {image!r}", param_hint="IMAGE")
    return found


def _wants_progress(n_images: int) -> bool:
    """A bar helps where the answers go elsewhere; on a terminal they are the progress."""
    return n_images > 1 and sys.stderr.isatty() and not sys.stdout.isatty()


def _text_line(path: Path, answer: Any) -> str:
    return f"{path}  {answer.label}  {answer.probabilities[answer.label]:.2%}"


def _json_line(path: Path, answer: Any) -> str:
    import json

    probabilities = {label: round(p, 6) for label, p in answer.probabilities.items()}
    return json.dumps(
        {
            "image": str(path),
            "label": answer.label,
            "probabilities": probabilities,
            "columns": answer.columns,
        },
        ensure_ascii=False,
    )


def _csv_line(path: Path, answer: Any) -> str:
    import csv
    import io

    line = io.StringIO()
    probability = f"{answer.probabilities[answer.label]:.6f}"
    csv.writer(line, lineterminator="").writerow([path, answer.label, probability])
    return line.getvalue()


@cli.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--url", default=DEFAULT_URL, show_default=True, help="the server")
@click.option("--model", help="model to ask for  [the server's first]")
@click.option("--key", help="API key, where the server wants one")
@click.option(
    "--pace",
    type=click.FloatRange(0, 10_000),
    metavar="MS",
    help=f"milliseconds between columns  [{DEFAULT_PACE_MS:g} in a terminal, else 0]",
)
@click.option("--plain", is_flag=True, help="a line for each column, as when output is a pipe")
def stream(
    *, image: Path, url: str, model: str | None, key: str | None, pace: float | None, plain: bool
) -> None:
    """Send an image through a server, column by column, and watch the answer grow.

    \b
    Examples:
      inkstream stream examples/7.png
      inkstream stream examples/3.png --pace 200
      inkstream stream scan.jpg --url wss://ink.example.org --key KEY
    """
    from service.conversation import NoConnectionError
    from service.show import show

    plain = plain or not sys.stdout.isatty()
    if pace is None:
        pace = 0.0 if plain else DEFAULT_PACE_MS
    try:
        show(image, url, model=model, key=key, pace_ms=pace, plain=plain, output=sys.stdout)
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
    """List the models that lie here.

    \b
    Examples:
      inkstream models
      inkstream models --weights runs/ --json
    """
    import json

    from model import checkpoint

    folder = weights or checkpoint.WEIGHTS_FOLDER
    found = sorted(folder.rglob(f"*{checkpoint.SUFFIX}"))
    if not found:
        raise click.ClickException(f"no models in {folder}")
    for path in found:
        metadata = checkpoint.read(path).metadata
        if as_json:
            known = {"path": str(path), **checkpoint.describe(metadata)}
            click.echo(json.dumps(known, ensure_ascii=False))
        else:
            labels = " ".join(metadata.config.labels)
            click.echo(
                f"{metadata.name} {metadata.version}: {metadata.config.kind} of {labels},"
                f" {metadata.parameters:,} parameters, trained on {metadata.data}  ({path})"
            )


_FORWARDED: Final = {"ignore_unknown_options": True, "help_option_names": []}


@cli.command(context_settings=_FORWARDED)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def train(args: tuple[str, ...]) -> int:
    """Train a net (needs the train extra). Example: inkstream train digits --minutes 60"""
    return _forward("model.train", args)


@cli.command(context_settings=_FORWARDED)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def evaluate(args: tuple[str, ...]) -> int:
    """Measure a net and draw its plots (train extra). Example: inkstream evaluate digits"""
    return _forward("model.evaluate", args)


@cli.command(context_settings=_FORWARDED)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def bench(args: tuple[str, ...]) -> int:
    """Measure the service on this machine. Example: inkstream bench --seconds 5"""
    return _forward("service.bench", args)


def _forward(module: str, args: Sequence[str]) -> int:
    """Hand the rest of the line to `main(args)` of a module that is imported only now."""
    try:
        entry = importlib.import_module(module).main
    except ModuleNotFoundError as error:
        if error.name not in TRAIN_PACKAGES:
            raise
        raise click.ClickException(
            f"{error.name} is not installed; it comes with: pip install 'inkstream[train]'"
        ) from None
    code = entry(list(args))
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    main()
