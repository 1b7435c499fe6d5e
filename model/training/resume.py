"""Keep the options that a run was begun with, so that resuming it needs none of them.

They lie in `options.json` in the run folder, from before any data is read. What the data and the
weights to begin with were is checked by their digests, in `run_folder`; here they are only found
again.
"""

import dataclasses
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from inkstream.model.checkpoint import write_whole
from inkstream.model.errors import DataError
from inkstream.model.training.config import Knobs, Place
from inkstream.model.training.run_folder import STATE

OPTIONS: Final = "options.json"
KEPT: Final = ("data", "teachers", "init", "device", "threads")  # of `Place`
TEACHER_FOLDER: Final = "teacher"  # the folder of a teacher's run in that of its student


def keep_options(config: Knobs, run: Place) -> None:
    """Write what a new run is begun with; raise `DataError` where that can't be done."""
    if run.resume:
        return
    if (run.run / STATE).exists():
        raise DataError(
            f"{run.run} holds a run already: resume it (--resume) or name another folder (--run)"
        )
    kept = {name: getattr(run, name) for name in KEPT}
    text = json.dumps({"config": config.to_dict(), "run": kept}, indent=2, default=str)
    try:
        run.run.mkdir(parents=True, exist_ok=True)
        write_whole(run.run / OPTIONS, text.encode())
    except OSError as error:
        raise DataError(f"run folder {run.run} cannot be made: {error.strerror}") from error


def resumed(config: Knobs, run: Place, given: Collection[str]) -> tuple[Knobs, Place]:
    """Return what a run was begun with, but for options that may be another when it is resumed.

    Args:
        config: holds the options that are given now, and defaults.
        run: likewise; its paths are taken where they are given, and their content is checked later.
        given: names of the fields of both that are given now.

    Raises `DataError` that names every option that is not as it was: `cycles` alone may grow.
    """
    file = run.run / OPTIONS
    if not file.exists():
        raise DataError(f"{run.run} has no {OPTIONS}: there is no run to resume (see --run)")
    try:
        kept = json.loads(file.read_bytes())
        begun: dict[str, Any] = kept["config"]
        found = {name: value for name, value in kept["run"].items() if name not in given}
        changed = [f"it is a run of: inkstream train {begun['task']}"]
        if begun["task"] == config.task:
            before = type(config)(**begun)
            changed = _changes(begun, dataclasses.asdict(config), given)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{file} is damaged, or of another version: {error}") from error
    if changed:
        raise DataError(
            f"cannot resume {run.run}: {'; '.join(changed)} (leave that out, or name another folder"
            " with --run)"
        )
    if "cycles" in given:
        before = dataclasses.replace(before, cycles=config.cycles)
    for name in ("data", "init"):
        if found.get(name) is not None:
            found[name] = Path(found[name])
    if "teachers" in found:
        found["teachers"] = tuple(map(Path, found["teachers"]))
    return before, dataclasses.replace(run, **found)


def _changes(begun: Mapping[str, Any], now: Mapping[str, Any], given: Collection[str]) -> list[str]:
    """Return what differs of the options that are given; a run may get more cycles."""
    return [
        f"--{name.replace('_', '-')} was {begun[name]}, now {now[name]}"
        for name in begun
        if name in given and now[name] != begun[name]
        if name != "cycles" or now[name] < begun[name]
    ]


def saved_state(run: Path) -> Path | None:
    """Return the file from which a run would be resumed: its own, or its teacher's."""
    for folder in (run, run / TEACHER_FOLDER):
        if (folder / STATE).is_file():
            return folder / STATE
    return None
