"""What the family of flat JSON tasks promises of every provider in it."""

from __future__ import annotations

import pytest

from wanbridge.adapters.families.flat_tasks import FIELDS, FlatTasks
from wanbridge.adapters.registry import BUILTIN, Registry
from wanbridge.model.inputs import InputImage
from wanbridge.model.request import ImageRequest

ADAPTERS = [Registry().build(name, api_key="k") for name in BUILTIN]
FAMILY = [adapter for adapter in ADAPTERS if isinstance(adapter, FlatTasks)]
OWL = ImageRequest("an owl made of folded maps")
EDIT = ImageRequest("as a woodcut", images=(InputImage("https://pictures.example.com/owl.png"),))

each_provider = pytest.mark.parametrize("adapter", FAMILY, ids=lambda adapter: adapter.name)


def test_the_family_has_the_providers_its_page_names() -> None:
    """One that left it would leave the tests below without a subject."""
    assert ["reapi", "gccai"] == [adapter.name for adapter in FAMILY]


@each_provider
def test_what_the_body_names_is_reserved(adapter: FlatTasks) -> None:
    """An extra of such a name would replace what a canonical field has said."""
    named = {name for request in (OWL, EDIT) for name in adapter.body(request, adapter.offers[0])}

    assert adapter.reserved == named


@each_provider
def test_an_offer_says_no_field_that_the_body_cannot(adapter: FlatTasks) -> None:
    """Such a field would pass the fitting and be dropped in silence."""
    assert [] == [offer.model for offer in adapter.offers if offer.fields - FIELDS]


@each_provider
def test_with_images_one_tier_is_said_and_no_ratio(adapter: FlatTasks) -> None:
    """The last image decides on the shape; two tiers are undefined."""
    body = adapter.body(EDIT, adapter.offers[0])

    assert {adapter.lone_tier: EDIT.size.tier} == {
        name: value for name, value in body.items() if name in ("size", "resolution")
    }
