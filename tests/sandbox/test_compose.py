"""The files for running it: checked here because nothing else reads them before a machine does (design 7)."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import rich_click as click
import yaml

from billing.cli import main
from billing.kernel.settings import PREFIX, Settings, Standing
from billing.worker import QUEUES

PROJECT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_the_processes_of_production_are_all_there() -> None:
    workers = {f"worker-{queue}" for queue in QUEUES}
    assert set(SERVICES) == {"web", "entitlements", *workers, "beat", "migrate", "postgres", "valkey", "mail"}
    assert [SERVICES[f"worker-{queue}"]["command"] for queue in QUEUES] == [
        ["worker", "--queue", queue] for queue in QUEUES
    ]


def test_the_desk_alone_is_told_no_secret_but_its_own() -> None:
    """Of what `.env` holds it is given what it needs by name, and all of that."""
    desk = SERVICES["entitlements"]
    given = {name.removeprefix(PREFIX).lower() for name, value in desk["environment"].items() if value}
    wanted = {field.name for field in msgspec.structs.fields(Standing) if field.required}
    assert desk["env_file"] == []
    assert wanted <= given <= {field.name for field in msgspec.structs.fields(Standing)}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_watched_and_locked_in(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert not str(service["user"]).startswith(("0", "root"))
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"]
    assert "privileged" not in service
    assert "latest" not in service["image"] or "build" in service


@pytest.mark.parametrize("name", sorted(name for name, service in SERVICES.items() if "build" in service))
def test_commands_are_those_of_the_operators_tool(name: str) -> None:
    program, *arguments = SERVICES[name]["command"]
    assert program in {"serve", "worker", "beat", "migrate"}
    command = main.commands[program]
    command.parse_args(click.Context(command), arguments)
    assert SERVICES[name]["healthcheck"]["test"][1] in {"billing", "python"}


def test_ports_are_open_on_this_machine_only() -> None:
    for service in SERVICES.values():
        assert all("127.0.0.1:" in port for port in service.get("ports", []))


def test_the_example_names_every_setting_and_nothing_else() -> None:
    text = (PROJECT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(rf"^({PREFIX}\w+)=", text, re.MULTILINE))
    assert named == {PREFIX + field.name.upper() for field in msgspec.structs.fields(Settings)}


def test_variables_of_the_compose_file_are_in_the_example() -> None:
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")))
    example = (PROJECT / ".env.example").read_text(encoding="utf-8")
    assert asked <= set(re.findall(r"^(\w+)=", example, re.MULTILINE))


def test_the_image_runs_as_nobody_in_particular_and_builds_nothing() -> None:
    last_stage = (PROJECT / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    assert "USER 10001" in last_stage
    assert "HEALTHCHECK" in last_stage
    assert "apt-get" not in last_stage
    assert "uv " not in last_stage


@pytest.mark.parametrize("name", ["runtime", "embedded", "dev", "tools", "bench"])
def test_locked_requirements_have_hashes_and_no_addresses(name: str) -> None:
    text = (PROJECT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    pinned = re.findall(r"^[a-z0-9_.\-\[\]]+==\S+.*(?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^\S+==", text, re.MULTILINE))
    assert not re.search(r"^--|://", text, re.MULTILINE)


def test_what_npm_installs_for_tests_is_locked_by_hashes_without_addresses() -> None:
    folder = PROJECT / "tests/journeys/openfeature"
    text = (folder / "package-lock.json").read_text(encoding="utf-8")
    root, *packages = json.loads(text)["packages"].values()
    assert root["dependencies"] == json.loads((folder / "package.json").read_text(encoding="utf-8"))["dependencies"]
    for version in (*root["dependencies"].values(), *(each["version"] for each in packages)):
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert all(re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", each["integrity"]) for each in packages)
    assert "://" not in text
    assert (folder / ".npmrc").read_text(encoding="utf-8") == "omit-lockfile-registry-resolved=true\n"


def test_smaller_sets_of_requirements_pin_what_larger_ones_pin() -> None:
    def pins(name: str) -> set[str]:
        text = (PROJECT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        return set(re.findall(r"^(\S+==\S+)", text, re.MULTILINE))

    assert pins("runtime") < pins("embedded") < pins("dev")


def test_make_help_lists_every_target() -> None:
    told = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert {"run", "test", "check", "bench", "help", "lock"} <= set(re.findall(r"make (\w+)", told))
