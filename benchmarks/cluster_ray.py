"""A real Ray cluster on this machine: a head and a second node, each a raylet of its own, with one core each.

    python benchmarks/cluster_ray.py faults --rounds 28       # kill -9 of raylets and others, a full disk; needs root
    python benchmarks/cluster_ray.py images --images 100000   # a plan of 50 slides, 1 % broken; needs LEUKOPY_DATA
    python benchmarks/cluster_ray.py driver                   # memory of the driver at 10^4 to 10^6 rows
    python benchmarks/cluster_ray.py parity                   # cells, fields, whole slides on all runners

Each adds its figures to ``results/cluster.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import polars as pl

from cluster import ROOT, Faults, children, command, finish, keep, leukopy, tables
from leukopy.cluster.merge import merge
from leukopy.cluster.plan import Plan
from leukopy.cluster.planning import make_plan
from leukopy.cluster.run import RunOptions, run_plan
from leukopy.cluster.settings import PlanSettings
from leukopy.cluster.status import read_status
from leukopy.cluster.storage import open_store
from leukopy.cluster.work import open_classifier
from leukopy.inference.rows import CellInput
from leukopy.workflows.draw_slide import DrawSlideSettings, draw_slide

# Ray gives its workers the niceness 15: on a machine that others use, they would wait for all of them.
os.environ |= {
    "RAY_raylet_start_wait_time_s": "300", "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0",
    "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1",
}  # fmt: skip

MEMORY = 80_000_000
LONGEST = 300
"""Seconds after which a run that neither ends nor fails is a fault of its own."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Node:
    """``ray start``: a raylet, its workers, and on the head the cluster's store of facts."""

    def __init__(self, *words: object, **environment: str) -> None:
        # With given ports a raylet does not wait for its agents, which take longer than its patience on a busy machine.
        agents = ("dashboard-agent-grpc", "dashboard-agent-listen", "runtime-env-agent", "metrics-export")
        common = ["--num-cpus=1", f"--object-store-memory={MEMORY}", "--disable-usage-stats", "--block"]
        common += [f"--{name}-port={free_port()}" for name in agents]
        started = "from ray.scripts.scripts import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", started, "start", *map(str, [*common, *words])],
            env={**os.environ, **environment},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._own: list[int] = []
        self.raylet = 0

    def up(self, address: str, count: int) -> bool:
        """Wait until the cluster has so many nodes; False: this one does not start."""
        asked = (
            f"import ray; ray.init({address!r}, log_to_driver=False); print(sum(one['Alive'] for one in ray.nodes()))"
        )
        while self._process.poll() is None:
            time.sleep(1)
            self._own = children(self._process.pid)
            self.raylet = next((pid for pid in self._own if command(pid).split(b"\0")[0].endswith(b"/raylet")), 0)
            if any("(raylet)" in Path(f"/proc/{pid}/stat").read_text() and not command(pid) for pid in self._own):
                break  # a zombie
            if not self.raylet:
                continue
            with suppress(subprocess.TimeoutExpired):
                told = subprocess.run([sys.executable, "-c", asked], capture_output=True, timeout=60, check=False)
                if told.stdout.strip() == str(count).encode():
                    return True
        self.close()
        return False

    def close(self) -> None:
        """End all its processes."""
        own = {*self._own, *children(self._process.pid)}
        self._process.kill()
        self._process.wait()
        for pid in own:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Nodes:
    """A head and a second node."""

    def __init__(self, folder: Path, **second: str) -> None:
        port = free_port()
        self.address, self.folder = f"127.0.0.1:{port}", folder
        head = ("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}")
        self.head = self._add(1, *head)
        self.second = self._add(2, f"--address={self.address}", **second)

    def _add(self, count: int, *words: str, **environment: str) -> Node:
        for _ in range(8):  # a raylet gives its agents some seconds to start, which a busy machine may need
            node = Node("--node-ip-address=127.0.0.1", *words, **environment)
            if node.up(self.address, count):
                return node
            print("a node of Ray did not start; once more", flush=True)
        raise SystemExit("no node of Ray starts on this machine.")

    def close(self) -> None:
        self.second.close()
        self.head.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def two_nodes(**second: str) -> Iterator[Nodes]:
    nodes = Nodes(Path(tempfile.mkdtemp(prefix="ray-")), **second)
    try:
        yield nodes
    finally:
        nodes.close()


def actors(*nodes: Node) -> list[int]:
    """Processes of workers of some nodes."""
    return [pid for node in nodes for pid in children(node.raylet) if command(pid).startswith(b"ray::MapWorker")]


def run_on(nodes: Nodes, out: Path) -> subprocess.Popen[bytes]:
    return leukopy("cluster", "run", out, "--on", nodes.address)


def receipts(out: Path) -> int:
    return len(list((out / "receipts").glob("*.json")))


