"""The models that ship with leukopy, and their cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leukopy.bundle import Card


def list_models() -> list[Card]:
    """The cards of the bundled models, by name.

    Raises:
        BundleError: one of them is broken.
    """
    from leukopy.bundle import bundled_models

    return [show_model(name) for name in bundled_models()]


def show_model(model: str) -> Card:
    """The card of a bundled model, or of a bundle folder.

    Raises:
        BundleError: no such model, or the bundle is broken or made for another taxonomy.
    """
    from leukopy.bundle import open_bundle

    return open_bundle(model).card


def card_page(card: Card) -> str:
    """A card as Markdown."""
    from leukopy.reports.model_card import model_card

    return model_card(card)
