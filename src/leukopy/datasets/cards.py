"""The data sets that leukopy reads, each with its card, its label map and its reader.

To add one: a reader in ``readers.py``, a label map in ``taxonomy/labels.py``, an entry here, and a builder of a small
false copy in ``tests/datasets/conftest.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from leukopy.core.registry import Registry
from leukopy.datasets import readers
from leukopy.datasets.readers import Reader, or_listed

_FIVE = ("neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte")


@dataclass(frozen=True)
class DatasetCard:
    """Facts of a data set that its users need."""

    title: str
    citation: str
    licence: str
    """Licence of the images."""
    images: int | None
    """Number of images as published; None where the images are the user's own."""
    classes: tuple[str, ...]
    """Class names of the source; empty where the images are the user's own."""
    stain: str
    scanner: str
    pixels: str
    """Width x height as published; physical size where it is known."""
    url: str
    how_to_get: str
    layout: str
    """Layout that the reader expects below the root."""
    notes: tuple[str, ...] = ()
    """Known flaws and peculiarities, one sentence each."""


@dataclass(frozen=True)
class Dataset:
    """One data set."""

    card: DatasetCard
    labels: str
    """Name of the label map."""
    read: Reader


_NO_SCALE = "size per pixel not published"
_OWN = "none: your own images"

