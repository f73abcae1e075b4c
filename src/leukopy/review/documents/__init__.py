"""The documents of a signed count.

HTML and PDF are for people, CSV and XLSX for spreadsheets, FHIR and HL7 v2 for laboratory systems.
"""

from leukopy.review.documents.fhir import fhir_bundle, fhir_transaction
from leukopy.review.documents.hl7 import hl7_message
from leukopy.review.documents.outgoing import Outgoing
from leukopy.review.documents.page import policy, signed_html, signed_pdf, warm_up
from leukopy.review.documents.pictures import with_thumbnails
from leukopy.review.documents.table import signed_csv
from leukopy.review.documents.workbook import signed_workbook

__all__ = [
    "Outgoing",
    "fhir_bundle",
    "fhir_transaction",
    "hl7_message",
    "policy",
    "signed_csv",
    "signed_html",
    "signed_pdf",
    "signed_workbook",
    "warm_up",
    "with_thumbnails",
]
