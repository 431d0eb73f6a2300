"""What a browser may load for a page of the site."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Sent with every answer of every server of the site. No page runs a script; Airflow shows the site
in a frame of its own origin."""
