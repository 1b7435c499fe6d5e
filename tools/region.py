"""Simulate a day of a region: how long writers wait, how many are refused, how many machines run.

    python -m tools.region --peak 100000 --out docs/reports/region

Writers come by a diurnal curve, and in a flash crowd; each stays for a while. Machines serve as
many as was measured. An autoscaler starts and stops them by the number of sessions. All are
replaced, a few at a time, at each deploy. At the peak the largest zone is lost: its machines and
connections are gone without a notice, and new machines start in the other zones.

A client without a connection does what `service.client` does: it tries again with exponential
backoff and full jitter, goes on elsewhere, and gives up after `GAP_S`. A load balancer gives each
attempt the one of two random machines that has fewer sessions (Mitzenmacher, "The power of two
choices", 2001). A machine that is full refuses; one that has to read many lines again makes their
clients wait.

What a core serves and what a line costs that is read again is taken from `docs/reports`; the day
and the cloud are assumptions, each an option or a constant here. Clients and machines are arrays,
and a step is a second. Everything follows from the seed. The exit code is 1 if a client was lost.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import click
import numpy as np
from numpy.typing import NDArray

from inkstream.service.access import GOAWAY_SHARE
from inkstream.service.client import ANSWER_S, FIRST_WAIT_S, GAP_S, LONGEST_WAIT_S
from inkstream.service.connections import REQUEST_S
from inkstream.service.settings import Settings

REPORTS: Final = Path(__file__).parent.parent / "docs" / "reports"
WRITERS: Final = Path("bench/0.1.0/writers-lines.json")
WORKERS: Final = Path("workers.json")
FOOTPRINT: Final = Path("footprint.json")

DAY_S: Final = 86_400
HOUR_S: Final = 3600.0
NIGHT_SHARE: Final = 0.15  # of the writers at the peak, 12 hours later
PING_S: Final = 20.0  # of websockets' client: a ping after so long, and as long for the pong
REREAD_COLUMNS: Final = 512  # at most: a snapshot follows each so many columns of a line
SCALE_EVERY_S: Final = 15  # Kubernetes' horizontal autoscaler
CALM_S: Final = 300  # it stops a machine only if it needed none for so long

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Machine:
    """What one machine gives, measured."""

    cores: int
    writers: int  # whose answers are in time, at p99
    reread_s: float  # of a core, for a line that is read again
    ready_s: float  # from the start of the server until it serves


@dataclass(frozen=True, slots=True)
class Day:
    """What happens in a region; times are in seconds from midnight."""

    seconds: int = DAY_S
    peak: int = 100_000  # writers
    stay_s: float = 600.0  # of a writer, on average
    zones: int = 3
    share: float = 0.6  # of what machines can serve that the autoscaler aims at
    boot_s: float = 90.0  # of a machine, before its server starts
    peak_s: float = 19 * HOUR_S  # when most write
    flash_s: float = 10 * HOUR_S  # a flash crowd begins
    flash_writers: int = 20_000  # come beside the others
    flash_ramp_s: float = 300.0  # within so long
    deploys_s: tuple[float, ...] = (9 * HOUR_S, 12 * HOUR_S, 15 * HOUR_S)
    deploy_share: float = 0.05  # of the machines that are replaced at a time
    lost_s: float = 19 * HOUR_S  # a zone is lost
    back_s: float = 20 * HOUR_S  # and takes machines again

    def writers(self, now_s: Floats) -> Floats:
        """Return how many writers there are at times, but for the flash crowd."""
        angle = 2 * np.pi * (now_s - self.peak_s) / DAY_S
        return self.peak * (NIGHT_SHARE + (1 - NIGHT_SHARE) * (1 + np.cos(angle)) / 2)


DAY: Final = Day()


def measured(cores: int) -> Machine:
    """Return what a machine of so many cores gives, by the reports of one with fewer."""

    def report(path: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((REPORTS / path).read_text("utf-8"))
        return found

    of_writers, of_workers = report(WRITERS), report(WORKERS)
    per_core = median(of_writers["writers"]) / of_writers["workers"]
    columns_per_s = of_workers["medians"]["1"]["answered_per_s"]
    return Machine(
        cores=cores,
        writers=int(per_core * cores),
        reread_s=REREAD_COLUMNS / columns_per_s,
        ready_s=float(report(FOOTPRINT)["both_ready_s"]),
    )


class Clients:
    """Clients without a connection, as arrays of one length."""

    def __init__(self) -> None:
        self.due_s = np.empty(0)  # of the next attempt
        self.since_s = np.empty(0)  # without a connection
        self.first_s = np.empty(0)  # of the first attempt, from which a client counts `GAP_S`
        self.attempts = np.empty(0, np.int64)  # so far
        self.rereads = np.empty(0, bool)  # whether its line is read again

    def __len__(self) -> int:
        return len(self.due_s)

    def add(self, due_s: Floats, since_s: Floats, *, rereads: bool) -> None:
        """Add clients whose first attempt is at `due_s`."""
        self.due_s = np.concatenate([self.due_s, due_s])
        self.since_s = np.concatenate([self.since_s, since_s])
        self.first_s = np.concatenate([self.first_s, due_s])
        self.attempts = np.concatenate([self.attempts, np.zeros(len(due_s), np.int64)])
        self.rereads = np.concatenate([self.rereads, np.full(len(due_s), rereads)])

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Remove the others."""
        self.due_s, self.since_s, self.first_s = (
            self.due_s[kept],
            self.since_s[kept],
            self.first_s[kept],
        )
        self.attempts, self.rereads = self.attempts[kept], self.rereads[kept]


