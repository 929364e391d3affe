"""The base of every model of the template: strict, frozen, named as AIB names things, and patient with the unknown.

An `Unknown` passes every check, so a model may hold one in any field; a plan is compiled only when there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, WrapValidator
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_wrap_validator_function

from imagewright.core.resource_id import parse_resource_id
from imagewright.core.unknown import Unknown

T = TypeVar("T")


def _pass_unknown(value: Any, check: Callable[[Any], Any]) -> Any:
    return value if isinstance(value, Unknown) else check(value)


Known = Annotated[T, WrapValidator(_pass_unknown)]
"""For the items of lists and the values of maps; the fields of a `Shape` are wrapped already."""


NonEmpty = Annotated[str, Field(min_length=1)]
"""Text without which nothing could be done."""


INT32 = 2**31 - 1
"""The largest whole number of the service."""


class Shape(BaseModel):
    """One object of the template.

    `renamed` maps old names (and famous misspellings) to the present ones, `read_only` lists what the service adds
    to what it returns, `free_text` lists the fields in which `<word>` is no placeholder.
    """

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        use_enum_values=False,
    )

    renamed: ClassVar[Mapping[str, str]] = {}
    read_only: ClassVar[frozenset[str]] = frozenset()
    free_text: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        # A field validator for "*" would say the same, but pydantic allows none on the discriminator of a union.
        schema = handler(source)
        model = cast("dict[str, Any]", handler.resolve_ref_schema(schema))
        while model["type"] != "model-fields":
            model = model["schema"]
        for field in model["fields"].values():
            owner = field["schema"] if field["schema"]["type"] == "default" else field
            if owner["schema"]["type"] != "literal" or len(owner["schema"]["expected"]) > 1:
                owner["schema"] = no_info_wrap_validator_function(_pass_unknown, owner["schema"])
        return schema


@dataclass(frozen=True, slots=True)
class Since:
    """Metadata of a field: the api-version that brought it."""

    version: str


@dataclass(frozen=True, slots=True)
class Removed:
    """Metadata of a union: types that older api-versions had, each with what to say about it."""

    types: Mapping[str, str]


def problem(code: str, message: str, *, hint: str = "", field: str = "") -> PydanticCustomError:
    """The error that a model's own check raises. `field` narrows the place, by AIB's name, within the object."""
    escaped = message.replace("{", "{{").replace("}", "}}")
    return PydanticCustomError(code, escaped, {"hint": hint, "field": field})


def id_of(resource_type: str, what: str, *, optional: bool = False, longest: int = 0) -> AfterValidator:
    """For a field that holds the ARM resource id of `what`, or, if `optional`, no text at all. `longest` is how many
    characters the name in it may have."""
    namespace, *kinds = resource_type.split("/")
    tail = "".join(f"/{kind}/NAME" for kind in kinds)
    hint = "/subscriptions/.../resourceGroups/" + (f".../providers/{namespace}{tail}" if resource_type else "NAME")

    def check(text: str) -> str:
        found = parse_resource_id(text)
        if not (optional and not text) and (not found or not found.is_a(resource_type)):
            raise problem("bad-resource-id", f"'{text}' is not the id of {what}", hint=hint)
        if found and longest and len(found.name) > longest:
            said = f"the name '{found.name}' has {len(found.name)} characters"
            raise problem("bad-resource-id", said, hint=f"{what} may have {longest}")
        return text

    return AfterValidator(check)
