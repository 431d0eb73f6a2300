"""A small model file and its signature, for the examples about signatures.

Signed with model-signing 1.1.1 (``model_signing sign elliptic-key``) under a key that was thrown
away. The other key signed nothing.
"""

from __future__ import annotations

import json

SIGNED_FILE = b"intercept=0.5\nvisits=0.25\n"

PUBLIC_KEY = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEvLy2ZZmCxp5T12lHFICSvMpnRkdZ
C/Lzrx/1ZbbbWi680beCyngDMouXrAkn1pZdhBgqmMH62AJoUMozgyM27g==
-----END PUBLIC KEY-----
"""

OTHER_KEY = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAECa59eFA76NC2Evz2r15kXQ6qa75e
cn2ushr2ujGJUHv2W+Eo2HMo0824hyeXmFSmXc5gMq/J+UzE7wYQWBtOvw==
-----END PUBLIC KEY-----
"""

_PAYLOAD = (
    "ewogICJfdHlwZSI6ICJodHRwczovL2luLXRvdG8uaW8vU3RhdGVtZW50L3YxIiwKICAic3ViamVjdCI6IFsKICAg"
    "IHsKICAgICAgIm5hbWUiOiAibW9kZWwudHh0IiwKICAgICAgImRpZ2VzdCI6IHsKICAgICAgICAic2hhMjU2Ijog"
    "IjQwYzM4NTYzNzA0ZGE2MmJmZjc2YWYwNDJkYzEyZWVjNjcxMWFiZGE2MjAwZDg3NzY3MDA1NTIzMGNhNDExZjIi"
    "CiAgICAgIH0KICAgIH0KICBdLAogICJwcmVkaWNhdGVUeXBlIjogImh0dHBzOi8vbW9kZWxfc2lnbmluZy9zaWdu"
    "YXR1cmUvdjEuMCIsCiAgInByZWRpY2F0ZSI6IHsKICAgICJzZXJpYWxpemF0aW9uIjogewogICAgICAiaWdub3Jl"
    "X3BhdGhzIjogWwogICAgICAgICIuZ2l0IiwKICAgICAgICAiLmdpdGh1YiIsCiAgICAgICAgIi5naXRhdHRyaWJ1"
    "dGVzIiwKICAgICAgICAiLmdpdGlnbm9yZSIKICAgICAgXSwKICAgICAgIm1ldGhvZCI6ICJmaWxlcyIsCiAgICAg"
    "ICJoYXNoX3R5cGUiOiAic2hhMjU2IiwKICAgICAgImFsbG93X3N5bWxpbmtzIjogZmFsc2UKICAgIH0sCiAgICAi"
    "cmVzb3VyY2VzIjogWwogICAgICB7CiAgICAgICAgImFsZ29yaXRobSI6ICJzaGEyNTYiLAogICAgICAgICJuYW1l"
    "IjogIi4iLAogICAgICAgICJkaWdlc3QiOiAiY2YwOTM3NjUwMDI4YTU3OTU4MmFkN2NiY2YzMDYxZjc4OGI0ZWIw"
    "ZmM5YWExNTkyZmY5MTFhZjU4YWUzY2NlMSIKICAgICAgfQogICAgXQogIH0KfQ=="
)
_SIGNATURE = (
    "MEUCIQD3E/rcJ17FMoIUZTVcI9Cvuw8KOJtOxdSwWDaLj6zXQAIgC+ub60zlHtQro4jhr5CfnIToD7Ez7BXoYmYm"
    "nm4ia+o="
)

BUNDLE = json.dumps(
    {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "publicKey": {
                "hint": "273fabbb107e1b0e7f8b3984964d0d1e27d1cddc8c6fd139f4cb1c65f8ecae59"
            },
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": _PAYLOAD,
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": _SIGNATURE, "keyid": ""}],
        },
    }
).encode()
