"""Put the reports' figures into the documents, between their markers, and beside the weights.

`make tools.figures` runs this; `tests/test_readme.py` checks that the documents hold these figures.
`python -m tools.figures FILE...` prints tables of `--json` files of `inkstream bench compare` and
`writers` instead: of several, measured in different hours, the median of the runs with their range.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from inkstream.model.checkpoint import FIGURES, find, read
from inkstream.model.evaluation import report
from inkstream.service.bench import compare, writers
from inkstream.service.settings import Settings

ROOT = Path(__file__).parent.parent
REPORTS = ROOT / "docs" / "reports"
BENCH = max((REPORTS / "bench").iterdir())  # the last version that was measured
SIDES = ("words", "lines")
ROUGH = ("digits", "lines")  # models that are also measured on rough columns
PAPER = ("german-words", "registers", "wills")  # folders of reports on lines on real paper
# The kind of each report by its folder.
KINDS = {
    **{name: name for name in ("digits", "lines", "pages", "ruled", "letters", "language", "ink")},
    **dict.fromkeys(PAPER, "wills"),
}
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "model" / "weights" / "MODEL_CARD.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("digits", "language", "pad", "rough", "speed")),
)


def figures() -> dict[str, str]:
    """Return the text that belongs between the markers of each name."""
    footprint = _load("footprint.json")
    tables = {
        "summary": _summary(),
        "install parts": _install_parts(),
        "figures": (REPORTS / "digits" / "figures.md").read_text(),
        "lines": (REPORTS / "lines" / "figures.md").read_text(),
        "language": (REPORTS / "language" / "figures.md").read_text(),
        **{
            f"rough {name}": (REPORTS / name / "rough" / "figures.md").read_text() for name in ROUGH
        },
        "paper": _paper(),
        "people": report.figures("lines", _load("lines/report.json"), "people"),
        "pad": _pad(),
        "bench": _ratios(_compared()),
        "server cpu": _server_cpu(_compared()),
        "writers": _writers(_counted()),
    }
    return {name: f"\n{table}" for name, table in tables.items()} | {
        "footprint": (
            f"{footprint['install_mb']:.0f} MB installed without byte code, "
            f"{footprint['resident_mb']:.0f} MB of memory when idle, "
            f"{footprint['ready_s']:.2f} s from start to ready"
        ),
        "both": (
            f"{footprint['both_resident_mb']:.0f} MB when idle, "
            f"{footprint['both_ready_s']:.2f} s from start to ready"
        ),
        "document": f"{_load('document.json')['test_accuracy']:.2%}",
    }


def _load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((REPORTS / name).read_text())
    return loaded


def _compared() -> list[compare.Report]:
    """Return the runs of `bench compare`, one or several from different hours."""
    paths = sorted(BENCH.glob("compare*.json"))
    return [compare.Report.model_validate_json(path.read_text()) for path in paths]


def _counted() -> list[writers.Report]:
    """Return the runs of `bench writers`."""
    paths = sorted(BENCH.glob("writers*.json"))
    return [writers.Report.model_validate_json(path.read_text()) for path in paths]


def over_runs(runs: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """Return median, least and largest of the runs' medians, or of the rounds of the only run."""
    values = runs[0] if len(runs) == 1 else [median(rounds) for rounds in runs]
    return median(values), min(values), max(values)


def _ratios_over_runs(reports: Sequence[compare.Report]) -> dict[str, dict[str, list[list[float]]]]:
    """Return the rounds of each run, by title of the ratio, by model."""
    runs: dict[str, dict[str, list[list[float]]]] = {}
    for run in reports:
        for model, of_model in run.models.items():
            for ratio, values in of_model.ratios():
                runs.setdefault(model, {}).setdefault(ratio.title, []).append(values)
    return runs


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _ratios(reports: Sequence[compare.Report]) -> str:
    """Return the ratios of a bench as a table."""
    rows = [
        (f"`{model}`: {title}", *(f"{figure:.2f}" for figure in over_runs(runs)))
        for model, by_title in _ratios_over_runs(reports).items()
        for title, runs in by_title.items()
    ]
    return table(("ratio, paired by round", "median", "from", "to"), rows)


def _server_cpu(reports: Sequence[compare.Report]) -> str:
    """Return the servers' CPU time for a column, and for a message of ink, as a table."""
    models = reports[0].models
    rows = []
    for name, title in compare.TITLES.items():
        runs = [[run.models[of].server_us.get(name) for run in reports] for of in models]
        if any(any(of_model) for of_model in runs):
            rows.append((title, *(_with_range([us for us in of if us]) for of in runs)))
    return table(("server CPU, microseconds a column", *(f"`{name}`" for name in models)), rows)


