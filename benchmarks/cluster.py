"""Runs of a plan under faults, their overhead beside the plain engine, and the memory of a plan of ten million rows.

    python benchmarks/cluster.py faults --rounds 60     # kill -9, damage, two runs at once, a full disk
    python benchmarks/cluster.py overhead               # one worker beside the engine, in turns; needs LEUKOPY_DATA
    python benchmarks/cluster.py plan                   # memory and time of a plan

Each adds its figures to ``results/cluster.json``.
"""

from __future__ import annotations

import json
import logging
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import polars as pl
from moto.server import DomainDispatcherApplication, create_backend_app
from PIL import Image
from werkzeug.serving import make_server

from leukopy.cluster import tasks
from leukopy.cluster.merge import merge
from leukopy.cluster.plan import Plan
from leukopy.cluster.planning import make_plan
from leukopy.cluster.run import RunOptions, run_plan
from leukopy.cluster.settings import PlanSettings
from leukopy.cluster.status import read_status
from leukopy.cluster.storage import open_store
from leukopy.cluster.work import open_classifier, work_shard
from leukopy.inference.rows import CellInput
from leukopy.synthesis import draw_cell
from results_file import RESULTS, write

ROOT = Path(__file__).parents[1]
SLIDES, PER_SLIDE = 8, 10
LEUKOPY = [sys.executable, "-c", "from leukopy.cli.main import main; main()"]


