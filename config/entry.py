"""What everything that an operator writes is made of."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Entry(BaseModel):
    """Base of everything an operator writes: frozen, strict, camelCase, no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)
