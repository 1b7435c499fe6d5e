"""The query parameters of each route; one that a route does not have is refused.

A misspelt parameter that was ignored would look like a choice that was made. Probes and metrics
are lenient: what asks them may add parameters of its own, and nothing depends on them.
"""

import difflib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from inkstream.model.config import Kind
from inkstream.service.http_errors import UNKNOWN_PARAMETER

PageForm = Literal["json", "hocr", "alto"]


class NoParameters(BaseModel):
    """The parameters of a route without any."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, values: dict[str, Any]) -> dict[str, Any]:
        names = [field.alias or name for name, field in cls.model_fields.items()]
        for name in values.keys() - set(names):
            allowed = ", ".join(names) or "none"
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise PydanticCustomError(
                UNKNOWN_PARAMETER,
                "{name} is no parameter of this route, allowed: {allowed}{hint}",
                {"name": name[:100], "allowed": allowed, "hint": hint},
            )
        return values


class ColumnsParameters(NoParameters):
    """The parameters of `/v1/columns`."""

    model: str | None = Field(
        None, description="Name of a model; absent: the first one that suits the input."
    )
    page: bool = Field(False, description="Whether the image is a page, of many lines.")

    @property
    def kind(self) -> Kind | None:
        """The kind of model that the parameters need; None if the input decides."""
        return "transcriber" if self.page else None


class RecognizeParameters(ColumnsParameters):
    """The parameters of `/v1/recognize`: some are fields of a stream's `configure`."""

    curve: bool = Field(False, description="Also give a classifier's answer after every column.")
    form: PageForm = Field("json", alias="format", description="Of the answer about a page.")
    characters: str | None = Field(
        None, description="Only what these spell is answered; absent: every label."
    )
    language_model: str | None = Field(
        None, description="One of the model's languages, which the text is in."
    )
    words: list[str] = Field([], description="Words that may well come; once for each.")
    context: str = Field("", description="The text before, for a language model.")
    pattern: str | None = Field(None, description="A regular expression that the text fulfils.")

    @property
    def kind(self) -> Kind | None:
        """The kind of model that the parameters need; None if the input decides."""
        of_lines = (self.language_model, self.pattern, self.words or None, self.context or None)
        if self.page or any(value is not None for value in of_lines):
            return "transcriber"
        return "classifier" if self.curve else None

    @property
    def options(self) -> dict[str, Any]:
        """The fields of a `configure` that says the same."""
        fields = self.model_dump(exclude={"model", "page", "curve", "form"})
        return fields | {"every": "column" if self.curve else "message"}