def leukopy(*words: object, **environment: str) -> subprocess.Popen[bytes]:
    """A command of its own, in a process group of its own."""
    return subprocess.Popen(
        [*LEUKOPY, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", **environment},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    output = process.communicate()[0].decode()
    return process.returncode, output


def draw_night(folder: Path, rng: random.Random, slides: int, per_slide: int) -> Counter[str]:
    """Slides of drawn cells with one per cent of broken files; the number of pictures of each slide."""

    cells = [Image.fromarray(draw_cell(code, seed=seed, size=96).image) for seed in range(3) for code in ("SNE", "LY")]
    counts: Counter[str] = Counter()
    for slide in range(slides):
        for number in range(per_slide):
            path = folder / f"slide {slide:02}" / f"{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            if rng.random() < 0.01 or (slide, number) == (0, 0):
                path.write_bytes(b"broken")
            else:
                one = cells[number % len(cells)].copy()
                one.putpixel((0, 0), (slide, number, 0))
                one.save(path)
            counts[path.parent.name] += 1
    return counts


def tables(folder: Path) -> dict[str, bytes]:
    """The merged tables, sorted, as text."""
    found = {}
    for path in sorted(folder.rglob("*.parquet")):
        table = pl.read_parquet(path)
        found[path.relative_to(folder).as_posix()] = table.sort(table.columns[:2]).write_csv().encode()
    return found


class Faulty:
    """The application of a server that refuses every tenth call, before or after its work is done."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app, self._lock = app, threading.Lock()
        self.calls = self.refused = 0
        self.lose_answers = False

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        with self._lock:
            self.calls += 1
            refuse = self.calls % 10 == 0
            self.refused += refuse
        if not refuse:
            return self._app(environ, start)
        if self.lose_answers:
            list(self._app(environ, lambda *_: None))
        start("503 Slow Down", [("Content-Length", "0")])
        return [b""]


class Faults:
    """Faults at random moments of a run on one plan; the results must be those of a run without any."""

    def __init__(self, work: Path, seed: int, slides: int = SLIDES, per_slide: int = PER_SLIDE) -> None:
        self.rng, self.work = random.Random(seed), work
        self.slides, self.per_slide = slides, per_slide
        counts = draw_night(work / "night", self.rng, slides, per_slide)
        settings = PlanSettings(input=str(work / "night"), input_kind="cells", shard_images=per_slide)
        make_plan(settings, str(work / "whole"))
        begun = time.monotonic()
        code, output = finish(leukopy("cluster", "run", work / "whole", "--processes", 2))
        assert code == 3, output
        self.longest = 1.1 * (time.monotonic() - begun)
        self.expected = self.merged("whole")
        rows = pl.concat(pl.read_parquet(path, columns=["slide"]) for path in (work / "whole-merged/cells").iterdir())
        failures = pl.read_parquet(work / "whole-merged/failures.parquet", columns=["slide"])
        assert Counter(pl.concat([rows, failures])["slide"].to_list()) == counts

    def plan(self, name: str) -> Path:
        (self.work / name).mkdir()
        shutil.copy(self.work / "whole" / "plan.parquet", self.work / name)
        return self.work / name

    def merged(self, name: str) -> dict[str, bytes]:
        out = self.work / f"{name}-merged"
        merge(str(self.work / name), out, overwrite=True)
        return tables(out)

    def moment(self) -> None:
        time.sleep(self.rng.uniform(0.1 * self.longest, self.longest))

    def kill_driver(self, out: Path) -> str:
        process = leukopy("cluster", "run", out, "--processes", 2)
        self.moment()
        process.kill()
        process.wait()
        return "killed" if process.returncode == -signal.SIGKILL else "too late"

    def kill_worker(self, out: Path) -> str:
        process = leukopy("cluster", "run", out, "--processes", 2)
        self.moment()
        workers = [pid for pid in children(process.pid) if b"loky" in command(pid) and b"tracker" not in command(pid)]
        for pid in self.rng.sample(workers, min(1, len(workers))):
            os.kill(pid, signal.SIGKILL)
        code, output = finish(process)
        assert code in (1, 3), output
        return "killed" if workers else "too late"

    def interrupt(self, out: Path) -> str:
        process = leukopy("cluster", "run", out, "--processes", 2)
        self.moment()
        os.killpg(process.pid, signal.SIGINT)
        code, _ = finish(process)
        return "interrupted" if code == 130 else "too late"

    def damage_part(self, out: Path) -> str:
        run_plan(str(out), RunOptions(1, part=(1, 2)))
        victim = self.rng.choice(sorted((out / "parts").rglob("*.parquet")))
        content = bytearray(victim.read_bytes())
        if self.rng.random() < 0.5:
            content = content[: self.rng.randrange(len(content))]
        else:
            content[self.rng.randrange(len(content))] ^= 1 << self.rng.randrange(8)
        victim.write_bytes(content)
        return "damaged"

    def damage_receipt(self, out: Path) -> str:
        run_plan(str(out), RunOptions(1, part=(1, 2)))
        victim = self.rng.choice(sorted((out / "receipts").iterdir()))
        victim.write_bytes(victim.read_bytes()[: self.rng.randrange(200)])
        return "damaged"

    def two_runs(self, out: Path) -> str:
        both = [leukopy("cluster", "run", out, "--processes", 1) for _ in range(2)]
        for process in both:
            code, output = finish(process)
            assert code == 3, output
        return "both finished"

    def full_disk(self, out: Path) -> str:
        """The folder of copies and results in progress takes no more than some kilobytes."""
        limit = self.rng.randrange(1, 60)
        code = f"ulimit -f {limit}; trap '' XFSZ; exec \"$@\""
        process = subprocess.Popen(
            ["bash", "-c", code, "bash", *LEUKOPY, "cluster", "run", str(out), "--processes", "1"],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        code_, output = finish(process)
        return "refused" if code_ == 1 else f"finished ({code_})" if code_ == 3 else output

    def run(self, number: int) -> tuple[str, str]:
        kinds: list[Callable[[Path], str]] = [
            self.kill_driver, self.kill_worker, self.interrupt, self.damage_part, self.damage_receipt, self.two_runs,
            self.full_disk,
        ]  # fmt: skip
        kind = kinds[number % len(kinds)]
        out = self.plan(f"fault-{number}")
        what = kind(out)
        self.check(out)
        return kind.__name__, what

    def check(self, out: Path) -> None:
        """Finish a plan after its fault; every picture is there once, and every byte is that of a clean run."""
        found = run_plan(str(out), RunOptions(1, verify=True))
        assert found.done == found.shards == self.slides, found
        assert self.merged(out.name) == self.expected, out.name
        receipts = [json.loads(path.read_text()) for path in (out / "receipts").iterdir()]
        assert len({one["shard"] for one in receipts}) == len(receipts) == self.slides
        assert sum(one["inputs"] for one in receipts) == self.slides * self.per_slide
        shutil.rmtree(out)
        shutil.rmtree(self.work / f"{out.name}-merged")
        tasks._plan.cache_clear()


def refusing_store(faults: Faults, rounds: int) -> dict[str, int]:
    """Plans in an object store that refuses every tenth call or loses its answer."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    faulty = Faulty(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, faulty, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1",
    }  # fmt: skip
    os.environ.update(environment)
    boto3.client("s3", endpoint_url=environment["AWS_ENDPOINT_URL"]).create_bucket(Bucket="faults")
    retries = 0
    for number in range(rounds):
        uri, merged = f"s3://faults/{number}", faults.work / f"store-{number}"
        faulty.lose_answers = number % 2 == 1
        settings = PlanSettings(input=str(faults.work / "night"), input_kind="cells", shard_images=PER_SLIDE)
        make_plan(settings, uri)
        found = run_plan(uri, RunOptions(1))
        assert found.done == found.shards == SLIDES, found
        merge(uri, merged)
        assert tables(merged) == faults.expected, number
        retries += read_status(uri).rounds[0].retries
        shutil.rmtree(merged)
    server.shutdown()
    return {"runs": rounds, "calls": faulty.calls, "refused": faulty.refused, "repeated by workers": retries}


def children(pid: int) -> list[int]:
    found = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] if alive(pid) else []
    return found + [below for child in found for below in children(child)]


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/task/{pid}/children").exists()


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def measure_faults(rounds: int, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as work:
        faults = Faults(Path(work), seed)
        found: dict[str, Counter[str]] = {}
        for number in range(rounds):
            kind, what = faults.run(number)
            found.setdefault(kind, Counter())[what] += 1
            print(number + 1, kind, what, flush=True)
        store = refusing_store(faults, max(2, rounds // 8))
    return {
        "rounds": rounds, "seed": seed, "faults": {kind: dict(counts) for kind, counts in found.items()},
        "store that refuses every tenth call": store,
        "compared": "the merged tables of each round equal those of a run without a fault, byte for byte after sorting;"
        " a difference ends the measurement",
    }  # fmt: skip


def measure_overhead(images: int, turns: int) -> dict[str, Any]:
    """CPU time of the worker on one shard beside the plain engine on the same slides, in turns."""

    pictures = sorted((Path(os.environ["LEUKOPY_DATA"]) / "cells" / "pbc").rglob("*.webp"))
    pictures = pictures[:: len(pictures) // images][:images]
    with tempfile.TemporaryDirectory() as work:
        rows = [(str(path), f"s{number // 500}") for number, path in enumerate(pictures)]
        pl.DataFrame(rows, schema=["path", "slide"], orient="row").write_parquet(f"{work}/m.parquet")
        make_plan(PlanSettings(input=f"{work}/m.parquet", input_kind="cells"), f"{work}/out")
        store = open_store(f"{work}/out")
        plan = Plan.load(store, Path(work))
        classifier = open_classifier(plan)
        shard = plan.shards[0]
        slides = [
            [CellInput(name, path, str(slide)) for name, path in own.select("name", "path").iter_rows()]
            for (slide,), own in plan.shard_rows(shard).group_by("slide", maintain_order=True)
        ]
        plain, worker = [], []
        for _ in range(turns):
            begun = time.process_time()
            count = sum(len(part) for cells in slides for part in classifier.slide(cells).rows())
            plain.append(time.process_time() - begun)
            shutil.rmtree(f"{work}/out/receipts", ignore_errors=True)
            begun = time.process_time()
            receipt = work_shard(store, plan, shard, classifier)
            worker.append(time.process_time() - begun)
            assert count == receipt.cells + receipt.failures
        size = sum(part.size for part in receipt.parts.values())
    return {
        "images": shard.rows, "slides": shard.slides, "turns": turns,
        "worker over plain engine, median ratio of CPU time": round(float(np.median(np.divide(worker, plain))), 3),
        "ratios": [round(a / b, 3) for a, b in zip(worker, plain, strict=True)],
        "CPU seconds per 1,000 images, plain": round(1000 * min(plain) / shard.rows, 3),
        "CPU seconds per 1,000 images, worker": round(1000 * min(worker) / shard.rows, 3),
        "bytes of parts per image": round(size / shard.rows),
    }  # fmt: skip


def measure_plan(rows: int) -> dict[str, Any]:
    """A manifest of so many rows in 50,000 slides, shuffled within neighbouring slides; in a process of its own."""
    with tempfile.TemporaryDirectory() as work:
        numbers = np.arange(rows)
        step = max(1, rows // 50_000)
        for part in np.array_split(numbers, max(1, rows // 1_000_000)):
            slides = pl.Series(part // step).cast(pl.String)
            table = pl.DataFrame({"slide": "slide-" + slides, "number": part}).select(
                path=pl.format("laboratory/2026/{}/cell-{}.jpg", "slide", "number"), slide="slide"
            )
            table.sample(fraction=1, shuffle=True, seed=1).write_parquet(f"{work}/part-{part[0]:09d}.parquet")
        pl.scan_parquet(f"{work}/part-*.parquet").sink_parquet(f"{work}/m.parquet")
        begun = time.monotonic()
        process = subprocess.run(
            [sys.executable, __file__, "one-plan", f"{work}/m.parquet", f"{work}/out"],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, check=True, capture_output=True, text=True,
        )  # fmt: skip
        seconds = time.monotonic() - begun
        size = Path(f"{work}/out/plan.parquet").stat().st_size
        facts = {"rows": rows, "seconds": round(seconds, 1), "bytes of plan per row": round(size / rows, 1)}
        return {**facts, **json.loads(process.stdout)}


def one_plan(manifest: str, out: str) -> None:

    plan = make_plan(PlanSettings(input=manifest, input_kind="cells"), out)
    used = resource.getrusage(resource.RUSAGE_SELF)
    read_status(out)
    print(
        json.dumps(
            {
                "shards": len(plan.shards),
                "peak GB": round(used.ru_maxrss / 1e6, 2),
                "CPU seconds": round(used.ru_utime + used.ru_stime),
            }
        )
    )


def main() -> None:
    what, *words = sys.argv[1:]
    number = int(words[words.index("--rounds") + 1]) if "--rounds" in words else None
    if what == "one-plan":
        one_plan(*words)
        return
    measured: dict[str, Any] = {
        "faults": lambda: measure_faults(number or 56, seed=7),
        "overhead": lambda: measure_overhead(1000, number or 3),
        "plan": lambda: [measure_plan(rows) for rows in (100_000, 1_000_000, number or 10_000_000)],
    }[what]()
    keep(what, measured)


def keep(what: str, measured: Any) -> None:
    """Add figures to those of earlier commands."""
    path = RESULTS / "cluster.json"
    earlier = json.loads(path.read_text())["figures"] if path.exists() else {}
    command = " ".join([f"python benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    print(write("cluster", {**earlier, what: {"command": command, "figures": measured}}))


if __name__ == "__main__":
    main()
