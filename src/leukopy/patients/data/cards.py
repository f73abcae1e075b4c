"""The cohorts of patients that leukopy reads, each with its card."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from leukopy.core.registry import Registry

CHALLENGE_DATE = date(2020, 1, 1)
"""The day at which ages of the lymphocytosis challenge are counted unless another is given: it states no day."""


@dataclass(frozen=True)
class CohortCard:
    """What one should know of a cohort before using it."""

    title: str
    citation: str
    licence: str
    """Of the images and of the table."""
    patients: int | None
    """With a label, as distributed; None where they are the user's own."""
    images: int | None
    """Of these patients."""
    scanner: str
    pixels: str
    url: str
    how_to_get: str
    layout: str
    """What the reader expects below the root."""
    notes: tuple[str, ...] = ()
    """Known flaws and peculiarities, one sentence each."""


COHORTS: Registry[CohortCard] = Registry(
    "cohort",
    {
        "lymphocytosis": CohortCard(
            title="Lymphocytosis: reactive or tumoral (Hôpital Lyon Sud)",
            citation="Sahasrabudhe M, Sujobert P, Zacharaki EI, Maurin E, Grange B, Jallades L, Paragios N, "
            "Vakalopoulou M. Deep multi-instance learning using multi-modal data for diagnosis of lymphocytosis. IEEE "
            "Journal of Biomedical and Health Informatics 25(6), 2125-2136 (2021; online 2020). "
            "doi:10.1109/JBHI.2020.3038889",
            licence="none stated: not distributed",
            patients=163,
            images=13453,
            scanner="Sysmex smears, CellaVision DM96, routine haematology of Hôpital Lyon Sud",
            pixels="224 x 224; size per pixel not published",
            url="https://www.kaggle.com/c/3md3070-dlmi",
            how_to_get="Ask its authors, or take part in the challenge 3md3070-dlmi; then unpack it.",
            layout="trainset/<ID>/<image> and testset/<ID>/<image>, and one CSV with the columns ID, LABEL (0 "
            "reactive, 1 tumoral, -1 unknown), GENDER, DOB, LYMPH_COUNT (10^9/L) in each of these folders, or beside "
            "them for both",
            notes=(
                "Ages are counted at 1 January 2020 unless --reference-date says otherwise: no day of sampling is "
                "stated, so that ages may be off by some years.",
                "Dates of birth stand in two styles, 3/28/1950 (month first) and 28-03-1950 (day first).",
                "One gender is written in lower case.",
                "16 to 198 images per patient; 50 of the patients are reactive and 113 tumoral.",
                "The condition to be included was a lymphocyte count above 4 x 10^9/L; some counts of the table lie "
                "below it.",
                "Further 42 patients come without a label (-1): they can be predicted, not trained on or judged.",
            ),
        ),
        "own": CohortCard(
            title="Your own patients",
            citation="none: your own images",
            licence="yours",
            patients=None,
            images=None,
            scanner="any",
            pixels="any; one lymphocyte per image, centred",
            url="none",
            how_to_get="Write a table with one row per patient, and put the images of each into a folder.",
            layout="a CSV, TSV or Parquet file with the column patient_id, and label (0 or reactive, 1 or tumoral, "
            "empty where unknown), age (years) or birth_date and sample_date (YYYY-MM-DD), lymphocytes (10^9/L, or the "
            "unit in lymphocytes_unit: cells/µL), gender (F, M) where you have them; beside it a folder of images for "
            "each patient, named as patient_id, or a manifest (columns patient_id, path) anywhere",
            notes=("Dates of birth need sample_date, or --reference-date, to become ages.",),
        ),
    },
)