class RayFaults(Faults):
    """Faults at random moments of runs on Ray; the merged rows must be the bytes of a local run without a fault."""

    def __init__(self, work: Path, seed: int) -> None:
        super().__init__(work, seed, slides=24, per_slide=40)
        out = self.plan("clean")
        begun = time.monotonic()
        with two_nodes() as nodes:
            process = run_on(nodes, out)
            while not receipts(out):
                time.sleep(0.05)
            self.first = time.monotonic()
            code, output = finish(process)
            self.work_seconds = time.monotonic() - self.first
        assert code == 3, output
        print(f"clean: {self.first - begun:.0f} s to the first shard, {self.work_seconds:.1f} s of work", flush=True)
        self.check(out)

    def wait(self, process: subprocess.Popen[bytes], out: Path) -> str:
        """Wait for a random moment of a run: until some of its shards are done, and a moment longer."""
        wanted = self.rng.randrange(self.slides - 3)
        while process.poll() is None and receipts(out) < wanted:
            time.sleep(0.01)
        time.sleep(self.rng.uniform(0, 10 if wanted == 0 else 0.5))
        return f"with {receipts(out):2} receipts" + (", too late" if process.poll() is not None else "")

    def ended(self, process: subprocess.Popen[bytes], out: Path) -> str:
        """How a run ended by itself."""
        try:
            output = process.communicate(timeout=LONGEST)[0].decode()
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"{out}: the run neither ends nor fails") from None
        if process.returncode == 3:
            assert receipts(out) == self.slides
            return "the run finished"
        assert process.returncode == 1, (process.returncode, output)
        assert "run the same command again" in output.lower(), output
        return f"the run said so and stopped: {output.splitlines()[-1][:300]}"

    def kill_raylet(self, out: Path) -> tuple[str, str]:
        return self._without_raylet(out, "second")

    def kill_raylet_of_driver(self, out: Path) -> tuple[str, str]:
        return self._without_raylet(out, "head")

    def _without_raylet(self, out: Path, node: str) -> tuple[str, str]:
        with two_nodes() as nodes:
            process = run_on(nodes, out)
            when = self.wait(process, out)
            os.kill(getattr(nodes, node).raylet, signal.SIGKILL)
            return when, self.ended(process, out)

    def kill_driver(self, out: Path) -> tuple[str, str]:
        with two_nodes() as nodes:
            process = run_on(nodes, out)
            when = self.wait(process, out)
            process.kill()
            process.wait()
            return when, "next run: " + self.ended(run_on(nodes, out), out)

    def kill_worker(self, out: Path) -> tuple[str, str]:
        with two_nodes() as nodes:
            process = run_on(nodes, out)
            when = self.wait(process, out)
            found = actors(nodes.head, nodes.second)
            for pid in self.rng.sample(found, min(1, len(found))):
                os.kill(pid, signal.SIGKILL)
            return f"{when}, {len(found)} workers", self.ended(process, out)

    def two_runs(self, out: Path) -> tuple[str, str]:
        with two_nodes() as nodes:
            both = [run_on(nodes, out) for _ in range(2)]
            return "both at once", "; ".join(self.ended(process, out) for process in both)

    def full_disk(self, out: Path) -> tuple[str, str]:
        """The disk of the second node's work in progress fills up at a random moment, and stays full."""
        disk = self.work / "disk"
        disk.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)
        try:
            with two_nodes(TMPDIR=str(disk)) as nodes:
                process = run_on(nodes, out)
                when = self.wait(process, out)
                with suppress(OSError), (disk / "filled").open("wb", buffering=0) as stream:
                    while True:
                        stream.write(bytes(4096))
                how = self.ended(process, out)
                return f"{when}, {shutil.disk_usage(disk).free} bytes free", how
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)


def measure_faults(rounds: int, seed: int) -> dict[str, Any]:
    others = ["full_disk", "kill_raylet_of_driver", "full_disk", "kill_driver", "full_disk", "kill_worker", "two_runs"]
    kinds = [kind for other in others for kind in ("kill_raylet", other)]
    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as work:
        faults = RayFaults(Path(work), seed)
        for number in range(rounds):
            kind = kinds[number % len(kinds)]
            out = faults.plan(f"fault-{number}")
            when, how = getattr(faults, kind)(out)
            left = faults.slides - receipts(out)
            faults.check(out)
            found.setdefault(kind, []).append(
                f"{when}: {how}" + (f" ({left} shards left to the next run)" * bool(left))
            )
            print(number + 1, kind, found[kind][-1], flush=True)
            measured = {
                "rounds": number + 1, "seed": seed, "nodes": 2,
                "slides": faults.slides, "pictures": faults.slides * faults.per_slide,
                "seconds of work without a fault": round(faults.work_seconds, 1), "faults": found,
                "compared": "the merged tables of each round equal those of a local run without a fault, byte for byte "
                "after sorting; a difference ends the measurement",
            }  # fmt: skip
            keep(f"ray-faults, seed {seed}", measured)
    return measured


