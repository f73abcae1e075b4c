# %% [markdown]
# # Send a signed count to a FHIR server
#
# The review station writes a signed count as a FHIR R4 Bundle: page "Sign", "FHIR". This script sends that file to
# the server of a hospital. Only signed counts are sent. Research use only.

# %%
import json
import sys
import urllib.request
from pathlib import Path


def read_signed(path: Path) -> dict:
    """The bundle of a file; refused where its report is not signed."""
    bundle = json.loads(path.read_text("utf-8"))
    reports = [
        entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "DiagnosticReport"
    ]
    if [report["status"] for report in reports] not in (["final"], ["amended"]):
        raise SystemExit(f"{path}: is not signed. Sign the case in the review station, and save the file again.")
    return bundle


def send(bundle: dict, server: str) -> str:
    """Create the bundle on a server, and return its address there."""
    request = urllib.request.Request(
        f"{server.rstrip('/')}/Bundle",
        data=json.dumps(bundle).encode(),
        headers={"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.headers.get("Location", "")


# %% [markdown]
# `python examples/send_fhir.py report.fhir.json https://fhir.example.org/r4`; in a notebook, call both functions.

# %%
if sys.argv[0].endswith("send_fhir.py") and len(sys.argv) == 3:
    print(send(read_signed(Path(sys.argv[1])), sys.argv[2]) or "The server took it, and named no address.")
