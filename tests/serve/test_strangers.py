"""What the owner of a service notices while a stranger does its worst: nothing. The limits are the real ones.

Every stranger is on this machine, at 127.0.0.2 where it may be another address than the owner's.
"""
import asyncio
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from urllib.error import HTTPError

import pytest
from kit.server import Running, alone, ask, form, request, street

from camredact.app.cli import main
from camredact.serve.guard import LIMITS, RateLimiter, address_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has 127.0.0.2 without asking for it")

TOKEN = "an-owner-s-token-of-1"
ENDLESS = b"POST /redact?categories=Car HTTP/1.1\r\nHost: 127.0.0.1\r\n" \
    b"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 1000000\r\n\r\n--B"


def get(path: str, *headers: str) -> bytes:
    "A request as bytes."
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


PICTURE = get("/icon.svg", "Connection: close", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: image")
HANDSHAKE = get("/live", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Origin: https://example.org")
STRANGERS = {  # what each says, on how many connections at once, from where
    "bodies without an end": (ENDLESS, 130, "127.0.0.2"),
    "silence": (b"", 450, "127.0.0.2"),
    "pictures of a foreign page": (PICTURE, 12, "127.0.0.1"),
    "no token": (get("/categories", "Connection: close"), 12, "127.0.0.1"),
    "refused handshakes": (HANDSHAKE, 4, "127.0.0.2"),
    "bytes that are not HTTP": (b"\0\1\2", 4, "127.0.0.2"),
    "another upgrade": (get("/", "Connection: Upgrade, close", "Upgrade: h2c"), 4, "127.0.0.2")}


async def say(port: int, what: bytes, source: str) -> None:
    "Say it again and again, and listen until the other side closes."
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            try:
                writer.write(what)
                await reader.read()
            finally: writer.close()
        except OSError: pass
        await asyncio.sleep(.05 if what else .5)


def heard(server: Running, tls: bool) -> list[int]:
    "The statuses of twenty requests of the owner, a moment apart; 0 where the connection is cut."
    said = []
    page = urllib.request.Request(f"http{'s'*tls}://127.0.0.1:{server.port}/categories",
        headers={"Authorization": f"Bearer {TOKEN}"})
    context = ssl._create_unverified_context()
    for _ in range(20):
        try: said.append(urllib.request.urlopen(page, timeout=5, context=context).status)
        except HTTPError as e: said.append(e.code)
        except OSError: said.append(0)
        time.sleep(.1)
    return said


async def beside(server: Running, stranger: tuple[bytes, int, str], tls: bool = False) -> list[int]:
    "What the owner hears beside a stranger."
    what, many, source = stranger
    tasks = [asyncio.create_task(say(server.port, what, source)) for _ in range(many)]
    await asyncio.sleep(1.2)
    said = await asyncio.to_thread(heard, server, tls)
    for task in tasks: task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return said


@contextmanager
def answered(server: Running, tls: bool = False) -> Iterator[list[int]]:
    "A list for what the owner hears; at the end 19 of 20 are answers, and the log has not grown."
    before, said = server.said().count("\n"), []
    yield said
    assert said.count(200) >= 19, said
    assert server.said().count("\n") - before <= 5, server.said()[-2000:]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with Running(token=TOKEN) as server: yield server


@pytest.mark.parametrize("stranger", STRANGERS)
def test_owner_is_answered_beside_a_stranger(server: Running, stranger: str) -> None:
    with answered(server) as said: said += alone(beside(server, STRANGERS[stranger]))


def test_owner_who_asks_for_no_token_is_answered_beside_a_foreign_page() -> None:
    with Running() as server, answered(server) as said:
        said += alone(beside(server, STRANGERS["pictures of a foreign page"]))


def certificate(folder: Path) -> tuple[str, str]:
    "The files of a certificate and its key."
    if not which("openssl"): pytest.skip("no openssl to make a certificate with")
    cert, key = str(folder/"cert.pem"), str(folder/"key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-out", cert,
        "-keyout", key], check=True, capture_output=True)
    return cert, key


def test_owner_is_answered_beside_silence_before_the_handshake(tmp_path: Path) -> None:
    with Running(token=TOKEN, tls=certificate(tmp_path)) as server, answered(server, tls=True) as said:
        said += alone(beside(server, STRANGERS["silence"], tls=True))


def test_silence_before_the_handshake_has_an_end(tmp_path: Path) -> None:
    async def run(server: Running) -> float:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try: await asyncio.wait_for(reader.read(), 20)
        except (ConnectionError, TimeoutError): pass
        finally: writer.close()
        return time.monotonic() - began
    with Running(limits="head_s=1", tls=certificate(tmp_path)) as server: assert .5 < alone(run(server)) < 10


FEW = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\nfrom kit.fakes import Even"


def test_few_descriptors_neither_fill_the_log_nor_keep_the_owner_out() -> None:
    with Running(token=TOKEN, setup=FEW, limits="connections_each=40") as server, answered(server) as said:
        said += alone(beside(server, (b"", 200, "127.0.0.2")))


def test_refusals_are_counted_for_the_owner_alone(server: Running) -> None:
    hello = get("/ready", f"Authorization: Bearer {TOKEN}")
    assert b'"refused":{' in alone(ask(server.port, hello))[2]
    assert alone(ask(server.port, get("/ready")))[2] == b'{"status":"ready"}'


def test_network_of_ipv6_counts_as_one_address() -> None:
    def let_in(addresses: list[str]) -> int:
        rates = RateLimiter(LIMITS.rate, LIMITS.burst, lambda: 0.)
        took = [rates.take(address_of({"client": (a, 1)}), LIMITS.patience) for a in addresses]
        return sum(wait <= LIMITS.patience for wait in took)
    assert let_in([f"2001:db8::{n:x}" for n in range(2000)]) == let_in(["10.0.0.1"]*2000) < 100
    assert let_in([f"2001:db8:0:{n:x}::1" for n in range(2000)]) == 2000


def test_pictures_that_time_out_keep_their_workers_and_the_next_is_told_at_once() -> None:
    slow = request("/redact?categories=5", *form(street(60, 80)))
    broken = request("/redact?categories=5", *form(b"not a picture"))
    async def words(port: int) -> tuple[list[int], str]:
        while (await ask(port, get("/ready")))[0] != 200: await asyncio.sleep(.1)
        late = [said[0] for said in await asyncio.gather(ask(port, slow), ask(port, slow))]
        return late, (await ask(port, slow))[2].decode()
    async def free(port: int) -> int:
        while (status := (await ask(port, broken))[0]) == 503: await asyncio.sleep(.1)
        return status
    with Running("lambda name: Stripes(delay=3)", "['stripes']", "request_s=.4",
        "from kit.fakes import Stripes") as server:
        late, why = alone(asyncio.wait_for(words(server.port), 30))
        assert late == [503, 503] and "all workers are busy" in why
        assert alone(asyncio.wait_for(free(server.port), 20)) == 422


def test_headers_of_a_part_are_bounded(server: Running) -> None:
    head = b'--B\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n'
    body = head + b"".join(b"x-%d: a\r\n" % n for n in range(900_000))[:11 << 20]
    said = request("/redact?categories=Car", body, "multipart/form-data; boundary=B")
    said = said.replace(b"\r\n\r\n", f"\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode(), 1)
    began = time.monotonic()
    assert alone(ask(server.port, said))[0] == 400 and time.monotonic() - began < 5


@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "::/0"])
def test_proxy_that_is_everybody_is_refused_in_words(everybody: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("camredact.serve.server.serve", lambda *_: pytest.fail("it serves"))
    assert main(["serve", "--port", "0", "--proxy", everybody]) == 2
    assert "name the proxy's own address" in capsys.readouterr().err
