"""What messages and answers are made of: frozen pydantic models with descriptions in their schemas.

A field is described by the text below it in the source.
"""

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema

SCHEMA: Final = ConfigDict(
    frozen=True,
    extra="ignore",
    json_schema_serialization_defaults_required=True,  # the server always sends every field
)


def describe(schema: dict[str, Any], model: type) -> None:
    """Add the descriptions of a model's fields to its schema, before those of their types.

    A schema is asked for now and then. pydantic itself would look the texts up whenever a class is
    made (`use_attribute_docstrings`), and that is a good part of the time to import the service.
    """
    fields = schema.get("properties", {})
    texts: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if kind.__module__.startswith("inkstream."):
            texts |= _texts(kind.__module__).get(kind.__name__, {})
    for name in fields.keys() & texts.keys():
        of_type = fields[name].get("description", "")
        fields[name]["description"] = f"{texts[name]} {of_type}".rstrip()


@cache
def _texts(module: str) -> dict[str, dict[str, str]]:
    """Return the texts below the fields of a module's classes, by class and field."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {
        kind.name: {
            field.target.id: inspect.cleandoc(str(text.value.value))
            for field, text in pairwise(kind.body)
            if isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        }
        for kind in tree.body
        if isinstance(kind, ast.ClassDef)
    }


class Message(BaseModel):
    """A message of either side, or an answer."""

    model_config = SCHEMA

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the schema, whose fields are described by the texts below them."""
        schema = handler(core_schema)
        describe(handler.resolve_ref_schema(schema), cls)
        return schema


class Character(Message):
    """A character and how probable it is."""

    char: str
    p: float


class Spelling(Message):
    """A text and how probable it is."""

    text: str
    p: float
