"""Compare the answers of two checkouts of the product bit for bit.

    python -m tools.compare_answers OLD NEW

OLD and NEW are folders of checkouts. Each reads the same inputs in a new process, both at
the same time: 2,000 MNIST test images by `digits`, as columns and as images, and 1,000 words and
300 lines by test writers of UNIPEN by `lines`, as ink and as columns, without a language model and
with `english`. Some samples are also read column by column, as a stream, and by the server of each
checkout, as columns and as ink, message by message. The columns that each checkout draws from the
strokes are compared too.

For every part the command prints the SHA-256 of the answers of both checkouts: over all texts,
whole numbers and floats, exactly. Where they differ it prints the first sample that differs and
what each checkout answered. The exit code is 0 if all answers are equal, else 1.

The inputs are drawn with a seed by the code of the repository that this command belongs to. UNIPEN
must have been read once: `inkstream data unipen ARCHIVE`.
"""

import difflib
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from tools.checkouts import CheckoutError, checked, start
from tools.handwriting import draw

READER: Final = Path(__file__).with_name("read_answers.py")
COUNTS: Final = (2000, 1000, 300)  # digits, words, lines
QUICK: Final = 10  # so many times fewer with --quick
POLL_S: Final = 0.2  # between two checks whether the processes have ended
MAX_LINES_SHOWN: Final = 40  # lines of the first difference

Answers = dict[str, list[dict[str, Any]]]  # of each part, in the order of the samples


@click.command()
@click.argument("old", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("new", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--quick", is_flag=True, help="a tenth of the samples")
def main(old: Path, new: Path, quick: bool) -> None:
    """Compare the answers of two checkouts, OLD and NEW, bit for bit."""
    started_s = time.perf_counter()
    checkouts = [checked(old), checked(new)]
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs.npz"
        draw(*(count // QUICK if quick else count for count in COUNTS)).save(inputs)
        old_answers, new_answers = read_both(checkouts, inputs, Path(folder))
    equal = compare(old_answers, new_answers)
    click.echo(f"{'equal' if equal else 'DIFFERENT'}, {time.perf_counter() - started_s:.0f} s")
    sys.exit(0 if equal else 1)


def read_both(checkouts: Sequence[Path], inputs: Path, folder: Path) -> list[Answers]:
    """Return the answers of each checkout; raise `CheckoutError` as soon as one's code fails."""
    targets = [folder / f"{number}.json" for number in range(len(checkouts))]
    processes = [
        start(checkout, [str(READER), str(checkout), str(inputs), str(target)])
        for checkout, target in zip(checkouts, targets, strict=True)
    ]
    try:
        while None in (codes := [process.poll() for process in processes]) and not any(codes):
            time.sleep(POLL_S)
    finally:
        for process in processes:
            process.kill()
    for checkout, code in zip(checkouts, codes, strict=True):
        if code:
            raise CheckoutError(f"the code of {checkout} failed, see above")
    return [json.loads(target.read_text()) for target in targets]


def compare(old: Answers, new: Answers) -> bool:
    """Print the digests of all parts and the first difference of each; return whether all agree."""
    all_equal = True
    for part in dict.fromkeys([*old, *new]):
        before, after = old.get(part, []), new.get(part, [])
        digests = [digest(answers) for answers in (before, after)]
        equal = before == after and digests[0] == digests[1]
        all_equal &= equal
        verdict = "equal" if equal else "DIFFERENT"
        click.echo(
            f"{part}: {len(before)} samples, {verdict}\n  old {digests[0]}\n  new {digests[1]}"
        )
        if not equal:
            click.echo(first_difference(before, after))
    return all_equal


def digest(answers: Sequence[dict[str, Any]]) -> str:
    """Return the SHA-256 of answers; floats count with all their bits."""
    return hashlib.sha256("\n".join(map(json.dumps, answers)).encode()).hexdigest()


def first_difference(old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> str:
    """Return a text with the index of the first sample that differs and both answers."""
    if len(old) != len(new):
        return f"  {len(old)} samples before, {len(new)} after"
    index = next(
        index
        for index, (before, after) in enumerate(zip(old, new, strict=True))
        if json.dumps(before) != json.dumps(after)
    )
    before, after = (
        json.dumps(each[index], indent=1, ensure_ascii=False).split("\n") for each in (old, new)
    )
    diff = list(difflib.unified_diff(before, after, "old", "new", lineterm="", n=2))
    n_different = sum(json.dumps(a) != json.dumps(b) for a, b in zip(old, new, strict=True))
    head = f"  {n_different} of {len(old)} samples differ, the first is sample {index}:"
    return "\n".join([head, *(f"  {line}" for line in diff[:MAX_LINES_SHOWN])])


if __name__ == "__main__":
    main()
