"""The container, as far as a machine without an engine can go: each step is run, in namespaces of its own.

The environment is built by the commands of `Containerfile`; its start command, its health check and `leukopy analyze`
run as its user without any capability, in a root file system mounted read-only, with a network of their own. The base
image, its Debian packages and the compose file are read only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from leukopy.review.settings import ReviewSettings
from leukopy.workflows.draw import DrawSettings, draw
from support.commands import parse
from support.files import REPOSITORY
from support.waiting import HANGS, until

CONTAINER = (REPOSITORY / "Containerfile").read_text("utf-8")
INSTRUCTIONS = re.findall(r"^([A-Z]+) (.+)$", re.sub(r"\\\n\s*", "", CONTAINER), re.M)
COMPOSE = yaml.safe_load((REPOSITORY / "deploy" / "compose.yaml").read_text("utf-8"))
EXTRAS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]


def values(instruction: str) -> list[str]:
    return [value for name, value in INSTRUCTIONS if name == instruction]


ENTRY, COMMAND = json.loads(values("ENTRYPOINT")[0]), json.loads(values("CMD")[0])
HEALTH = json.loads(values("HEALTHCHECK")[0].partition("CMD ")[2])
USER = int(values("USER")[-1])
READ_ONLY = "ip link set lo up && mount -o remount,ro,bind /"


def test_the_container_installs_extras_that_exist_and_starts_a_command_that_exists() -> None:
    (extras,) = re.findall(r"'\.\[([a-z,]+)\]'", CONTAINER)
    assert "app" in extras.split(",")
    assert set(extras.split(",")) <= set(EXTRAS)
    assert parse(" ".join([*ENTRY, *COMMAND])) == "leukopy review"
    for sources in (value for value in values("COPY") if "--from" not in value):
        assert all((REPOSITORY / each).exists() for each in sources.split()[:-1])


def test_the_container_is_no_root_and_writes_to_its_data_alone() -> None:
    assert USER > 0
    assert values("VOLUME") == ["/data"]
    assert "LEUKOPY_REVIEW=/data" in CONTAINER


def test_images_are_pinned_to_a_patch_version() -> None:
    images = [value.split()[0] for value in values("FROM")]
    images += [service["image"] for service in COMPOSE["services"].values() if "build" not in service]
    assert len(set(images)) == 3
    assert [image for image in images if not re.search(r":\d+\.\d+(\.\d+)?-\w+", image)] == []


def test_only_the_proxy_is_reached_and_nothing_writes_to_its_root() -> None:
    services = COMPOSE["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or source.startswith("./"), volume
    assert services["station"]["cap_drop"] == ["ALL"]


def test_the_station_of_the_compose_file_trusts_its_network_and_finds_its_database() -> None:
    settings = yaml.safe_load((REPOSITORY / "deploy" / "station.yaml").read_text("utf-8"))
    station = ReviewSettings.build(settings, where="deploy/station.yaml")
    (subnet,) = COMPOSE["networks"]["inside"]["ipam"]["config"]
    assert station.trusted_proxies == (subnet["subnet"],)
    assert (station.serve, station.https, str(station.folder)) == (True, True, values("VOLUME")[0])
    assert station.database == "postgresql+psycopg://leukopy@database/leukopy"
    assert parse(" ".join([*ENTRY, *COMPOSE["services"]["station"]["command"]])) == "leukopy review"
    proxy = (REPOSITORY / "deploy" / "nginx.conf").read_text("utf-8")
    assert f"proxy_pass http://station:{station.port};" in proxy


def no_sandbox() -> str | None:
    """Why this machine cannot do what an engine does; None: it can."""
    if os.geteuid() != 0:
        return "namespaces of mounts and networks need root"
    script = f'{READ_ONLY}\nexec {" ".join(as_user())} -- "$@"'
    tried = ["unshare", "--mount", "--net", "bash", "-c", script, "bash", sys.executable, "-c", "pass"]
    done = subprocess.run(tried, capture_output=True, text=True, check=False)
    return f"no sandbox here: {done.stderr.strip()}" if done.returncode else None


def as_user() -> list[str]:
    """A prefix of a command that runs it as the container's user, without any right."""
    identity = [f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    return ["setpriv", *identity, "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


@pytest.fixture(scope="module")
def built() -> Iterator[Path]:
    """The environment, built by the commands of the first stage in a copy of what `.dockerignore` lets in.

    Outside ``/tmp``, which the container has for itself.
    """
    if (why := no_sandbox()) is not None:
        pytest.skip(why)
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="leukopy_container_") as name:
        folder = Path(name)
        folder.chmod(0o755)
        source, prefix = folder / "source", folder / "prefix"
        shutil.copytree(REPOSITORY / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
            shutil.copyfile(REPOSITORY / file, source / file)
        command = values("RUN")[0].replace("/opt/leukopy", str(prefix)).replace("python ", f"{sys.executable} ", 1)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        (pinned,) = (value for value in values("ENV") if "PIP_CONSTRAINT" in value)
        clean |= dict(one.split("=") for one in pinned.replace("/source", str(source)).split())
        done = subprocess.run(command, shell=True, cwd=source, env=clean, capture_output=True, text=True, check=False)
        if "No matching distribution" in done.stderr:
            pytest.skip("no package index can be reached: the environment is not built")
        assert done.returncode == 0, done.stdout + done.stderr
        yield prefix


class Sandbox:
    """What an engine does to start a container: namespaces, a read-only root, its own /tmp, a user without rights."""

    def __init__(self, prefix: Path, data: Path) -> None:
        data.mkdir()
        os.chown(data, USER, USER)
        self.data = data
        (declared,) = (value for value in values("ENV") if "LEUKOPY_REVIEW" in value)
        named = dict(one.split("=") for one in declared.replace("/data", str(data)).split())
        self.environment = named | {"PATH": f"{prefix}/bin:/usr/bin:/bin"}

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        """Start a command; the sandbox stands once this returns.

        Another process in these namespaces that read a file meanwhile would make the root busy, and it stay writable.
        """
        stands, ends = os.pipe()
        script = f"""
            set -e
            mount --bind {self.data} {self.data}
            {READ_ONLY}
            mount -t tmpfs -o mode=1777 tmpfs /tmp
            cd {self.data}
            exec {" ".join(as_user())} -- "$@" {ends}>&-
        """
        running = subprocess.Popen(
            ["unshare", "--mount", "--net", "bash", "-c", script, "bash", *command],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, pass_fds=[ends],
        )  # fmt: skip
        os.close(ends)
        os.read(stands, 1)  # until the other end is closed: nothing is written
        os.close(stands)
        return running

    def run(self, command: list[str]) -> tuple[int, str]:
        with self.start(command) as running:
            said = running.communicate(timeout=HANGS)[0]
        return running.returncode, said

    def inside(self, running: subprocess.Popen[str], command: list[str]) -> tuple[int, str]:
        """Another process in the namespaces of one that runs, as an engine starts a health check."""
        enter = ["nsenter", "--target", str(running.pid), "--mount", "--net", *as_user(), "--", *command]
        done = subprocess.run(enter, env=self.environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def sandbox(built: Path) -> Iterator[Sandbox]:
    data = built.parent / "data"
    yield Sandbox(built, data)
    shutil.rmtree(data)


@pytest.mark.slow
def test_the_root_is_read_only_and_the_user_has_no_rights(sandbox: Sandbox, built: Path) -> None:
    code, said = sandbox.run(
        ["bash", "-c", f"touch data /tmp/t && cat /proc/self/status && ! touch {built}/x /x /var/tmp/x"]
    )
    assert code == 0, said
    assert said.count("Read-only file system") == 3
    assert re.search(r"^CapBnd:\s+0+$", said, re.M)
    assert re.search(rf"^Uid:\s+{USER}\s", said, re.M)


@pytest.mark.slow
def test_the_station_starts_is_healthy_and_is_not_once_it_ends(sandbox: Sandbox) -> None:
    with sandbox.start([*ENTRY, *COMMAND]) as running:
        try:
            until(lambda: running.poll() is not None or sandbox.inside(running, HEALTH)[0] == 0)
            assert running.poll() is None, running.communicate()
            assert (sandbox.data / "audit.key").stat().st_uid == USER
        finally:
            running.terminate()
        said = running.communicate(timeout=HANGS)[0]
    assert "The review station is at" in said
    assert sandbox.run(HEALTH)[0] != 0


@pytest.mark.slow
def test_a_slide_is_analysed(sandbox: Sandbox, built: Path) -> None:
    slide = draw(DrawSettings(cells=24, size=96), built.parent / "drawn").cells
    code, said = sandbox.run([*ENTRY, "analyze", str(slide), "--out", str(sandbox.data / "results")])
    assert code == 0, said
    assert (sandbox.data / "results" / "report.html").stat().st_uid == USER
