"What can be said of the Dockerfile without Docker."
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from kit.server import alone, ask, form, request, street

ROOT = Path(__file__).parents[2]
WORDS = ("FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD", "LABEL",
    "STOPSIGNAL", "VOLUME")


def instructions(text: str) -> list[tuple[str, str]]:
    "A Dockerfile's instructions, continued lines in one."
    text = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text))
    return [(word.upper(), rest.strip()) for word, _,
        rest in (line.partition(" ") for line in text.splitlines() if line.strip())]


def lint(text: str) -> list[str]:
    "What is wrong with a Dockerfile, as far as that can be said without Docker."
    found, stages, bad = instructions(text), [], []
    if not found or found[0][0] != "FROM": bad.append("the first instruction is FROM")
    for word, rest in found:
        if word not in WORDS or not rest: bad.append(f"{word} is no instruction, or says nothing")
        if word == "FROM": stages += rest.split()[2:]
        source = re.match(r"--from=(\S+)", rest)
        if source and source[1] not in stages: bad.append(f"there is no stage {source[1]}")
        if word == "COPY" and not source:
            bad += [f"there is no {name}" for name in rest.split()[:-1] if not (ROOT / name).exists()]
        if (command := re.sub(r"^.*?CMD ", "", rest) if word == "HEALTHCHECK" else rest if word in ("CMD", "ENTRYPOINT")
            else "[]"):
            try: json.loads(command)
            except ValueError: bad.append(f"{word} goes through a shell, or is no JSON")
        if word == "RUN" and subprocess.run(["sh", "-n", "-c", rest], capture_output=True).returncode:
            bad.append(f"no shell understands {rest[:40]}")
    return bad


def needed() -> list[str]:
    "What the Dockerfile installs: requirements, as the lines of its lock begin."
    lock = re.search(r"--require-hashes -r (\S+)", (ROOT/"Dockerfile").read_text())[1]
    lines = (ROOT/lock).read_text().splitlines()
    return [re.sub(r"==[^ ]+| *\\$", "", line) for line in lines if line[:1].isalnum()]


ISOLATED = """import sys
sys.path.insert(0, sys.argv.pop(1))
from camredact.app.cli import main
sys.exit(main(['serve', '--port', '0']))"""


def picture_from(folder: Path) -> float:
    "Seconds until the service has redacted a picture with what a folder holds alone; raises RuntimeError."
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log, subprocess.Popen([sys.executable, "-I", "-S", "-u", "-c", ISOLATED,
        str(folder)], stdout=subprocess.PIPE, stderr=log, cwd=folder) as process:
        try:
            url = next((said for line in process.stdout if (said := re.search(rb"http://\S+?(?=/\s)", line))), None)
            while url and time.perf_counter() - began < 60:
                try: urlopen(url[0].decode() + "/ready", timeout=20).close()
                except (HTTPError, URLError): time.sleep(.1)
                else: break
            status = url and alone(ask(int(url[0].rpartition(b":")[2]),
                request("/redact?categories=5", *form(street(60, 80)))))[0]
            if status == 200: return round(time.perf_counter() - began, 2)
            log.seek(0)
            raise RuntimeError(f"it gives no picture ({status}):\n{log.read().decode(errors='replace')[-2000:]}")
        finally: process.terminate()
