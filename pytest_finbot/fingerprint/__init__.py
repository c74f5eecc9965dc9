"""Hashes of what a result depends on: configuration, data, code, environment; and what differs.

SHA-256 throughout. No wall clock, no randomness, nothing of the machine's paths.
"""

from pytest_finbot.fingerprint.canonical import canonical_json, sha256_of_json
from pytest_finbot.fingerprint.code import CodeClosure, code_closure, code_modules
from pytest_finbot.fingerprint.config import config_document, config_hash
from pytest_finbot.fingerprint.data import DIGEST_LENGTH, data_digest
from pytest_finbot.fingerprint.differences import differences, explain
from pytest_finbot.fingerprint.environment import environment
from pytest_finbot.fingerprint.imports import UNKNOWN

__all__ = [
    "CodeClosure",
    "DIGEST_LENGTH",
    "UNKNOWN",
    "canonical_json",
    "code_closure",
    "code_modules",
    "config_document",
    "config_hash",
    "data_digest",
    "differences",
    "environment",
    "explain",
    "sha256_of_json",
]
