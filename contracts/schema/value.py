"""The base of all parts of a schema, which checks what it is made of, and the kinds of text that they hold."""

from typing import Annotated, Final

import msgspec

from contracts.errors import SchemaInvalid

# Names become columns, JSON members and labels of metrics: what all of them take.
_NAME: Final = r"^[a-z][a-z0-9_]{0,62}$"
Name = Annotated[str, msgspec.Meta(pattern=_NAME)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all parts. What the constructor got is held against the same rules as what was decoded."""

    def __post_init__(self) -> None:
        try:
            for field in msgspec.structs.fields(self):
                # An integer bound becomes the float that a decoder makes of it, so equal schemas have equal hashes.
                value = msgspec.convert(getattr(self, field.name), field.type)
                msgspec.structs.force_setattr(self, field.name, value)
        except msgspec.ValidationError as error:
            raise SchemaInvalid(
                f"`{type(self).__name__}.{field.name}` must be what contracts/schema/ says, got: {error}; correct it"
            ) from error
        self.check()

    def check(self) -> None:
        """Rules between the fields."""
