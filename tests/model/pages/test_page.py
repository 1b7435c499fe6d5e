"""Pages: lines are found at any angle, become columns, and keep their boxes."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps
from rapidfuzz.distance import Levenshtein

from inkstream.model.evaluation.pages import match_boxes, overlap
from inkstream.model.evaluation.sheets import Look, Sheet
from inkstream.model.evaluation.streaming import least_s
from inkstream.model.metrics import errors
from inkstream.model.pages import Page, cut_lines, find_page, page_columns
from inkstream.model.pages.columns import WIDTH
from inkstream.model.pages.detector import DETECTOR, WEIGHTS
from inkstream.model.preprocess.columns import line_columns
from inkstream.model.preprocess.image import upright_size
from inkstream.model.recognizer import Recognizer, load
from tools.pages import EXAMPLES, PLAIN, page, textured

H = 32
LOOKS = (
    PLAIN,
    replace(PLAIN, skew_deg=3.0, pen="faint"),
    Look("photo", "plain", "blue", True, 12.0),
    Look("photo", "ruled", "black", False, -15.0),
    Look("photo", "ruled", "blue", True, 6.0),
    Look("scan", "squared", "black", False, -2.0),
    Look("photo", "squared", "blue", False, 9.0),
)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return load("lines")


def matched_boxes(page: Page, made_page: Sheet) -> dict[int, int]:
    return match_boxes([each.box for each in page.lines], [each.box for each in made_page.lines])


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_lines_of_a_page_are_found_in_place_and_in_order(look: Look) -> None:
    made_page = page(look)
    lines = find_page(made_page.image, H)
    assert matched_boxes(lines, made_page) == {index: index for index in range(5)}
    assert len(lines.lines) == 5
    assert (lines.width, lines.height) == (made_page.image.shape[1], made_page.image.shape[0])


def test_lines_that_train_are_cut_as_those_that_are_read() -> None:
    made_page = page(LOOKS[4])
    strips = cut_lines(made_page.image)
    columns = [page_columns(strip, H) for strip in strips if strip is not None]
    lines = find_page(made_page.image, H).lines
    assert len(columns) == len(lines) == 5
    assert all(np.array_equal(a, line.columns) for a, line in zip(columns, lines, strict=True))


def test_two_blocks_are_read_one_after_the_other() -> None:
    made_page = page(n_blocks=2)
    lines = find_page(made_page.image, H)
    assert matched_boxes(lines, made_page) == {index: index for index in range(10)}
    assert [line.block for line in lines.lines] == [0] * 5 + [1] * 5


def test_words_far_apart_in_a_row_are_read_from_left_to_right() -> None:
    picture = np.asarray(Image.open(EXAMPLES / "hello.png").convert("L"))
    paper = np.full((300, 1400), 255, np.uint8)
    paper[96:176, 60:210] = picture[:, :150]
    paper[92:172, 1100:1277] = picture[:, 165:342]  # a little higher
    first, second = find_page(paper, H).lines
    assert first.box[1, 0] < second.box[0, 0]


def test_light_writing_on_dark_is_read_like_ink() -> None:
    made_page = page()
    dark, light = find_page(made_page.image, H), find_page(255 - made_page.image, H)
    assert len(light.lines) == len(dark.lines) == 5
    for first, second in zip(dark.lines, light.lines, strict=True):
        assert overlap(first.box, second.box) > 0.8


def test_pages_are_read_with_few_errors(recognizer: Recognizer) -> None:
    texts, labels = [], []
    for seed in range(1, 5):
        made_page = page(Look("photo", "ruled", "blue", True, 6.0), n_lines=6, seed=seed)
        lines = [line.columns for line in find_page(made_page.image, H).lines]
        assert len(lines) == 6
        texts += [each.text.lower() for each in recognizer.read_all(lines)]
        labels += [line.label for line in made_page.lines]
    assert errors(texts, labels)["cer"] <= 0.06


def test_a_line_of_a_page_is_wider_than_an_image_of_the_line_and_is_read_like_it(
    recognizer: Recognizer,
) -> None:
    picture = Image.open(EXAMPLES / "hello.png").convert("L")
    (line,) = find_page(np.pad(np.asarray(picture), 40, mode="edge"), H).lines
    expected = line_columns(picture, H)
    assert abs(len(line.columns) - WIDTH * len(expected)) < 0.2 * len(expected)
    assert recognizer.read(expected).text == "hello, world!"
    assert Levenshtein.distance(recognizer.read(line.columns).text, "hello, world!") <= 1


@pytest.mark.parametrize("threads", [1, 2, 100])
def test_lines_read_in_a_batch_are_read_like_single_lines(
    threads: int, recognizer: Recognizer
) -> None:
    lines = [line.columns for line in find_page(page().image, H).lines]
    together = load("lines", threads=threads).read_all(lines)
    for columns, reading in zip(lines, together, strict=True):
        expected = recognizer.read(columns)
        assert (reading.text, reading.columns) == (expected.text, len(columns))
        assert [word.text for word in reading.words] == [word.text for word in expected.words]


@pytest.mark.parametrize("look", [PLAIN, LOOKS[2]], ids=str)
def test_the_boxes_of_letters_are_within_that_of_their_line(
    look: Look, recognizer: Recognizer
) -> None:
    made_page = page(look)
    for line in find_page(made_page.image, H).lines:
        low, high = line.box.min(0) - 2, line.box.max(0) + 2
        for letter in recognizer.read(line.columns).letters:
            box = line.box_of(letter.start, letter.end)
            assert (box >= low).all()
            assert (box <= high).all()
            assert box[1, 0] > box[0, 0]  # from left to right along the writing


def test_a_page_without_ink_has_no_lines() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(235, 3, (400, 300)).clip(0, 255).astype(np.uint8)
    for blank in (np.full((400, 300), 250, np.uint8), noise):
        assert find_page(blank, H).lines == []


SMALLEST = [
    np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    for shape in [(1, 1), (1, 500), (500, 1), (7, 9), (33, 2)]
]


@pytest.mark.parametrize("image", [*SMALLEST, textured()])
def test_tiny_images_and_photos_without_writing_have_few_lines(image: NDArray[np.uint8]) -> None:
    assert len(find_page(image, H).lines) <= 3


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("margin", [0, 40])
@pytest.mark.parametrize(
    ("left", "right", "text"),
    [(0, 342, "hello, world!"), (0, 150, "hello,"), (165, 342, "world!"), (0, 74, "he")],
)
def test_an_image_of_a_line_or_a_word_is_a_page_of_one_line(
    recognizer: Recognizer, scale: int, margin: int, left: int, right: int, text: str
) -> None:
    image = Image.open(EXAMPLES / "hello.png").convert("L").crop((left, 0, right, 80))
    image = ImageOps.expand(image, margin, fill=255)
    image = image.resize((scale * image.width, scale * image.height), Image.Resampling.BICUBIC)
    (line,) = find_page(image, H).lines
    read = recognizer.read(line.columns).text.lower()
    assert Levenshtein.distance(read, text) <= len(text) // 6


@pytest.mark.parametrize("is_squared", [True, False])
def test_squares_and_rules_stay_and_do_not_stretch_the_box_of_a_word(is_squared: bool) -> None:
    word = np.asarray(Image.open(EXAMPLES / "hello.png").convert("L"))[:, :150]
    paper = np.full((400, 900), 255, np.uint8)
    if is_squared:
        paper[::22], paper[:, ::22] = 190, 190
    else:
        paper[60::64] = paper[61::64] = 90
    paper[200:280, 300:450] = np.minimum(paper[200:280, 300:450], word)
    (line,) = find_page(paper, H).lines
    assert overlap(line.box, np.array([[307, 208], [442, 208], [442, 272], [307, 272]])) > 0.7
    if not is_squared:
        assert (line.columns > 50).any(1).mean() > 0.95  # the rule is seen all along the line


@pytest.mark.parametrize("name", [DETECTOR.name, WEIGHTS])
def test_the_detector_has_the_files_whose_licence_and_digests_are_stated(name: str) -> None:
    digest = hashlib.sha256((DETECTOR.parent / name).read_bytes()).hexdigest()
    assert f"`{name}` | `{digest}` |" in (DETECTOR.parent / "README.md").read_text()


@pytest.mark.slow
def test_the_lines_of_a_page_of_very_small_writing_are_found() -> None:
    tile = np.pad(np.asarray(Image.fromarray(page().image).convert("L")), 20, mode="edge")
    assert len(find_page(np.tile(tile, (8, 6)), H).lines) == 8 * 6 * 5


@pytest.mark.slow
def test_boxes_are_those_of_the_image_before_reduction() -> None:
    made_page = page()
    large = np.asarray(Image.fromarray(made_page.image).resize((3000, 3926)))
    scale = np.array([3000, 3926]) / np.array([made_page.image.shape[1], made_page.image.shape[0]])
    lines = find_page(large, H)
    assert (lines.width, lines.height) == (3000, 3926)
    for line, true_line in zip(lines.lines, made_page.lines, strict=True):
        assert overlap(line.box, true_line.box * scale) > 0.5


def test_the_lines_of_a_rotated_image_are_found_upright(tmp_path: Path) -> None:
    made_page = page()
    rotated = Image.fromarray(np.rot90(made_page.image))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    path = tmp_path / "side.jpg"
    rotated.save(path, exif=exif, quality=95)
    assert upright_size(path) == (made_page.image.shape[1], made_page.image.shape[0])
    assert matched_boxes(find_page(path, H), made_page) == {index: index for index in range(5)}


@pytest.mark.slow
def test_images_of_thousands_of_specks_or_dashes_take_limited_time() -> None:
    random = np.random.default_rng(0)
    specks = np.full((600, 600), 255, np.uint8)
    specks[random.random(specks.shape) < 0.02] = 0
    dashes = np.full((1500, 1500), 255, np.uint8)
    for y in range(10, 1490, 25):
        for x in range(10, 1480, 25):
            dashes[y : y + 12, x : x + 3] = dashes[y + 4 : y + 7, x : x + 9] = 0
    assert len(find_page(dashes, H).lines) == 0
    full = page(Look("scan", "plain", "black"), n_lines=30).image
    usual_s = least_s(lambda: find_page(full, H))
    assert least_s(lambda: find_page(specks, H), rounds=1) < 100 * usual_s
    assert least_s(lambda: find_page(dashes, H), rounds=1) < 100 * usual_s
