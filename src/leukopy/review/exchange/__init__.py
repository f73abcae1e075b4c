"""Exchange with other systems: orders in, signed results out."""

from leukopy.review.exchange.service import ExchangeService

__all__ = ["ExchangeService"]
