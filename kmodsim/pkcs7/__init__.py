# SPDX-License-Identifier: GPL-2.0-only
"""Signatures of modules: the PKCS#7 message, the certificates, the verdict (``crypto/asymmetric_keys/``)."""

from kmodsim.pkcs7.verify import Verdict, verify_pkcs7

__all__ = ["Verdict", "verify_pkcs7"]
