"""Documents that other programs' writers make: PDF, TIFF and animations."""

import io
from collections.abc import Sequence
from typing import Any

import pypdfium2
from PIL import Image

# Encrypted by the standard security handler; the password is not known.
ENCRYPTED = b"""%%PDF-1.4
1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj
2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj
3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 99 99]>> endobj
4 0 obj <</Filter /Standard /V 1 /R 2 /P -4 /O <%b> /U <%b>>> endobj
trailer <</Root 1 0 R /Encrypt 4 0 R /ID [<00> <00>] /Size 5>>
%%%%EOF
""" % (b"12" * 32, b"34" * 32)


def saved(images: Sequence[Image.Image], format_name: str, **options: Any) -> bytes:
    """Return a file with several images, as Pillow writes it."""
    file = io.BytesIO()
    first, *others = (image.copy() for image in images)  # Pillow keeps the options in an image
    first.save(file, format_name, save_all=True, append_images=others, **options)
    return file.getvalue()


def blank_pdf(*sizes: tuple[float, float], rotation: int = 0) -> bytes:
    """Return a PDF of blank pages with these sizes in points, as PDFium writes it."""
    pdf, file = pypdfium2.PdfDocument.new(), io.BytesIO()
    for size in sizes:
        pdf.new_page(*size).set_rotation(rotation)
    pdf.save(file)
    pdf.close()
    return file.getvalue()