class Fleet:
    """Machines as arrays of one length; a machine that has ended is removed."""

    def __init__(self, zones: int) -> None:
        self.zones = zones
        self.zone = np.empty(0, np.int64)
        self.ready_s = np.empty(0)  # from when on it serves
        self.sessions = np.empty(0, np.int64)
        self.backlog_s = np.empty(0)  # of a core: lines that wait to be read again
        self.version = np.empty(0, np.int64)
        self.leaving_s = np.empty(0)  # inf, or when it began to drain
        self.lost: set[int] = set()  # zones that take no machine

    def __len__(self) -> int:
        return len(self.zone)

    def start(self, count: int, ready_s: float, version: int) -> None:
        """Start machines, each in the zone with the fewest."""
        allowed = [zone for zone in range(self.zones) if zone not in self.lost]
        own = np.array([(self.zone == zone).sum() for zone in allowed])
        zones = []
        for _ in range(count):
            place = int(own.argmin())
            own[place] += 1
            zones.append(allowed[place])
        self.zone = np.concatenate([self.zone, np.array(zones, np.int64)])
        self.ready_s = np.concatenate([self.ready_s, np.full(count, ready_s)])
        self.sessions = np.concatenate([self.sessions, np.zeros(count, np.int64)])
        self.backlog_s = np.concatenate([self.backlog_s, np.zeros(count)])
        self.version = np.concatenate([self.version, np.full(count, version)])
        self.leaving_s = np.concatenate([self.leaving_s, np.full(count, np.inf)])

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Remove the others."""
        for name in ("zone", "ready_s", "sessions", "backlog_s", "version", "leaving_s"):
            setattr(self, name, getattr(self, name)[kept])

    def staying(self) -> NDArray[np.bool_]:
        """Return which machines do not drain."""
        return np.isinf(self.leaving_s)

    def serving(self, now_s: float) -> Ints:
        """Return the numbers of the machines that take sessions."""
        return np.flatnonzero((self.ready_s <= now_s) & self.staying())


@dataclass(slots=True)
class Found:
    """What a day's clients met with."""

    opened: int = 0
    resumed: int = 0
    attempts: int = 0
    refused: int = 0  # attempts that met a full machine, or none
    refused_late: int = 0  # of these, later than `GAP_S` after the zone was lost
    timed_out: int = 0  # attempts whose answer took too long
    lost: int = 0  # clients with a line that gave up
    turned_away: int = 0  # clients that gave up before they had one
    machine_hours: float = 0.0
    most_machines: int = 0


