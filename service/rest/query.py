"""What a request asks of its reading by query parameters: what a stream asks by `configure`."""

from typing import Annotated, Any

from fastapi import Query

Words = Annotated[list[str], Query(description="Words that may well come; once for each.")]


def asked(
    characters: Annotated[
        str | None, Query(description="Only what these spell is answered; absent: every label.")
    ] = None,
    language_model: Annotated[
        str | None, Query(description="One of the model's languages, which the text is in.")
    ] = None,
    words: Words = [],  # noqa: B006 - FastAPI copies it
    context: Annotated[str, Query(description="The text before, for a language model.")] = "",
    pattern: Annotated[
        str | None, Query(description="A regular expression that the text fulfils.")
    ] = None,
) -> dict[str, Any]:
    """The fields of a `configure` that says the same."""
    return {
        "characters": characters,
        "language_model": language_model,
        "words": words,
        "context": context,
        "pattern": pattern,
    }
