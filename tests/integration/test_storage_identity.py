"""geo_resources.storage signed in as the process: DefaultAzureCredential, for real.

Azurite takes bearer tokens over https only, and looks at their claims, not at their
signature. The tokens come from a managed identity's local endpoint, which on a machine
in Azure is the same plain HTTP that answers here.
"""

import base64
import ipaddress
import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from geo_cli.cluster import free_port, port_is_free

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
AZURITE = ROOT / "node_modules/azurite/dist/src/blob/main.js"
HOUR = timedelta(hours=1)
IDENTITY_HEADER = "the-machine"
CHAIN = """
import sys
from pathlib import Path

import numpy as np
import rasterio

from geo_resources.storage import Storage

storage = Storage(url="az://devstoreaccount1", connection_string=sys.argv[1])
storage.ensure_containers(["bronze"])
profile = dict(driver="GTiff", width=8, height=8, count=1, dtype="uint8")
transform = rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)
with rasterio.open("a.tif", "w", **profile, transform=transform) as dataset:
    dataset.write(np.full((1, 8, 8), 7, "uint8"))
storage.upload("bronze", "d/a/b.tif", Path("a.tif"))
pages = list(storage.list_pages("bronze"))
fetched = storage.fetch("bronze", "d/a/b.tif", Path("."))
source = storage.gdal("bronze", "d/a/b.tif")
with rasterio.Env(**source.options), rasterio.open(source.path) as dataset:
    pixel = dataset.read(1)[0, 0]
print([blob.name for page in pages for blob in page], fetched.size_bytes > 0, pixel)
print(storage.delete_prefix("bronze", "d/a/"), abs(storage.clock_skew()) < 60)
"""


def encoded(part):
    data = json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token():
    now = int(time.time())
    claims = {
        "aud": "https://storage.azure.com",
        "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/",
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + 3600,
    }
    return f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{encoded(claims)}.c2ln"


class ManagedIdentity(BaseHTTPRequestHandler):
    """The local endpoint of a managed identity (App Service, version 2019-08-01)."""

    def do_GET(self):
        self.server.asked.append(parse_qs(urlsplit(self.path).query)["resource"][0])
        allowed = self.headers["X-IDENTITY-HEADER"] == IDENTITY_HEADER
        answer = {"access_token": token(), "token_type": "Bearer"} | {
            "expires_on": str(int(time.time()) + 3600),
            "resource": "https://storage.azure.com",
        }
        body = json.dumps(answer if allowed else {}).encode()
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def identity():
    server = ThreadingHTTPServer(("127.0.0.1", 0), ManagedIdentity)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def certificate(name, issuer, key, signer, *, is_authority):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    constraints = x509.BasicConstraints(ca=is_authority, path_length=None)
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - HOUR)
        .not_valid_after(now + HOUR)
        .add_extension(constraints, critical=True)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(signer, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


@pytest.fixture
def certificates(tmp_path):
    """Files of an authority, and of a server's certificate and key."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    own = certificate("ca", "ca", authority_key, authority_key, is_authority=True)
    server = certificate("azurite", "ca", key, authority_key, is_authority=False)
    paths = [tmp_path / name for name in ("ca.pem", "server.pem", "key.pem")]
    for path, data in zip(paths, (own, server, secret), strict=True):
        path.write_bytes(data)
    return paths


@pytest.fixture
def endpoint(certificates, tmp_path):
    """Azurite that takes nothing but tokens' kind of callers, over https."""
    _, server, key = certificates
    port = free_port()
    command = ["node", AZURITE, "--blobPort", str(port), "--inMemoryPersistence"]
    command += ["--disableTelemetry", "--skipApiVersionCheck", "--oauth", "basic"]
    command += ["--silent", "--cert", server, "--key", key]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while port_is_free(port):
            assert process.poll() is None, "Azurite does not start"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield f"https://127.0.0.1:{port}/devstoreaccount1"
    finally:
        process.kill()
        process.wait()


def test_the_identity_of_the_process_signs_all_requests(
    identity, endpoint, certificates, tmp_path
):
    authority = str(certificates[0])
    address = f"http://127.0.0.1:{identity.server_port}/msi/token"
    trusted = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GDAL_CURL_CA_BUNDLE")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AZURE")}
    environment |= dict.fromkeys(trusted, authority)
    environment |= {"IDENTITY_ENDPOINT": address, "IDENTITY_HEADER": IDENTITY_HEADER}
    done = subprocess.run(
        [sys.executable, "-c", CHAIN, f"BlobEndpoint={endpoint}"],
        env=environment | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["['d/a/b.tif'] True 7", "1 True"], done.stderr
    assert set(identity.asked) == {"https://storage.azure.com"}