def timed(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Wait for a driver: wall time, CPU time, and the largest memory of its processes together."""
    begun, peak = time.monotonic(), 0
    while process.poll() is None:
        peak = max(peak, sum(resident(pid) for pid in (process.pid, *children(process.pid))))
        time.sleep(0.2)
    seconds = time.monotonic() - begun
    code, output = finish(process)
    assert code == 3, output
    return {"wall seconds": round(seconds, 1), "peak MB of the driver": round(peak / 1e6)}


def resident(pid: int) -> int:
    """Bytes of memory of a process."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def link_slides(folder: Path, count: int, slides: int) -> None:
    """Links to pictures of PBC: each slide holds every picture once at most; the last 1 % of a slide is broken."""
    pictures = sorted((Path(os.environ["LEUKOPY_DATA"]) / "cells" / "pbc").rglob("*.webp"))
    rng, each = random.Random(3), count // slides
    for slide in range(slides):
        own = folder / f"slide {slide:02}"
        own.mkdir(parents=True)
        broken = round(0.01 * each)
        for number, picture in enumerate(rng.sample(pictures, each - broken)):
            (own / f"{number:05}.webp").symlink_to(picture)
        for number in range(each - broken, each):
            whole = pictures[number].read_bytes()
            (own / f"{number:05}.webp").write_bytes((b"", b"no picture", whole[: len(whole) // 2])[number % 3])


def plain(out: str, numbers: list[int]) -> None:
    """CPU seconds of the engine alone on some shards, printed."""
    with tempfile.TemporaryDirectory() as work:
        plan = Plan.load(open_store(out), Path(work))
        classifier = open_classifier(plan)
        seconds = []
        for number in numbers:
            begun = time.process_time()
            for (slide,), own in plan.shard_rows(plan.shards[number]).group_by("slide", maintain_order=True):
                cells = [CellInput(name, path, str(slide)) for name, path in own.select("name", "path").iter_rows()]
                assert sum(map(len, classifier.slide(cells).rows())) == len(cells)
            seconds.append(time.process_time() - begun)
    print(json.dumps(seconds))


def plain_at_once(out: Path, shards: list[int]) -> dict[int, float]:
    """CPU seconds of the plain engine on some shards, in two processes at once, as the two workers of Ray are."""
    halves = [shards[::2], shards[1::2]]
    both = [
        subprocess.Popen([sys.executable, __file__, "plain", out, json.dumps(half)], stdout=subprocess.PIPE)
        for half in halves
    ]
    found = [json.loads(process.communicate()[0]) for process in both]
    return {number: one for half, own in zip(halves, found, strict=True) for number, one in zip(half, own, strict=True)}


def measure_images(count: int, slides: int = 50) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as text:
        work, out = Path(text), Path(text) / "out"
        link_slides(work / "night", count, slides)
        plan = make_plan(
            PlanSettings(input=str(work / "night"), input_kind="cells", shard_images=count // slides), str(out)
        )
        alone = plain_at_once(out, [0, 1, 2, 3])
        print("plain engine, before:", alone, flush=True)
        with two_nodes() as nodes:
            run = timed(run_on(nodes, out))
        print(run, flush=True)
        alone |= plain_at_once(out, [slides - 1, slides - 2, slides - 3, slides - 4])
        begun = time.monotonic()
        merged = merge(str(out), work / "merged")
        seconds = time.monotonic() - begun
        cells = pl.scan_parquet(sorted((work / "merged" / "cells").iterdir())).select("slide", "cell_id").collect()
        failures = pl.read_parquet(work / "merged" / "failures.parquet")
        found = pl.concat([cells, failures.select("slide", "cell_id")]).sort("cell_id")
        planned = {f"slide {slide:02}/{number:05}.webp" for slide in range(slides) for number in range(count // slides)}
        assert len(found) == plan.rows == count
        assert set(found["cell_id"]) == planned
        own = [json.loads((out / "receipts" / f"{shard.id}.json").read_text())["seconds"] for shard in plan.shards]
        ratios = [own[number] / one for number, one in alone.items()]
        size = sum(path.stat().st_size for path in (out / "parts").rglob("*.parquet"))
    return {
        "pictures": count, "slides": slides, "shards": len(plan.shards), "nodes": 2, "workers": 2,
        "rows": len(cells), "failures": len(failures),
        "failures by reason": dict(sorted(Counter(failures["reason"].to_list()).items())),
        "accounted for": "each picture of the plan is once in the rows or the failures",
        "failed slides": merged.failed, **run, "pictures per second": round(count / run["wall seconds"]),
        "CPU seconds per 1,000 pictures, workers": round(1000 * sum(own) / count, 3),
        "worker over plain engine, CPU time of the same 8 shards": round(
            sum(own[number] for number in alone) / sum(alone.values()), 3
        ),
        "by shard": [round(ratio, 3) for ratio in ratios],
        "seconds of merge": round(seconds, 1), "bytes of parts per picture": round(size / count),
    }  # fmt: skip


def measure_driver(sizes: list[int]) -> list[dict[str, Any]]:
    """The driver of plans of so many rows; no picture exists, so that a shard costs its failures alone."""
    measured = []
    for rows in sizes:
        with tempfile.TemporaryDirectory() as work:
            numbers = pl.int_range(rows, eager=True)
            table = pl.DataFrame({"number": numbers, "slide": "slide-" + (numbers // 2000).cast(pl.String)})
            table = table.select("slide", path=pl.format("/no/{}/cell-{}.jpg", "slide", "number"))
            table.write_parquet(f"{work}/m.parquet")
            plan = make_plan(PlanSettings(input=f"{work}/m.parquet", input_kind="cells"), f"{work}/out")
            with two_nodes() as nodes:
                run = timed(run_on(nodes, Path(work) / "out"))
            state = read_status(f"{work}/out").rounds[0]
            assert state.images_done == rows
            measured.append({"rows": rows, "shards": len(plan.shards), **run})
            print(measured[-1], flush=True)
    return measured


def draw_scans(folder: Path) -> None:
    folder.mkdir()
    for number in range(2):
        settings = DrawSlideSettings(width=8192, height=6144, um_per_px=0.4, variants=2, leukocytes=40, seed=number)
        draw_slide(settings, folder.parent / f"drawn{number}")
        next((folder.parent / f"drawn{number}").glob("*.tif*")).rename(folder / f"s{number}.tif")


def link_fields(folder: Path) -> None:
    """Three slides of eight photographs of Chulalongkorn."""
    pictures = sorted((Path(os.environ["LEUKOPY_DATA"]) / "fields" / "chula" / "valid").rglob("*.webp"))[:24]
    for number, picture in enumerate(pictures):
        path = folder / f"slide {number % 3}" / picture.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(picture)


def measure_parity() -> dict[str, Any]:
    """The merged tables of a plan on this machine, in three shares of a job array, and on Ray, sorted and compared."""
    makers: dict[str, Callable[[Path], None]] = {
        "cells": lambda folder: link_slides(folder, 3000, 6), "fields": link_fields, "slide": draw_scans,
    }  # fmt: skip
    measured = {}
    for kind, make in makers.items():
        with tempfile.TemporaryDirectory() as text:
            work, found = Path(text), {}
            make(work / "given")
            settings = PlanSettings(
                input=str(work / "given"), input_kind=kind, shard_images=500 if kind == "cells" else 1
            )
            for runner in ("local", "array", "ray"):
                plan = make_plan(settings, str(work / runner))
            run_plan(str(work / "local"), RunOptions(2))
            for share in (3, 1, 2):
                run_plan(str(work / "array"), RunOptions(1, part=(share, 3)))
            with two_nodes() as nodes:
                finish(run_on(nodes, work / "ray"))
            for runner in ("local", "array", "ray"):
                merge(str(work / runner), work / f"{runner}-merged")
                found[runner] = tables(work / f"{runner}-merged")
            assert found["local"] == found["array"] == found["ray"]
            counts = Counter({name.partition("/")[0].partition(".")[0]: 0 for name in found["local"]})
            for name, content in found["local"].items():
                counts[name.partition("/")[0].partition(".")[0]] += len(pl.read_csv(content, infer_schema=False))
            digest = hashlib.sha256(b"".join(content for _, content in sorted(found["local"].items()))).hexdigest()
            measured[kind] = {
                "shards": len(plan.shards), "rows": dict(counts), "bytes": sum(map(len, found["local"].values())),
                "sha256 on local, array and Ray": digest,
            }  # fmt: skip
            print(kind, measured[kind], flush=True)
    return measured


def main() -> None:
    what, *words = sys.argv[1:]
    if what == "plain":
        plain(words[0], json.loads(words[1]))
        return
    number = int(words[1]) if words else None
    seed = int(words[words.index("--seed") + 1]) if "--seed" in words else 11
    measured: Any = {
        "faults": lambda: measure_faults(number or 28, seed),
        "images": lambda: measure_images(number or 100_000),
        "driver": lambda: measure_driver([10_000, 100_000, number or 1_000_000]),
        "parity": measure_parity,
    }[what]()
    if what != "faults":  # they keep each round
        keep(f"ray-{what}", measured)


if __name__ == "__main__":
    main()
