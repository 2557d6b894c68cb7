"What cannot run here is checked by lint: workflows, the form for bug reports, scripts, commands that pages name."
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from camredact.app.cli import main

ROOT = Path(__file__).parents[2]
GITHUB = ROOT/".github"
WORKFLOWS = {p.stem: p for p in sorted((GITHUB/"workflows").glob("*.yml"))}
SCHEMAS = {
    **{path: "vendor.github-workflows" for path in WORKFLOWS.values()},
    GITHUB/"ISSUE_TEMPLATE"/"bug.yml": "vendor.github-issue-forms",
    GITHUB/"ISSUE_TEMPLATE"/"config.yml": "vendor.github-issue-config"}


def tool(*words: str | Path) -> str:
    "What a program of this environment prints; it must end well."
    program = Path(sys.executable).parent/words[0]
    if not program.exists():
        if os.environ.get("CI") == "true": pytest.fail(f"{words[0]} is missing: make env")
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run([program, *map(str, words[1:])], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def jobs(name: str) -> dict[str, Any]:
    "The jobs of a workflow."
    return yaml.safe_load(WORKFLOWS[name].read_text(encoding="utf-8"))["jobs"]


def commands(name: str) -> list[str]:
    "What the steps of a workflow run."
    return [step["run"] for job in jobs(name).values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda p: p.name)
def test_form_of_the_file_is_right(path: Path) -> None:
    assert "ok" in tool("check-jsonschema", "--builtin-schema", SCHEMAS[path], path)


def test_every_job_has_a_time_limit() -> None:
    tool("check-jsonschema", "--builtin-schema", "custom.github-workflows-require-timeout", *WORKFLOWS.values())


def test_workflows_give_nothing_away() -> None:
    "No secret reaches a step that does not need it, nothing is injected, and foreign actions are pinned."
    assert "No findings" in tool("zizmor", "--offline", "--no-progress", GITHUB)


def test_scripts_pass_shellcheck() -> None:
    tool("shellcheck", *sorted((ROOT/".ci").iterdir()))


TARGETS = set(re.findall(r"^([a-z_]+):", (ROOT/"Makefile").read_text(encoding="utf-8"), re.M))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_commands_are_there(name: str) -> None:
    for command in commands(name):
        program, *words = command.split()
        if program == "make": assert words[0] in TARGETS, command
        else: assert os.access(ROOT/program, os.X_OK), command


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_pages_name_commands_that_are_there(name: str, capsys: pytest.CaptureFixture) -> None:
    "At the beginning of a line of code, or of a piece of it."
    page = (ROOT/name).read_text(encoding="utf-8")
    assert {"test", *re.findall(r"(?:^ *|`)make ([a-z_]+)", page, re.M)} <= TARGETS
    for command in set(re.findall(r"(?:^ *|`)(?:\.venv/bin/)?camredact ([a-z]+)", page, re.M)):
        with suppress(SystemExit): main([command, "--help"])
        assert f"usage: camredact {command}" in capsys.readouterr().out


def test_a_push_is_tested_as_on_any_machine() -> None:
    assert {"make quick", ".ci/run"} <= set(commands("test"))


def test_release_needs_no_password() -> None:
    "PyPI trusts the workflow: only the job that publishes may ask for an identity, and it runs no code of ours."
    found = jobs("release")
    assert found["publish"]["permissions"] == {"id-token": "write"} and "permissions" not in found["build"]
    assert not any("run" in step for step in found["publish"]["steps"])
    assert "secrets." not in WORKFLOWS["release"].read_text(encoding="utf-8")


def test_release_of_another_version_is_refused() -> None:
    done = subprocess.run(["bash", ROOT/".ci"/"release", "9.9.9"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "settings.ini says" in done.stderr and "\n" not in done.stderr.strip()