class Region:
    """The state of a region between two steps."""

    def __init__(self, day: Day, machine: Machine, seed: int) -> None:
        self.day, self.machine = day, machine
        self.rng = np.random.default_rng(seed)
        self.clients, self.fleet, self.found = Clients(), Fleet(day.zones), Found()
        self.waits_s: list[Floats] = []  # of clients that were lost, until they are served again
        self.first_waits_s: list[Floats] = []  # of new ones
        self.wanted: list[int] = []  # machines, each `SCALE_EVERY_S` within `CALM_S`
        self.version = 0
        drain_s = float(Settings.model_fields["drain_timeout_s"].default)
        self.goaway_s = GOAWAY_SHARE * drain_s  # within which all sessions have got it
        self.longest_s = 0.0  # of the clients that were served in this step

    def run(self) -> dict[str, list[float]]:
        """Run the day; return what was so at each minute."""
        day, fleet = self.day, self.fleet
        fleet.start(self._needed(float(day.writers(np.zeros(1))[0])), 0.0, 0)
        fleet.sessions[:] = int(day.writers(np.zeros(1))[0] / len(fleet))
        minutes: dict[str, list[float]] = {
            name: [] for name in ("writers", "machines", "waiting", "wait_s", "refused")
        }
        longest_s, refused = 0.0, 0
        for now_s in range(day.seconds):
            self.longest_s = 0.0
            self._step(float(now_s))
            longest_s = max(longest_s, self.longest_s)
            if now_s % 60 == 59:
                minutes["writers"].append(int(fleet.sessions.sum()))
                minutes["machines"].append(len(fleet))
                minutes["waiting"].append(len(self.clients))
                minutes["wait_s"].append(round(longest_s, 2))
                minutes["refused"].append(self.found.refused - refused)
                longest_s, refused = 0.0, self.found.refused
        return minutes

    def _step(self, now_s: float) -> None:
        """Pass one second."""
        day, fleet = self.day, self.fleet
        if now_s == day.lost_s:
            self._lose_zone(now_s)
        if now_s == day.back_s:
            fleet.lost.clear()
        if now_s in day.deploys_s:
            self.version += 1
        fleet.sessions -= self.rng.binomial(fleet.sessions, 1 - np.exp(-1 / day.stay_s))
        self._arrive(now_s)
        if now_s % SCALE_EVERY_S == 0:
            self._scale(now_s)
        self._drain(now_s)
        spare = self.machine.cores * (1 - fleet.sessions / self.machine.writers)
        fleet.backlog_s = np.maximum(fleet.backlog_s - np.maximum(spare, 0.1), 0)
        while len(self.clients) and self.clients.due_s.min() < now_s + 1:
            self._attempt(now_s)
        self.found.machine_hours += len(fleet) / 3600
        self.found.most_machines = max(self.found.most_machines, len(fleet))

    def _arrive(self, now_s: float) -> None:
        """Let writers come: as many as leave, those that the curve adds, and the flash crowd."""
        day = self.day
        before, after = day.writers(np.array([now_s, now_s + 1]))
        rate = max(after - before + after / day.stay_s, 0.0)
        if day.flash_s <= now_s < day.flash_s + day.flash_ramp_s:
            rate += day.flash_writers / day.flash_ramp_s
        due_s = now_s + self.rng.random(self.rng.poisson(rate))
        self.clients.add(due_s, due_s, rereads=False)

    def _lose_zone(self, now_s: float) -> None:
        """Lose the zone with the most sessions; its clients see that by a pong that is missing."""
        fleet = self.fleet
        of_zone = [int(fleet.sessions[fleet.zone == zone].sum()) for zone in range(fleet.zones)]
        zone = int(np.argmax(of_zone))
        since_s = np.full(of_zone[zone], now_s)
        self.clients.add(
            since_s + self.rng.uniform(PING_S, 2 * PING_S, len(since_s)), since_s, rereads=True
        )
        fleet.lost.add(zone)
        fleet.keep(fleet.zone != zone)

    def _needed(self, sessions: float) -> int:
        """Return how many machines serve sessions at the share that the autoscaler aims at."""
        return max(self.day.zones, int(np.ceil(sessions / (self.day.share * self.machine.writers))))

    def _scale(self, now_s: float) -> None:
        """Start the machines that are missing; let those go that were not needed for a while.

        Old versions go first, then machines with few sessions. The autoscaler sees sessions, not
        the clients that wait for one.
        """
        fleet = self.fleet
        self.wanted.append(self._needed(float(fleet.sessions.sum())))
        del self.wanted[: -CALM_S // SCALE_EVERY_S]
        wanted, staying = max(self.wanted), fleet.staying()
        if (missing := wanted - int(staying.sum())) > 0:
            self._start(missing, now_s)
            return
        serving = fleet.serving(now_s)
        if (surplus := len(serving) - wanted) > 0:
            order = np.lexsort((fleet.sessions[serving], fleet.version[serving]))
            fleet.leaving_s[serving[order[:surplus]]] = now_s
        is_coming = bool((staying & (fleet.ready_s > now_s)).any())
        if (n_old := int((staying & (fleet.version < self.version)).sum())) and not is_coming:
            self._start(min(n_old, max(1, int(self.day.deploy_share * wanted))), now_s)

    def _start(self, count: int, now_s: float) -> None:
        self.fleet.start(count, now_s + self.day.boot_s + self.machine.ready_s, self.version)

    def _drain(self, now_s: float) -> None:
        """Send goaway to sessions of machines that drain, which go on elsewhere with a snapshot."""
        fleet = self.fleet
        leaving = np.flatnonzero(~fleet.staying())
        if not len(leaving):
            return
        steps_left = np.maximum(fleet.leaving_s[leaving] + np.ceil(self.goaway_s) - now_s, 1)
        moved = np.ceil(fleet.sessions[leaving] / steps_left).astype(np.int64)
        fleet.sessions[leaving] -= moved
        due_s = now_s + self.rng.random(int(moved.sum()))
        self.clients.add(due_s, due_s, rereads=True)
        fleet.keep(fleet.staying() | (fleet.sessions > 0))

    def _attempt(self, now_s: float) -> None:
        """Make the next attempt of each client that is due in this second."""
        clients, fleet, found, rng = self.clients, self.fleet, self.found, self.rng
        due = np.flatnonzero(clients.due_s < now_s + 1)
        due = due[np.argsort(clients.due_s[due], kind="stable")]
        at_s, attempt = clients.due_s[due], clients.attempts[due] + 1
        found.attempts += len(due)
        serving = fleet.serving(now_s)
        is_served = np.zeros(len(due), bool)
        failed_s = at_s.copy()  # when the attempt has failed
        if len(serving):
            two = serving[rng.integers(len(serving), size=(2, len(due)))]
            chosen = np.where(fleet.sessions[two[0]] <= fleet.sessions[two[1]], two[0], two[1])
            place = _places(chosen)  # of each among those that chose the same machine
            has_room = fleet.sessions[chosen] + place < self.machine.writers
            cost_s = np.where(clients.rereads[due], self.machine.reread_s, REQUEST_S) * has_room
            before_s = fleet.backlog_s[chosen] + place * cost_s
            wait_s = (before_s + cost_s * self.machine.cores) / self.machine.cores
            is_served = has_room & (wait_s <= ANSWER_S)
            fleet.backlog_s += np.bincount(chosen, cost_s, len(fleet))
            fleet.sessions += np.bincount(chosen[is_served], minlength=len(fleet))
            found.timed_out += int((has_room & ~is_served).sum())
            failed_s[has_room & ~is_served] += ANSWER_S
            refused = ~has_room
            self._note_served(due[is_served], (at_s + wait_s)[is_served])
        else:
            refused = np.ones(len(due), bool)
        found.refused += int(refused.sum())
        if self.day.lost_s + GAP_S < now_s < self.day.back_s:
            found.refused_late += int(refused.sum())
        exponent = np.minimum(attempt - 1, 30).astype(float)
        high_s = np.minimum(FIRST_WAIT_S * 2.0**exponent, LONGEST_WAIT_S)
        next_s = failed_s + rng.random(len(due)) * high_s
        gives_up = ~is_served & (next_s - clients.first_s[due] >= GAP_S)
        found.lost += int((gives_up & clients.rereads[due]).sum())
        found.turned_away += int((gives_up & ~clients.rereads[due]).sum())
        clients.due_s[due], clients.attempts[due] = next_s, attempt
        kept = np.ones(len(clients), bool)
        kept[due[is_served | gives_up]] = False
        clients.keep(kept)

    def _note_served(self, served: Ints, then_s: Floats) -> None:
        clients = self.clients
        waits_s, rereads = then_s - clients.since_s[served], clients.rereads[served]
        self.waits_s.append(waits_s[rereads])
        self.first_waits_s.append(waits_s[~rereads])
        self.found.resumed += int(rereads.sum())
        self.found.opened += int((~rereads).sum())
        self.longest_s = max(self.longest_s, float(waits_s.max(initial=0)))


def _places(chosen: Ints) -> Ints:
    """Return for each element how many equal ones come before it."""
    order = np.argsort(chosen, kind="stable")
    ordered = chosen[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    lengths = np.diff(np.append(starts, len(ordered)))
    places = np.empty(len(chosen), np.int64)
    places[order] = np.arange(len(ordered)) - np.repeat(starts, lengths)
    return places


def quantiles(waits_s: list[Floats]) -> dict[str, float]:
    """Return the quantiles of waits, in seconds."""
    waits = np.concatenate(waits_s) if waits_s else np.empty(0)
    if not len(waits):
        return {"n": 0}
    p50, p99, longest = np.quantile(waits, (0.5, 0.99, 1)).round(2).tolist()
    return {"n": len(waits), "p50_s": p50, "p99_s": p99, "longest_s": longest}


def simulate(day: Day, machine: Machine, seed: int) -> dict[str, Any]:
    """Run a day; return the report, with what was so at each minute."""
    region = Region(day, machine, seed)
    minutes = region.run()
    found = asdict(region.found)
    found["machine_hours"] = round(found["machine_hours"], 1)
    return {
        "seed": seed,
        "day": asdict(day),
        "machine": asdict(machine),
        **found,
        "resumed_waits": quantiles(region.waits_s),
        "first_waits": quantiles(region.first_waits_s),
        "minutes": minutes,
    }


def plot(report: dict[str, Any], folder: Path) -> None:
    """Draw writers, machines, the longest wait and the refused attempts over the day."""
    from matplotlib.figure import Figure

    from inkstream.model.plots import ACCENT, RESOLUTION, SECOND, WRONG

    minutes = report["minutes"]
    hours = np.arange(len(minutes["writers"])) / 60
    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    rows = figure.subplots(4, 1, sharex=True)
    for axes, (name, title, colour) in zip(
        rows,
        [
            ("writers", "writers connected", ACCENT),
            ("machines", "machines", SECOND),
            ("wait_s", "longest wait in a minute, s", ACCENT),
            ("refused", "attempts refused a minute", WRONG),
        ],
        strict=True,
    ):
        axes.plot(hours, minutes[name], color=colour, linewidth=1)
        axes.set(title=title, ylim=(0, None))
    rows[-1].set(xlabel="hour of the day")
    figure.savefig(folder / "region.png", dpi=RESOLUTION)


@click.command()
@click.option("--peak", default=DAY.peak, show_default=True, help="Writers at the peak.")
@click.option("--cores", default=16, show_default=True, help="Of a machine.")
@click.option("--zones", default=DAY.zones, show_default=True)
@click.option("--share", default=DAY.share, show_default=True, help="That the autoscaler aims at.")
@click.option("--boot", "boot_s", default=DAY.boot_s, show_default=True, help="Seconds.")
@click.option("--seed", default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=REPORTS / "region")
def main(
    peak: int, cores: int, zones: int, share: float, boot_s: float, seed: int, out: Path
) -> None:
    """Simulate the day, and write `report.json` and `region.png`."""
    day = replace(DAY, peak=peak, flash_writers=peak // 5, zones=zones, share=share)
    day = replace(day, boot_s=boot_s)
    start_s = time.monotonic()
    report = simulate(day, measured(cores), seed)
    seconds = time.monotonic() - start_s
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(report) + "\n")
    plot(report, out)
    shown = {name: value for name, value in report.items() if name != "minutes"}
    print(json.dumps(shown, indent=2), f"simulated in {seconds:.0f} s", sep="\n")
    sys.exit(bool(report["lost"]))


if __name__ == "__main__":
    main()
