"""The daily digest of a role: what is new, what is still open, what is gone; as it is sent."""

from __future__ import annotations

from collections.abc import Mapping

from nachweis.domain.errors import NachweisError, suggestion
from nachweis.domain.manifest import Activity, DataSet, Model, World
from nachweis.pipeline.summary import digest_text
from nachweis.settings import Settings


def owned_by_role(world: World) -> dict[str, set[str]]:
    """Role to the models, data sets and activities that it owns, as ``kind/id``."""
    owned: dict[str, set[str]] = {}
    kinds: Mapping[str, Mapping[str, Model | DataSet | Activity]] = {
        "model": world.models,
        "data_set": world.data_sets,
        "activity": world.activities,
    }
    for kind, manifests in kinds.items():
        for key, manifest in manifests.items():
            if manifest.owner:
                owned.setdefault(manifest.owner, set()).add(f"{kind}/{key}")
    return owned


def daily_digest(settings: Settings, night: str | None, role: str | None) -> tuple[str, str]:
    """What the nightly message says, for any signed night, whether or not it was sent.

    Args:
        settings: Resolved settings.
        night: ``YYYY-MM-DD``; default is the newest signed night.
        role: Only what this role owns; None is the whole night.

    Returns:
        Subject and body.

    Raises:
        NachweisError: If the night was not signed, or there is no such role.
    """
    from nachweis.pipeline.archive import night_of, open_archive
    from nachweis.pipeline.context import open_context
    from nachweis.pipeline.publish import summarise

    archive = open_archive(settings)
    signed = night_of(archive, night)
    context = open_context(signed.night, settings)
    world, policy = context.loaded.world, context.loaded.world.policy
    roles = [item.id for item in world.organisation.roles]
    if role is not None and role not in roles:
        raise NachweisError(
            f"there is no role {role!r}",
            where="organisation.yaml",
            valid=roles,
            remedy=suggestion(role, roles),
        )
    about = None if role is None else owned_by_role(world).get(role, set())
    link = settings.site_url or policy.site_url
    return digest_text(summarise(context, archive, signed), policy.notification, link, about)
