"""How one gets into the fake cluster: its certificate, and both ways to carry a token."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
from pathlib import Path


def make_certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 that is its own authority; give the file, whose key is key.pem beside it."""
    certificate = folder / "ca.crt"
    made = f"-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {folder / 'key.pem'} -out {certificate}"
    said = "-days 2 -subj /CN=fake -addext subjectAltName=IP:127.0.0.1 -addext keyUsage=digitalSignature,keyCertSign"
    subprocess.run(["openssl", "req", "-x509", *made.split(), *said.split()], check=True, capture_output=True)
    return certificate


def server_side(certificate: Path) -> ssl.SSLContext:
    """Give what a server needs to speak TLS with it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.parent / "key.pem")
    return context


def write_kubeconfig(path: Path, url: str, certificate: Path, *, namespace: str, token_file: Path) -> Path:
    """Write a kubeconfig, in JSON, which is YAML too."""
    cluster = {"server": url, "certificate-authority-data": base64.b64encode(certificate.read_bytes()).decode()}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": cluster}],
        "users": [{"name": "gateway", "user": {"tokenFile": str(token_file)}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "gateway", "namespace": namespace}}],
        "current-context": "fake",
    }
    path.write_text(json.dumps(config))
    return path


def write_account(folder: Path, certificate: Path, *, namespace: str, token: str) -> Path:
    """Write the folder that every pod finds its credentials in."""
    folder.mkdir(exist_ok=True)
    (folder / "ca.crt").write_bytes(certificate.read_bytes())
    (folder / "namespace").write_text(namespace)
    (folder / "token").write_text(token)
    return folder
