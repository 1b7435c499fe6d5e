"""The query parameters of each route; a parameter that a route does not have is refused.

If a misspelt parameter were ignored, the answer would look as if it had been used. Health,
readiness and metrics ignore parameters: probes may add their own, and no answer depends on them.
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
        None, description="Name of a model; absent: the first that suits the input."
    )
    page: bool = Field(False, description="Whether the image is a page of many lines.")

    @property
    def kind(self) -> Kind | None:
        """The kind of model that the parameters need; None if the input decides."""
        return "transcriber" if self.page else None


class RecognizeParameters(ColumnsParameters):
    """The parameters of `/v1/recognize`: some are fields of a stream's `configure`."""

    curve: bool = Field(False, description="Also return a classifier's answer after every column.")
    form: PageForm = Field("json", alias="format", description="Format of the answer about a page.")
    characters: str | None = Field(
        None, description="Only labels of these characters are answered; absent: every label."
    )
    language_model: str | None = Field(
        None, description="Language model to read with, one of the model's languages."
    )
    words: list[str] = Field(
        [], description="A word that is likely in the text; repeated for each."
    )
    context: str = Field("", description="The text before this one, for a language model.")
    pattern: str | None = Field(
        None, description="A regular expression that the text matches completely."
    )

    @property
    def kind(self) -> Kind | None:
        """The kind of model that the parameters need; None if the input decides."""
        of_lines = (self.language_model, self.pattern, self.words or None, self.context or None)
        if self.page or any(value is not None for value in of_lines):
            return "transcriber"
        return "classifier" if self.curve else None

    @property
    def options(self) -> dict[str, Any]:
        """The fields of a `configure` with the same options."""
        fields = self.model_dump(exclude={"model", "page", "curve", "form"})
        return fields | {"every": "column" if self.curve else "message"}
