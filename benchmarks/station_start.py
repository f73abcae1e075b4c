"""How soon a station answers, and gives the first PDF of a signed case.

    python benchmarks/station_start.py [--starts 7] [--beside "what else runs"]

Each start is a process of its own, on a station that was used before: from the beginning of the process to the first
answer of `/api/v1/health` and to the log-in page. Every other start, the PDF of a signed case is asked for at once;
in the others, after ten seconds. A last start makes a new station. On a busy machine, read the CPU time.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx

import results_file
import review
from leukopy.review.settings import ReviewSettings

WARM = 10
"""Seconds after which a reader asks for a report."""


@contextmanager
def started(settings: ReviewSettings) -> Iterator[tuple[httpx.Client, dict[str, float]]]:
    """A station, and the seconds until it answered."""
    begun = time.perf_counter()
    process, address = review.start(settings, "--before-signing", "nothing")
    try:
        with httpx.Client(base_url=address, timeout=60) as client:
            client.get(f"{review.API}/health").raise_for_status()
            health, used = time.perf_counter() - begun, cpu_seconds(process.pid)
            client.get("/login").raise_for_status()
            yield client, {"health": health, "health, CPU": used, "log-in page": time.perf_counter() - begun}
    finally:
        process.terminate()
        process.wait()


def cpu_seconds(process: int) -> float:
    """Time that a process has computed: that of an idle machine, whatever else runs."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sign_in(client: httpx.Client) -> None:
    """As the administrator, who may sign."""
    answer = client.post(f"{review.API}/session", json={"name": "ada", "password": review.PASSWORD})
    client.headers["X-CSRF-Token"] = answer.raise_for_status().json()["csrf"]


def sign(client: httpx.Client) -> str:
    """Sign the first case; returns its id."""
    sign_in(client)
    (case, *_) = client.post(f"{review.API}/cases/search", json={}).json()["cases"]
    for step, more in (("reviewed", {}), ("sign", {"password": review.PASSWORD})):
        body = {"version": case["version"], **more}
        case = client.post(f"{review.API}/cases/{case['id']}/{step}", json=body).raise_for_status().json()
    return str(case["id"])


def measure(scratch: Path, given: argparse.Namespace) -> dict[str, object]:
    settings = ReviewSettings(folder=scratch / "station")
    review.prepare(settings, scratch, argparse.Namespace(cells=200, readers=1, cases=1))
    with started(settings) as (client, _):
        case = sign(client)
    answers: list[dict[str, float]] = []
    pdfs: dict[bool, list[float]] = {True: [], False: []}
    for number in range(given.starts):
        at_once = number % 2 == 0
        with started(settings) as (client, seconds):
            answers.append(seconds)
            sign_in(client)
            time.sleep(0 if at_once else WARM)
            begun = time.perf_counter()
            client.get(f"{review.API}/cases/{case}/report.pdf").raise_for_status()
            pdfs[at_once].append(time.perf_counter() - begun)
    with started(ReviewSettings(folder=scratch / "new")) as (_, new):
        pass
    return {
        "starts": given.starts,
        **{f"start to {what}, median, s": round(median(one[what] for one in answers), 2) for what in answers[0]},
        "start to health, longest, s": round(max(one["health"] for one in answers), 2),
        "start to health of a new station, s": round(new["health"], 2),
        "first PDF at once, median, s": round(median(pdfs[True]), 2),
        f"first PDF after {WARM} s, median, s": round(median(pdfs[False]), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=8)
    parser.add_argument("--beside", default="nothing", help="what else runs on the machine; kept with the figures")
    given = parser.parse_args()
    before = os.getloadavg()[0]
    with TemporaryDirectory() as scratch:
        figures = measure(Path(scratch), given)
    figures |= {"beside it": given.beside, "load (1 minute), before and after": [before, round(os.getloadavg()[0], 2)]}
    print(figures)
    results_file.write("station_start", figures)


if __name__ == "__main__":
    main()
