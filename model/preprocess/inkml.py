"""InkML (W3C Recommendation, 2011): traces, and what the labelled groups of them say.

A group is labelled by an `<annotation>` in it: a `<traceGroup>`, a `<traceView>` that refers to
traces, or the whole `<ink>`. A labelled group may hold others, as a line holds its words. Ink that
is yet to be read may have no label at all.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from inkstream.model.errors import DataError

GROUPS: Final = ("ink", "traceGroup", "traceView")
LABELS: Final = ("truth", "transcription", "label")  # types of annotation that say what is written
VALUE: Final = re.compile(r"""(['"!]?)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[*?TF])""")
MAX_DEPTH: Final = 100  # elements in each other: files have six, and Python goes down a thousand
MAX_SHOWN: Final = 40  # characters of what came


@dataclass(slots=True, eq=False)
class Element:
    """An element of XML."""

    name: str
    attributes: dict[str, str]
    line: int  # where it begins
    parent: "Element | None" = None
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def all(self, *names: str) -> Iterator["Element"]:
        """Yield all elements of these names, or of any, itself included, in file order."""
        if not names or self.name in names:
            yield self
        for child in self.children:
            yield from child.all(*names)

    def annotation(self, types: tuple[str, ...]) -> str | None:
        """Return the text of its first annotation of one of these types."""
        for child in self.children:
            if child.name == "annotation" and child.attributes.get("type", "").lower() in types:
                return child.text.strip()
        return None

    @property
    def id(self) -> str:
        """The name by which others refer to it, or ""."""
        return self.attributes.get("xml:id") or self.attributes.get("id") or ""

    @property
    def writer(self) -> str | None:
        """The writer that it names, or the nearest element around it that names one."""
        named = self.annotation(("writer", "writerid"))
        return named or (self.parent.writer if self.parent else None)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A group of S strokes."""

    label: str | None  # None where no group is labelled
    writer: str | None
    strokes: list[NDArray[np.float64]]  # S arrays [n, 2], x right, y down
    line: int  # where it begins
    traces: frozenset[int]  # numbers, in the file, of the traces that it has points of


class Format(NamedTuple):
    """The channels of all traces; the defaults are those of a file without a traceFormat."""

    axes: tuple[int, ...] = (0, 1)  # indices of X and Y among the values of a point
    signs: tuple[int, ...] = (1, 1)  # -1 where they grow to the left, or upwards
    n_channels: int = 2  # values that each point has


def read(content: bytes) -> list[Group]:
    """Return the labelled groups of an InkML file, in the order in which they begin.

    Where no group is labelled, those come that have strokes and lie in no other one, and as one
    more all traces outside. Raises `DataError`, which gives the line, when something in it can't be
    read.
    """
    ink = parse(content)
    if ink.name != "ink":
        raise DataError(f"line {ink.line}: the root is <{ink.name}>, expected <ink>")
    for transform in _in_use(ink, "canvasTransform"):
        for mapping in transform.all("mapping"):  # it would move or distort the ink
            if (kind := mapping.attributes.get("type", "unknown")) != "identity":
                raise DataError(
                    f"line {mapping.line}: a canvas transform of type {kind!r}, which is not"
                    " applied, expected 'identity'"
                )
    formats = [_channels(element) for element in _in_use(ink, "traceFormat")] or [Format()]
    if len({(form.axes, form.signs) for form in formats}) > 1:
        raise DataError("traces of different formats in one file, expected one format")
    form = max(formats, key=lambda form: form.n_channels)
    points = {trace: _points(trace, form) for trace in ink.all("trace")}
    numbers = {trace: number for number, trace in enumerate(points)}
    named = {element.id: element for element in ink.all("trace", "traceGroup") if element.id}

    def group(element: Element) -> Group:
        traces = [
            (trace, part)
            for trace, part in _traces(element, named)
            if trace.attributes.get("type") != "penUp" and len(points[trace])
        ]
        strokes = [points[trace][part] for trace, part in traces]
        if not all(map(len, strokes)):
            raise DataError(f"line {element.line}: a view of points that its trace has not")
        shared = frozenset(numbers[trace] for trace, _ in traces)
        return Group(element.annotation(LABELS), element.writer, strokes, element.line, shared)

    labelled = [e for e in ink.all(*GROUPS) if e.annotation(LABELS) is not None]
    outermost = [child for child in ink.children if child.name == "traceGroup"]
    if loose := [child for child in ink.children if child.name == "trace"]:
        outermost.append(Element("traceGroup", {}, loose[0].line, ink, children=loose))
    groups = map(group, labelled or outermost or [ink])
    kept = [group for group in groups if labelled or group.strokes]
    return sorted(kept, key=lambda group: group.line)


def parse(content: bytes) -> Element:
    """Parse XML; refuse a document type, because entities can expand without bound."""
    parser = expat.ParserCreate()
    root = Element("", {}, 0)
    stack = [root]

    def start(name: str, attributes: dict[str, str]) -> None:
        line = parser.CurrentLineNumber
        if len(stack) > MAX_DEPTH:
            raise DataError(f"line {line}: more than {MAX_DEPTH} elements in each other")
        element = Element(name.rpartition(":")[2], attributes, line, stack[-1])
        stack[-1].children.append(element)
        stack.append(element)

    def characters(text: str) -> None:
        stack[-1].text += text

    def doctype(*_: object) -> None:
        raise DataError(f"line {parser.CurrentLineNumber}: document types are not read")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = doctype
    parser.buffer_text = True
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise DataError(f"line {error.lineno}: {expat.ErrorString(error.code)}") from error
    except (LookupError, ValueError) as error:  # an encoding that Python or expat does not know
        raise DataError(f"line 1: {error}, expected UTF-8 or UTF-16") from error
    return root.children[0]


def _in_use(ink: Element, name: str) -> list[Element]:
    """Return the elements of a name, without unused definitions if there are others."""
    referred = {
        value.removeprefix("#")
        for element in ink.all()
        for key, value in element.attributes.items()
        if key.endswith("Ref")
    }
    idle: set[Element] = set()
    for definitions in ink.all("definitions"):
        for definition in definitions.children:
            ids = {element.id for element in definition.all()} - {""}
            if ids and ids.isdisjoint(referred):
                idle.update(definition.all(name))
    return [element for element in ink.all(name) if element not in idle] or list(ink.all(name))


def _channels(trace_format: Element) -> Format:
    """Return the channels of a traceFormat."""
    channels = [child.attributes for child in trace_format.children if child.name == "channel"]
    names = [channel.get("name") for channel in channels]
    where = f"line {trace_format.line}"
    if not {"X", "Y"} <= set(names):
        raise DataError(f"{where}: the channels are {names}, expected X and Y among them")
    axes = names.index("X"), names.index("Y")
    attributes = [channels[axis] for axis in axes]
    units = [axis["units"] for axis in attributes if "units" in axis]
    if len(set(units)) > 1:
        raise DataError(f"{where}: X is in {units[0]} and Y in {units[1]}, expected the same units")
    signs = tuple(-1 if axis.get("orientation") == "-ve" else 1 for axis in attributes)
    return Format(axes, signs, len(channels))


def _traces(group: Element, named: dict[str, Element]) -> Iterator[tuple[Element, slice]]:
    """Yield the traces of a group, and which of their points."""
    if group.name == "ink":
        for trace in group.all("trace"):
            yield trace, slice(None)
    elif group.name == "trace":
        yield group, slice(None)
    elif "traceDataRef" in group.attributes:
        reference = group.attributes["traceDataRef"]
        target = named.get(reference.removeprefix("#"))
        if target is None:
            raise DataError(f"line {group.line}: traceDataRef {reference!r} is not in the file")
        for trace in target.all("trace"):
            yield trace, _part(group)
    else:
        for child in group.children:
            if child.name in (*GROUPS, "trace"):
                yield from _traces(child, named)


def _part(view: Element) -> slice:
    """Return the points of a trace that a view shows: `from` and `to` count from 1, inclusive."""
    first, last = view.attributes.get("from", "1"), view.attributes.get("to")
    counts = [first] if last is None else [first, last]
    # A file with more points than nine digits would not fit into memory.
    if not all(re.fullmatch(r"\d{1,9}", count) for count in counts) or int(first) < 1:
        shown = f"from {first[:MAX_SHOWN]!r} to {last and last[:MAX_SHOWN]!r}"
        raise DataError(f"line {view.line}: {shown}, expected counts of points")
    return slice(int(first) - 1, None if last is None else int(last))


def _points(trace: Element, form: Format) -> NDArray[np.float64]:
    """Return the points [n, 2] of a trace."""
    where, n_values = f"line {trace.line}", max(form.axes) + 1
    written = trace.text.strip().removesuffix(",")  # some end every point with one
    rows = []  # of values with their prefixes
    for number, text in enumerate(written.split(",") if written else ()):
        regular = text.partition(":")[0]  # what follows are channels that some points lack
        row = VALUE.findall(regular)
        if len(row) < n_values or VALUE.sub("", regular).strip():
            shown = f"point {number} of the trace is {text.strip()[:MAX_SHOWN]!r}"
            raise DataError(f"{where}: {shown}, expected {n_values} values or more")
        rows.append(row)
    if len(rows) == 1 and len(rows[0]) >= 2 * form.n_channels:
        raise DataError(
            f"{where}: {len(rows[0])} values without a comma,"
            f" expected one behind every point of {form.n_channels}"
        )
    try:
        columns = [_decoded([row[axis] for row in rows]) for axis in form.axes]
    except ValueError as error:
        raise DataError(f"{where}: in X or Y of the trace, {error}") from error
    return np.array(columns).T * form.signs


def _decoded(values: list[tuple[str, str]]) -> list[float]:
    """Return the values of one channel, decoding first and second differences."""
    # A value itself has the order 0, its difference 1, and the difference of that 2.
    order, value, step, change = 0, 0.0, 0.0, 0.0
    decoded = []
    for prefix, text in values:
        order = {"!": 0, "'": 1, '"': 2}.get(prefix, order)
        same = (value, step, change)[order]
        given = same if text == "*" else float(text)
        if order == 0:
            step = given - value
        elif order == 1:
            step = given
        else:
            change = given
            step += change
        value = given if order == 0 else value + step
        decoded.append(value)
    return decoded
