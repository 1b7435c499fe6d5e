"""`inkstream serve`: start the server."""

import gc
from typing import Any

import click

from inkstream.service.cli import use_one_thread


class SettingsCommand(click.Command):
    """A command with one flag for each setting, made from `Settings` when it is needed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own parameters, and the settings in the order of their class."""
        from inkstream.service.settings import Settings

        flags = [_flag(name, field) for name, field in Settings.model_fields.items()]
        *others, help_option = super().get_params(ctx)
        return [*others, *flags, help_option]


def _flag(name: str, field: Any) -> click.Option:
    """Return the flag of a setting; its text is checked by `Settings`, like the environment's."""
    flag = "--" + name.replace("_", "-")
    default = field.get_default(call_default_factory=True)
    if isinstance(default, bool):
        return click.Option([f"{flag}/--no-{flag[2:]}", name], default=None, help=field.description)
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    text = field.description if shown in (None, "") else f"{field.description}  [{shown}]"
    return click.Option([flag, name], metavar="VALUE", help=text)


@click.command(cls=SettingsCommand)
@click.option("--print-settings", is_flag=True, help="print all settings as a TOML file, and stop")
def serve(print_settings: bool, **flags: str | bool | None) -> None:
    """Serve WebSocket streams and REST.

    Each setting may also come from the environment (INKSTREAM_PORT=9000) or from a TOML file
    (--config). A flag wins over the environment, the environment over the file. Write a list with
    commas.

    \b
    Examples:
      inkstream serve --port 9000 --log-format json
      inkstream serve --models lines,anna=runs/hand
      inkstream serve --workers 4
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
        return
    use_one_thread()
    if settings.workers > 1:
        from inkstream.service.server.supervisor import supervise

        supervise(lambda: Settings.load(**given))
        return
    gc.disable()  # it would walk over what is imported and stays, again and again
    from inkstream.service.loading import Loading

    loading = Loading(settings)  # while the server is imported
    from inkstream.service.server.run import serve as serve_until_stopped

    gc.freeze()
    gc.enable()
    serve_until_stopped(settings, loading)