def _with_range(runs: Sequence[Sequence[float]]) -> str:
    """Return the median, and of several runs their range; nothing of none."""
    if not runs:
        return ""
    middle, low, high = over_runs(runs)
    return f"{middle:.0f}" + (f" ({low:.0f} to {high:.0f})" if len(runs) > 1 else "")


def _writers(counts: Sequence[writers.Report]) -> str:
    """Return how many writers there may be as a table: ink first, and without language."""
    runs: dict[tuple[str, bool, str, int], list[writers.Report]] = {}
    for count in counts:
        key = count.model, count.sent != "ink", count.language, count.workers
        runs.setdefault(key, []).append(count)
    rows = []
    for _, of_kind in sorted(runs.items()):
        cpu = [
            [
                trial.measured.server_us
                for trial in count.trials
                if trial.is_in_time and trial.measured.server_us is not None
            ]
            for count in of_kind
        ]
        count = of_kind[0]
        rows.append(
            (
                f"`{count.model}`" + (f" with `{count.language}`" if count.language else ""),
                count.sent,
                f"{count.workers}",
                *(f"{value:.0f}" for value in over_runs([count.writers for count in of_kind])),
                _with_range(cpu),
            )
        )
    heads = "writers of", "who send", "workers", "median", "from", "to", "server CPU, us a message"
    return table(heads, rows)


def _install_parts() -> str:
    parts = _load("footprint.json")["install_parts_mb"]
    rows = [(part, f"{parts[part]:.1f}") for part in reversed(parts)]
    return table(("part of the install", "MB"), rows)


def _summary() -> str:
    """Return README's table: figures of all reports, each with the command that measures it."""
    digits, lines = _load("digits/report.json"), _load("lines/report.json")
    language, pages = _load("language/report.json"), _load("pages/report.json")
    footprint, german = _load("footprint.json"), _load("german-words/report.json")
    baseline, baseline_errors = next(iter(lines["baselines"].items()))
    ruled = {
        name: each["cer_accents"]["cer"]
        for name, each in _load("ruled/report.json")["readers"].items()
    }
    compared = _compared()
    ratios_by_model = _ratios_over_runs(compared)
    ink_counts: dict[str, list[list[float]]] = {}
    for count in sorted(_counted(), key=lambda count: (count.model, count.language)):
        if count.sent == "ink":
            ink_counts.setdefault(_of_whom(count), []).append([*count.writers])

    def speed(below: str) -> str:
        (title,) = (ratio.title for ratio in compare.RATIOS if ratio.name == f"stream_1 / {below}")
        runs = (by_title[title] for by_title in ratios_by_model.values())
        return "; ".join(f"{over_runs(of_model)[0]:.2f} times" for of_model in runs)

    def cer(figures: dict[str, Any]) -> str:
        return f"{_cer(figures, figures['bootstrap']['all'])}; {figures['exact_match']:.1%}"

    def with_language(name: str) -> tuple[str, str]:
        return "inkstream", f"inkstream with {name}"

    def percents(values: Iterable[float]) -> str:
        return "; ".join(f"{value:.1%}" for value in values)

    return f"""\
| what | measured | command |
| --- | --- | --- |
| digits: accuracy after 16 columns; after all 28 (MNIST test) \
| {digits["accuracy_after"]["16"]:.2%}; {digits["accuracy"]:.2%} | `inkstream evaluate digits` |
{_pen_row(digits["pen"])}\
| {lines["words"]["pieces"]:,} words by unseen writers: CER; exact match \
| {cer(lines["words"])} | `inkstream evaluate lines` |
| {lines["text"]["pieces"]:,} lines by unseen writers: CER; exact match \
| {cer(lines["text"])} | `inkstream evaluate lines` |
| CER with the English language model: words; lines \
| {percents(language[kind]["guided"]["all"]["cer"] for kind in SIDES)} \
| `inkstream evaluate language` |
| CER of {baseline}, which sees the whole image: words; lines \
| {percents(baseline_errors[kind]["cer"] for kind in ("words", "text"))} \
| `inkstream evaluate lines --baselines` |
| {german["lines"]} German words on paper by unseen writers: CER; with `german` \
| {percents(german["readers"][name]["cer_accents"]["cer"] for name in with_language("german"))} \
| `inkstream evaluate wills german-words.tar --language german` |
| CER of real French pages on ruled paper; with the French model; of {baseline} \
| {percents(ruled[name] for name in (*with_language("french"), baseline))} \
| `inkstream evaluate pages --real FOLDER --baselines --language french` |
| CER of scanned and photographed pages; of the same ink as strokes \
| {percents(pages[name]["cer"] for name in ("page", "strokes"))} | `inkstream evaluate pages` |
| columns from a letter's end to its event: median; 90 % \
| {lines["latency"]["median"]:.0f}; {lines["latency"]["90 %"]:.0f} | `inkstream evaluate lines` |
| columns a second of a FastAPI echo, 64 WebSockets: {"; ".join(ratios_by_model)} \
| {speed("echo_1")} | `make bench` |
| of a simple torch server: {"; ".join(ratios_by_model)} | {speed("afternoon_1")} | `make bench` |
| people who can write at once on {compared[0].machine["cores"]} cores, answers within \
{writers.LIMIT_MS:.0f} ms (99 %): {"; ".join(ink_counts)} \
| {"; ".join(f"{over_runs(runs)[0]:.0f}" for runs in ink_counts.values())} | `make bench` |
| server: installed; memory when idle; from start to ready \
| {footprint["install_mb"]:.0f} MB; {footprint["resident_mb"]:.0f} MB; \
{footprint["ready_s"]:.2f} s | `make tools.footprint` |
"""


