"""A stand-in for the REST calls of Azure Data Factory, over TLS, that also copies rows.

It answers as the service documents: createRun, pipelineruns, queryActivityruns, cancel,
each under the factory's path and with the bearer's token. A run copies what it was told
through SQL, as the user's pipeline would, or fails, hangs and throttles as it is told.
"""

import json
import re
import ssl
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

PIPELINE = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/maps"
    "/providers/Microsoft.DataFactory/factories/plant/pipelines/promote"
)
FACTORY = PIPELINE.removesuffix("/pipelines/promote")
TOKEN = "token-of-the-test"


class Factory:
    """State of the stand-in, and what tests make it do."""

    def __init__(self, working: str, production: str) -> None:
        self.working, self.production = working, production
        self.runs: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, float]] = []
        self.faults: list[tuple[str, int, dict[str, str]]] = []
        """What is answered to the next calls of a kind, before any is served."""
        self.ending = "Succeeded"
        self.failure: dict[str, Any] = {}
        self.looks = 2
        """Calls for a run until it is over."""

    def count(self, kind: str) -> int:
        return sum(one == kind for one, _ in self.calls)

    def copy(self, tables: list[dict[str, Any]]) -> int:
        """What the Copy activity of the pipeline does for each table."""
        rows = 0
        with (
            psycopg.connect(self.working) as source,
            psycopg.connect(self.production) as target,
        ):
            for one in tables:
                found = source.execute(one["source_query"].encode()).fetchall()
                columns = sql.SQL(", ").join(map(sql.Identifier, one["columns"]))
                name = sql.Identifier(one["target_schema"], one["target_table"])
                values = sql.SQL(", ").join(sql.Placeholder() * len(one["columns"]))
                insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})")
                target.cursor().executemany(insert.format(name, columns, values), found)
                rows += len(found)
        return rows

    def answer(self, kind: str, run_id: str, body: Any) -> tuple[int, Any]:
        if kind == "createRun":
            new = str(uuid.uuid4())
            rows = self.copy(body["tables"]) if self.ending == "Succeeded" else 0
            self.runs[new] = {"looks": 0, "rows": rows, "cancelled": False}
            return 200, {"runId": new}
        run = self.runs[run_id]
        if kind == "cancel":
            run["cancelled"] = True
            return 200, None
        if kind == "queryActivityruns":
            return 200, {"value": [self.activity(run)]}
        run["looks"] += 1
        over = run["looks"] >= self.looks and self.ending != "hang"
        status = self.ending if over else "InProgress"
        message = self.failure.get("message", "")
        return 200, {"runId": run_id, "status": status, "message": message}

    def activity(self, run: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat()
        return {
            "activityName": "copy tables",
            "activityType": "Copy",
            "status": self.ending,
            "activityRunStart": now,
            "durationInMs": 1500,
            "output": {"rowsCopied": run["rows"]},
            "error": self.failure,
        }


KINDS = (
    ("POST", re.compile(re.escape(FACTORY) + r"/pipelines/(promote)/(createRun)$")),
    ("GET", re.compile(re.escape(FACTORY) + r"/pipelineruns/([^/]+)$")),
    ("POST", re.compile(re.escape(FACTORY) + r"/pipelineruns/([^/]+)/(\w+)$")),
)


class Server(ThreadingHTTPServer):
    """Serves a factory."""

    def __init__(self, factory: Factory) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.factory = factory


class Handler(BaseHTTPRequestHandler):
    """Takes the calls apart and answers them."""

    server: Server

    def serve(self) -> None:
        factory = self.server.factory
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or "null")
        path, _, query = self.path.partition("?")
        kind, run_id = kind_of(self.command, path)
        factory.calls.append((kind, datetime.now(UTC).timestamp()))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.reply(401, {"error": {"code": "AuthenticationFailed"}}, {})
        elif "api-version=2018-06-01" not in query:
            self.reply(400, {"error": {"code": "NoApiVersion"}}, {})
        elif factory.faults and factory.faults[0][0] == kind:
            _, status, headers = factory.faults.pop(0)
            error = {"error": {"code": str(status), "message": "as told"}}
            self.reply(status, error, headers)
        else:
            self.reply(*factory.answer(kind, run_id, body), {})

    def reply(self, status: int, body: Any, headers: dict[str, str]) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = serve  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def kind_of(method: str, path: str) -> tuple[str, str]:
    """What a call is, and of which run."""
    for expected, pattern in KINDS:
        found = pattern.match(path)
        if found and method == expected:
            run_id, *kind = found.groups()
            return (kind[0] if kind else "get"), run_id
    raise AssertionError(path)


@contextmanager
def serving(factory: Factory, folder: Path) -> Iterator[tuple[str, Path]]:
    """Where the stand-in answers, and the certificate it answers with."""
    certificate = write_certificate(folder)
    server = Server(factory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}", certificate
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_certificate(folder: Path) -> Path:
    """A key and a certificate of 127.0.0.1, signed by itself, in one file."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "stand-in.pem"
    path.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    return path
