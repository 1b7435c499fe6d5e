"""Measure a long PDF against the same pages as JPEG files: pages a second, and memory.

`make tools.documents ARGS="--pages 300"` runs this. Both are read by `inkstream recognize --page
--jsonl` on all cores; memory is the largest sum of all its processes, of the PDF above that of a
PDF with a page for each core.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import psutil
import pypdfium2
from PIL import Image

from tools.pages import encoded, page

POINTS = 595, 842  # A4
PIXELS = 1654, 2339  # at 200 dots an inch


def write_pdf(images: list[bytes], folder: Path, path: Path) -> None:
    """Write a PDF with an A4 page of each JPEG."""
    pdf = pypdfium2.PdfDocument.new()
    for number, content in enumerate(images):
        (folder / f"{number:04}.jpg").write_bytes(content)
        image = pypdfium2.PdfImage.new(pdf)
        image.load_jpeg(folder / f"{number:04}.jpg", inline=True)
        image.set_matrix(pypdfium2.PdfMatrix().scale(*POINTS))
        of_pdf = pdf.new_page(*POINTS)
        of_pdf.insert_obj(image)
        of_pdf.gen_content()
    pdf.save(path)


def measured(source: Path) -> tuple[float, float]:
    """Read a file or folder; return the seconds and the largest memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "inkstream", "recognize", str(source), "--page"]
        started_s, peak_bytes = time.monotonic(), 0
        with subprocess.Popen([*command, "--jsonl", f"{folder}/out.jsonl"]) as process:
            parent = psutil.Process(process.pid)
            while process.poll() is None:
                try:
                    family = [parent, *parent.children(recursive=True)]
                    used = sum(member.memory_full_info().uss for member in family)
                    peak_bytes = max(peak_bytes, used)
                except psutil.Error:  # one has just ended
                    pass
                time.sleep(0.2)
        assert process.returncode == 0
        return time.monotonic() - started_s, peak_bytes / 1e6


@click.command()
@click.option("--pages", default=300)
def main(pages: int) -> None:
    """Print the figures."""
    sheets = [Image.fromarray(page(n_lines=24, seed=seed).image) for seed in range(4)]
    images = [encoded(np.asarray(sheets[number % 4].resize(PIXELS))) for number in range(pages)]
    with tempfile.TemporaryDirectory() as root:
        few, many = Path(root, "few.pdf"), Path(root, "many.pdf")
        write_pdf(images[: os.cpu_count()], Path(root), few)
        folder = Path(root, "pages")
        folder.mkdir()
        write_pdf(images, folder, many)
        _, few_mb = measured(few)
        jpeg_s, _ = measured(folder)
        pdf_s, many_mb = measured(many)
    print(f"{pages} pages: PDF {pages / pdf_s:.2f}, JPEG {pages / jpeg_s:.2f} pages a second")
    print(f"ratio {jpeg_s / pdf_s:.2f}; memory of the PDF {many_mb - few_mb:+.0f} MB")


if __name__ == "__main__":
    main()
