"""The documents of a signed count: HTML and PDF for people, CSV for spreadsheets, FHIR for laboratory systems."""

from leukopy.review.documents.fhir import fhir_bundle
from leukopy.review.documents.page import policy, signed_html, signed_pdf, warm_up
from leukopy.review.documents.table import signed_csv

__all__ = ["fhir_bundle", "policy", "signed_csv", "signed_html", "signed_pdf", "warm_up"]
