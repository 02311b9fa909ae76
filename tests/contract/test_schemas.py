"""The schemas that are shipped are those of the records, and are schemas."""

import pytest
from jsonschema import Draft202012Validator

from nas_lightning import schemas


@pytest.mark.parametrize("name", schemas.NAMES)
def test_the_shipped_schema_is_that_of_the_record(name):
    assert schemas.schema(name) == schemas.generated(name), "make schemas writes them anew"


@pytest.mark.parametrize("name", schemas.NAMES)
def test_it_is_a_schema_with_an_address_and_a_version(name):
    found = schemas.schema(name)
    Draft202012Validator.check_schema(found)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert found["$id"] == f"urn:nas-lightning:schema:{name}:{found['version']}"