def _paper() -> str:
    """Return how lines on real paper are read, by source."""
    rows = []
    for folder in PAPER:
        paper = _load(f"{folder}/report.json")
        rows.append(
            (
                f"{paper['source']} ([report](../../docs/reports/{folder}/figures.md))",
                f"{paper['writers']}; {paper['lines']:,}",
                *(
                    _cer(reader["cer_accents"], reader["cer_accents"]["bootstrap"])
                    for name, reader in paper["readers"].items()
                    if name.startswith("inkstream")
                ),
            )
        )
    return table(("source", "test writers; lines", "CER", "CER with its language"), rows)


def _cer(figures: dict[str, Any], bootstrap: dict[str, Any]) -> str:
    """Return a CER with its 95 % interval."""
    low, high = bootstrap["interval"]
    return f"{figures['cer']:.1%} ({100 * low:.1f} to {high:.1%})"


def _pen_row(pen: dict[str, Any]) -> str:
    """Return the row on digits as strokes; nothing if they were not measured."""
    if not pen:
        return ""
    accuracies = (f"{figures['accuracy_after']['28']:.2%}" for figures in pen.values())
    return (
        f"| digits as strokes by unseen writers: {'; '.join(pen)} | {'; '.join(accuracies)} "
        "| `inkstream evaluate digits --pen FILE` |\n"
    )


def _of_whom(count: writers.Report) -> str:
    return f"{count.model} with {count.language}" if count.language else count.model


