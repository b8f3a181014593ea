"""Certificates: TLS between gateway and worker on TCP, for either side."""

from __future__ import annotations

import ssl

from scribewire.errors import BadSettings


def serving(certificate: str, key: str) -> ssl.SSLContext | None:
    """Give what a worker listens with; None without a certificate. Both are PEM files.

    Raises BadSettings when they cannot be read or do not belong together.
    """
    if not certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(certificate, key or None)
    except (OSError, ssl.SSLError) as error:
        raise BadSettings(f"worker.certificate {certificate} cannot be used: {_reason(error)}.") from error
    return context


def trusting(authority: str) -> ssl.SSLContext | None:
    """Give what a gateway calls its workers with; None without an authority, a PEM file.

    A worker is known by its certificate alone, whatever its address, which changes with each pod. Raises BadSettings
    when the file cannot be read.
    """
    if not authority:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    try:
        context.load_verify_locations(authority)
    except (OSError, ssl.SSLError) as error:
        raise BadSettings(f"worker.authority {authority} cannot be used: {_reason(error)}.") from error
    return context


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not valid").lower().replace("_", " ")
    return (error.strerror or "not readable").lower()
