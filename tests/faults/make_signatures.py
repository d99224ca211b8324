# SPDX-License-Identifier: GPL-2.0-only
"""Signs crc7.ko's body with throwaway keys: ``python -m tests.faults.make_signatures``. Needs openssl.

Made once; the results are inputs of the recorded cases. Nobody keeps the keys: what matters is that the
kernel has no certificate for them.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from .signatures import INPUTS, body

# file: options of "openssl req" for the key, and the digest of the signature
WANTED = {"own_key.p7s": (["rsa:2048"], "sha256"), "unsupported_digest.p7s": (["rsa:2048"], "sha3-256")}


def sign(data: bytes, key: list[str], digest: str) -> bytes:
    """A detached PKCS#7 signature as scripts/sign-file makes it: no certificates, no attributes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").write_bytes(data)
        run = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            *key,
            "-nodes",
            "-subj",
            "/CN=A key the kernel does not know",
            "-days",
            "36500",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
        ]
        subprocess.run(run, cwd=folder, check=True, capture_output=True)
        run = [
            "openssl",
            "cms",
            "-sign",
            "-binary",
            "-noattr",
            "-nocerts",
            "-nosmimecap",
            "-md",
            digest,
            "-signer",
            "cert.pem",
            "-inkey",
            "key.pem",
            "-in",
            "data",
            "-outform",
            "DER",
            "-out",
            "signature",
        ]
        subprocess.run(run, cwd=folder, check=True, capture_output=True)
        return (folder / "signature").read_bytes()


def main() -> None:
    for name, (key, digest) in WANTED.items():
        (INPUTS / name).write_bytes(sign(body(), key, digest))


if __name__ == "__main__":
    main()