def _pad() -> str:
    """Return the pad's table, from the reports of `make tools.pad` and `inkstream evaluate ink`."""
    pad = _load("pad/report.json")
    margin = Settings.model_fields["ink_margin_columns"].default
    ink = _load("ink/report.json")["margins"][str(margin)]
    withdrawn = "; ".join(
        f"{ink[kind]['withdrawn_per_100']:.1f} ({ink[kind]['gone_per_100']:.1f})" for kind in SIDES
    )
    return f"""\
| the pad in Chromium {pad["browser"].split(".")[0]} | measured |
| --- | --- |
| words by unseen writers that get the same text as from the Python client \
| {pad["words_same"]} of {pad["words"]} |
| their lines; words on a page as narrow as a phone \
| {pad["lines_same"]} of {pad["lines"]}; {pad["phone_same"]} of {pad["phone"]} |
| words with late dots and bars that get the same text as without delay \
| {pad["late_same"]} of {pad["late"]} |
| letters withdrawn of 100 (and not given again), in words; in lines | {withdrawn} |
| columns from a letter's end to the pen when its event comes, median: words; lines \
| {ink["words"]["ahead_median"]:.0f}; {ink["lines"]["ahead_median"]:.0f} |
| from the end of a word's ink until its text stands, decided: median; 90 % \
| {pad["last_letter_ms"] / 1000:.2f} s; {pad["last_letter_ms_90"] / 1000:.2f} s |
| the same of a word between two others ({pad["inserted_same"]} of {pad["inserted"]} get the \
Python client's text) \
| {pad["inserted_ms"] / 1000:.2f} s; {pad["inserted_ms_90"] / 1000:.2f} s |
| lines of {pad["layouts"]} layouts (slanted, small, large, close) that get all their strokes \
and no others | {pad["whole"]} of {pad["laid_out"]} |
| character error rate of {pad["sized"]} words in {pad["sizes"]} sizes: in the row's frame; \
in the one that fits; in the one of the two that is kept \
| {"; ".join(f"{100 * pad[name]:.1f} %" for name in ("cer_row", "cer_fit", "cer_kept"))} |
| letters shown as decided that changed, of 100, in words; in lines \
| {pad["changed_per_100"]:.1f}; {pad["lines_changed_per_100"]:.1f} |
| from a pen point to the probabilities on the screen: median; 90 % \
| {pad["ribbon_ms"]:.0f} ms; {pad["ribbon_ms_90"]:.0f} ms |
| from the first ink to the first answer | {pad["first_answer_ms"]:.0f} ms |
| frames a second while writing on a page of {pad["at_lines"]} lines \
| {pad["frames_per_s"]:.0f} |
| size of the page; compressed \
| {pad["page_bytes"] / 1000:.0f} kB; {pad["page_bytes_sent"] / 1000:.0f} kB |
| layout shift (CLS) of the whole session | {pad["layout_shift"]:.4f} |
| requests to other servers; console errors; violations that axe-core finds in \
{pad["states"]} states \
| {pad["requests_elsewhere"]}; {pad["console_errors"]}; {pad["violations"]} |
"""


def fill(text: str) -> str:
    """Return the document with the figures of the current reports."""
    for name, content in figures().items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if start in text:
            before, _, rest = text.partition(start)
            text = before + start + content + end + rest.partition(end)[2]
    return text


def of_shipped() -> dict[str, dict[str, float]]:
    """Return figures of the shipped models by digest; `GET /v1/models` adds them to training's."""
    digits, lines = _load("digits/report.json"), _load("lines/report.json")
    line_figures = {"mnist_test_accuracy": lines["digits"]["exact_match"]}
    for kind in ("words", "text"):
        line_figures[f"report_writers_{kind}_error"] = lines[kind]["cer"]
        line_figures[f"report_writers_{kind}_right"] = lines[kind]["exact_match"]
        line_figures[f"report_writers_fresh_{kind}_error"] = lines[kind]["unseen"]["cer"]
    for category, figures_of_category in lines["characters"].items():
        line_figures[f"report_writers_{category}_accuracy"] = figures_of_category["exact_match"]
    return {
        read(find("digits")).digest: {"mnist_test_accuracy": digits["accuracy"]},
        read(find("lines")).digest: line_figures,
    }


def rendered() -> dict[Path, str]:
    """Return what the reports' JSON renders to: tables of figures and documents, by path."""
    contents = {folder: _load(f"{folder}/report.json") for folder in KINDS}
    tables = {
        REPORTS / folder / "figures.md": report.figures(kind, contents[folder])
        for folder, kind in KINDS.items()
    }
    for name in ROUGH:
        folder = REPORTS / name / "rough"
        rough = _load(f"{name}/rough/report.json")
        tables[folder / "figures.md"] = report.figures("rough", rough)
    return tables | {
        ROOT / "docs" / f"{name}.md": report.document(kind, contents[kind], f"reports/{kind}")
        for kind, name in (("lines", "accuracy"), ("pages", "pages"), ("ruled", "ruled"))
    }


def tables(texts: Sequence[str]) -> str:
    """Return the tables of these reports of `bench compare` and `bench writers`."""
    compared = [text for text in texts if "models" in json.loads(text)]
    counted = [text for text in texts if text not in compared]
    found = []
    if compared:
        reports = [compare.Report.model_validate_json(text) for text in compared]
        found += [_ratios(reports), _server_cpu(reports)]
    if counted:
        found.append(_writers([writers.Report.model_validate_json(text) for text in counted]))
    return "\n".join(found)


def write_documents() -> None:
    """Put all figures where they belong."""
    for path, text in rendered().items():
        path.write_text(text)
    FIGURES.write_text(json.dumps(of_shipped(), indent=2) + "\n")
    for document in DOCUMENTS:
        document.write_text(fill(document.read_text()))


if __name__ == "__main__":
    if paths := sys.argv[1:]:
        print(tables([Path(path).read_text() for path in paths]), end="")
    else:
        write_documents()