DATASETS: Registry[Dataset] = Registry(
    "data set",
    {
        "pbc": Dataset(
            DatasetCard(
                title="PBC Barcelona: normal peripheral blood cells",
                citation="Acevedo A, Merino A, Alférez S, Molina Á, Boldú L, Rodellar J. A dataset of microscopic "
                "peripheral blood cell images for development of automatic recognition systems. Data in Brief 30, "
                "105474 (2020). doi:10.1016/j.dib.2020.105474",
                licence="CC BY 4.0",
                images=17092,
                classes=("neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte", "ig", "erythroblast",
                         "platelet", "SNE", "BNE", "MMY", "MY", "PMY"),
                stain="May-Grünwald-Giemsa (Sysmex SP1000i)",
                scanner="CellaVision DM96, Hospital Clínic de Barcelona",
                pixels=f"360 x 363 (some 366 x 369 or 360 x 360); {_NO_SCALE}",
                url="https://doi.org/10.17632/snkd93bnjr.1",
                how_to_get="Download PBC_dataset_normal_DIB.zip from Mendeley Data and unpack it.",
                layout="class folders such as neutrophil/SNE_123456.jpg and ig/MMY_123456.jpg",
                notes=(
                    "Healthy donors; no patient or slide is named, so that groups are unknown.",
                    "The file name holds the sub-class; 50 neutrophils and 151 immature granulocytes have none.",
                    "17 pairs of files are one and the same image; one pair carries two labels "
                    "(EO_225902 and BNE_191112).",
                    "The audit finds 5 cells more that were taken twice (such as MO_231316 and MO_415531).",
                ),
            ),
            "pbc",
            readers.pbc,
        ),
        "cellavision": Dataset(
            DatasetCard(
                title="CellaVision blog images with masks (segmentation_WBC, Dataset 2)",
                citation="Zheng X, Wang Y, Wang G, Liu J. Fast and robust segmentation of white blood cell images by "
                "self-supervised learning. Micron 107, 55-71 (2018). doi:10.1016/j.micron.2018.01.010",
                licence="research use, cite Zheng 2018",
                images=100,
                classes=_FIVE,
                stain="not stated (purple, Romanowsky type)",
                scanner="CellaVision, collected from the maker's blog",
                pixels=f"300 x 300; {_NO_SCALE}",
                url="https://github.com/zxaoyou/segmentation_WBC",
                how_to_get="git clone https://github.com/zxaoyou/segmentation_WBC",
                layout="'Dataset 2/001.bmp' … and 'Class Labels of Dataset 2.csv'",
                notes=(
                    "Labels were given by the authors of the set, not by haematologists.",
                    "Masks (001.png …): 0 background, 128 cytoplasm, 255 nucleus.",
                    "Only 3 basophils; Dataset 1 of the same repository (another stain, 120 x 120 px) is not read.",
                ),
            ),
            "cellavision",
            or_listed(readers.cellavision),
        ),
        "raabin": Dataset(
            DatasetCard(
                title="Raabin-WBC: double-labelled cropped cells",
                citation="Kouzehkanan ZM, Saghari S, Tavakoli S, et al. A large dataset of white blood cells "
                "containing cell locations and types, along with segmented nuclei and cytoplasm. Scientific Reports "
                "12, 1123 (2022). doi:10.1038/s41598-021-04426-x",
                licence="free access; licence of the images not confirmed",
                images=16633,
                classes=_FIVE,
                stain="Giemsa",
                scanner="Olympus CX18 and Zeiss microscopes with phone cameras, Iran",
                pixels=f"575 x 575; {_NO_SCALE}",
                url="https://raabindata.com/free-data/",
                how_to_get="Download Train.rar, TestA.rar and TestB.zip ('double labeled cropped cells') and unpack "
                "them side by side.",
                layout="Train, TestA and TestB, each with class folders such as Train/Basophil/95-5-4-1_20_2.jpg",
                notes=(
                    "The part of a file name before the first '_' is the slide; it becomes the group.",
                    "Some cells were taken twice, also under two slide names (95-5-4-1 and 95-5-5-1 share cells).",
                    "TestB comes from another microscope and camera, and holds lymphocytes and neutrophils only.",
                ),
            ),
            "raabin",
            or_listed(readers.raabin),
        ),
        "aml-munich": Dataset(
            DatasetCard(
                title="AML-Cytomorphology_LMU: leukocytes of AML patients and of controls",
                citation="Matek C, Schwarz S, Spiekermann K, Marr C. Human-level recognition of blast cells in acute "
                "myeloid leukaemia with convolutional neural networks. Nature Machine Intelligence 1, 538-544 (2019). "
                "doi:10.1038/s42256-019-0101-9. Data: doi:10.7937/tcia.2019.36f5o9ld",
                licence="CC BY 3.0",
                images=18365,
                classes=("NGS", "NGB", "EOS", "BAS", "LYT", "LYA", "MON", "MMZ", "MYB", "PMO", "PMB", "MYO", "MOB",
                         "EBO", "KSC"),
                stain="Romanowsky type, Munich University Hospital",
                scanner="PreciPoint M8, 100-fold oil immersion",
                pixels="400 x 400; size per pixel not confirmed",
                url="https://doi.org/10.7937/tcia.2019.36f5o9ld",
                how_to_get="Download the collection AML-Cytomorphology_LMU from The Cancer Imaging Archive.",
                layout="folders of codes such as AML-Cytomorphology_LMU/NGS/NGS_0001.tiff",
                notes=(
                    "RGBA TIFF files; 100 patients with acute myeloid leukaemia and 100 controls, not named per image.",
                    "Five codes are outside the classes: KSC, LYA, MOB, MYO, PMB.",
                    "annotations.dat (second reading of some images) is not used.",
                ),
            ),
            "aml-munich",
            readers.class_folders,
        ),
        "bcisc": Dataset(
            DatasetCard(
                title="BCISC: leukocytes with masks",
                citation="Fan H, Zhang F, Xi L, Li Z, Liu G, Xu Y. LeukocyteMask: an automated localization and "
                "segmentation method for leukocyte in blood smear images using deep neural networks. Journal of "
                "Biophotonics 12, e201800488 (2019). doi:10.1002/jbio.201800488",
                licence="Apache-2.0",
                images=268,
                classes=("neut", "eosi", "baso", "lymp", "mono"),
                stain="not stated (green to yellow casts)",
                scanner="not stated",
                pixels=f"256 x 256; {_NO_SCALE}",
                url="https://github.com/fpklipic/BCISC",
                how_to_get="git clone https://github.com/fpklipic/BCISC",
                layout="class folders such as original-images/baso/2-1.jpg with masks 2-1.png",
                notes=(
                    "268 is the number of crops of one cell; in labels.csv beside them, clean = 0 marks the 24 that "
                    "are not one centred cell. All are read: filter by that list where it matters.",
                    "The part of a file name before '-', with the class, is the slide; it becomes the group.",
                ),
            ),
            "bcisc",
            or_listed(readers.bcisc),
        ),
        "chula": Dataset(
            DatasetCard(
                title="Chulalongkorn WBC: crops around the boxes of whole fields",
                citation="White Blood Cells (WBC) samples. Embedded System and Integrated Circuit Design Laboratory, "
                "Chulalongkorn University, Bangkok (2022). github.com/singgihbekti/WBC_Dataset",
                licence="MIT",
                images=508,
                classes=_FIVE,
                stain="not stated (strong colour casts)",
                scanner="not stated",
                pixels=f"about 250 x 250 crops of 1440 x 900 fields; {_NO_SCALE}",
                url="https://github.com/singgihbekti/WBC_Dataset",
                how_to_get="git clone https://github.com/singgihbekti/WBC_Dataset, then cut the cells out of the "
                "fields by their boxes and list them in labels.csv.",
                layout="crops, and labels.csv with the columns file, label, field",
                notes=(
                    "Published as fields with YOLO boxes; leukopy reads crops of single cells.",
                    "Many cells appear in several fields under another light: the audit finds at most 339 cells in 507 "
                    "images, so that the field does not keep a cell on one side.",
                    "Blurred, with strong colour casts: the hardest of the outside tests.",
                ),
            ),
            "chula",
            or_listed(readers.no_layout),
        ),
        "lymphocytosis": Dataset(
            DatasetCard(
                title="Lymphocytosis: the cells of its patients, all lymphocytes (Hôpital Lyon Sud)",
                citation="Sahasrabudhe M, Sujobert P, Zacharaki EI, Maurin E, Grange B, Jallades L, Paragios N, "
                "Vakalopoulou M. Deep multi-instance learning using multi-modal data for diagnosis of lymphocytosis. "
                "IEEE Journal of Biomedical and Health Informatics 25(6), 2125-2136 (2021; online 2020). "
                "doi:10.1109/JBHI.2020.3038889",
                licence="none stated: not distributed",
                images=13453,
                classes=("lymphocyte",),
                stain="not confirmed (Sysmex smears)",
                scanner="CellaVision DM96",
                pixels=f"224 x 224; {_NO_SCALE}",
                url="https://www.kaggle.com/c/3md3070-dlmi",
                how_to_get="Ask its authors, or take part in the challenge 3md3070-dlmi; then unpack it.",
                layout="trainset/<ID>/<image>",
                notes=(
                    "The analyser picked the cells as lymphocytes; no expert named each one, and those of patients "
                    "with a tumoral lymphocytosis are often atypical.",
                    "To decide for its patients, see leukopy patients cohorts.",
                ),
            ),
            "lymphocytosis",
            readers.lymphocytosis,
        ),
        "hopkins": Dataset(
            DatasetCard(
                title="Johns Hopkins: cells of patients with acute myeloid or promyelocytic leukaemia (DeepAPL)",
                citation="Sidhom JW, Siddarthan IJ, Lai BS, et al. Deep learning for diagnosis of acute promyelocytic "
                "leukemia via recognition of genomically imprinted morphologic features. npj Precision Oncology 5, 38 "
                "(2021). doi:10.1038/s41698-021-00179-y",
                licence="none granted (published with the paper): never distribute an image",
                images=5601,
                classes=("Blast", "Smudge cells", "Promyelocyte", "Lymphocyte", "Lymphocyte, variant form",
                         "Segmented neutrophil", "Band neutrophil", "Monocyte", "Erythroblast", "Plasma cells"),
                stain="Wright-Giemsa type, not stated",
                scanner="CellaVision, Johns Hopkins Hospital",
                pixels=f"360 x 363; {_NO_SCALE}",
                url="https://doi.org/10.1038/s41698-021-00179-y",
                how_to_get="Follow the paper's statement of data availability.",
                layout="Patient_00/Signed slides/<class>/<image>, or labels.csv with file, label and patient",
                notes=(
                    "Each patient is one slide; split by patient. The number of images is that of a part: 49 patients "
                    "with AML or APL.",
                    "Labels are those of routine work and noisy: most of its eosinophils are none to the eye, some "
                    "erythroblasts are red cells, some segmented neutrophils myelocytes (leukopy study clean).",
                    "Promonocytes count as monoblasts here; aggregated thrombocytes as platelets.",
                ),
            ),
            "hopkins",
            or_listed(readers.hopkins),
        ),
        "folders": Dataset(
            DatasetCard(
                title="Your own images in class folders",
                citation=_OWN,
                licence="yours",
                images=None,
                classes=(),
                stain="any",
                scanner="any",
                pixels="any; one cell per image, centred",
                url="none",
                how_to_get="Put each image into a folder named by its class: SNE or segmented neutrophil.",
                layout="class folders such as lymphocyte/c17.jpg, below train, val and test folders or not",
                notes=("Another --label-map reads folders named as one of the public data sets names its classes.",),
            ),
            "leukopy",
            readers.class_folders,
        ),
        "images": Dataset(
            DatasetCard(
                title="Your own images without labels",
                citation=_OWN,
                licence="yours",
                images=None,
                classes=(),
                stain="any",
                scanner="any",
                pixels="any; one cell per image, centred",
                url="none",
                how_to_get="Put the images into a folder; folders inside it are read too.",
                layout="images (.bmp .jpg .png .tif .webp) at any depth",
            ),
            "leukopy",
            readers.unlabelled,
        ),
        "manifest": Dataset(
            DatasetCard(
                title="Your own table of images",
                citation=_OWN,
                licence="yours",
                images=None,
                classes=(),
                stain="any",
                scanner="any",
                pixels="any; one cell per image, centred",
                url="none",
                how_to_get="Write a CSV or Parquet file with one row per image.",
                layout="a .csv or .parquet file with the column path, and label, code, group (patient, slide or "
                "field), split, source, cell_id where you have them",
            ),
            "leukopy",
            readers.no_layout,
        ),
    },
)  # fmt: skip
