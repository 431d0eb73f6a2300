"""The keys in force at each point of the ledger, as its own key entries say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nachweis.domain.errors import IntegrityError, SettingsError
from nachweis.storage.entries import EntryKind, KeyPredicate, LedgerEntry, read_payload
from nachweis.storage.signing import Opened, load_public_key, open_signed, verify_envelope

if TYPE_CHECKING:
    from securesystemslib.signer import Key


class Keyring:
    """Follows the key entries of a ledger and verifies each entry with the keys then in force.

    Attributes:
        active: Keys in force after the entries admitted so far, by fingerprint.
        known: All keys ever announced, by fingerprint.
        revoked: Fingerprint to the first sequence number that is not to be trusted.
    """

    def __init__(self) -> None:
        self.active: dict[str, Key] = {}
        self.known: dict[str, Key] = {}
        self.revoked: dict[str, int] = {}

    def admit(self, envelope: bytes) -> tuple[LedgerEntry, frozenset[str]]:
        """Verify an entry's signatures and take note of what it says about keys.

        Args:
            envelope: The entry's envelope; entries come in order.

        Returns:
            The entry and the fingerprints of the keys that signed it.

        Raises:
            IntegrityError: If no key in force signed it, or a key entry lacks authority.
        """
        opened = open_signed(envelope)
        entry = read_payload(opened.payload, opened.document)
        return entry, self.take(opened, entry)

    def take(self, opened: Opened, entry: LedgerEntry) -> frozenset[str]:
        """Admit an entry whose envelope was opened already.

        Args:
            opened: The envelope.
            entry: The entry in it.

        Returns:
            The fingerprints of the keys that signed it.

        Raises:
            IntegrityError: If no key in force signed it, or a key entry lacks authority.
        """
        said = entry.predicate
        if entry.kind is not EntryKind.KEY or not isinstance(said, KeyPredicate):
            return verify_envelope(opened, self.active).keyids
        if said.action != "revoke":
            return self._introduce(entry, said, opened)
        signed_by = verify_envelope(opened, self.active).keyids
        self._revoke(said, signed_by)
        return signed_by

    def _introduce(
        self, entry: LedgerEntry, said: KeyPredicate, envelope: Opened
    ) -> frozenset[str]:
        try:
            key = load_public_key(said.public_key or "")
        except SettingsError as error:
            raise IntegrityError("a key entry holds no usable public key") from error
        if key.keyid != said.keyid or entry.subjects != {f"key:{key.keyid}": key.keyid}:
            raise IntegrityError("a key entry names its key by a wrong fingerprint")
        if said.keyid in self.known:
            raise IntegrityError("a key is announced a second time")
        signed_by = verify_envelope(envelope, {**self.active, key.keyid: key}).keyids
        if key.keyid not in signed_by:
            raise IntegrityError("a new key did not sign its own announcement")
        if self.known and not signed_by & set(self.active):
            raise IntegrityError("no key in force vouches for a new key")
        if said.action == "rotate" and (
            said.replaces not in self.active or said.replaces not in signed_by
        ):
            raise IntegrityError("a rotation is not signed by the key that it replaces")
        if said.replaces is not None:
            self.active.pop(said.replaces, None)
        self.active[key.keyid] = self.known[key.keyid] = key
        return signed_by

    def _revoke(self, said: KeyPredicate, signed_by: frozenset[str]) -> None:
        if said.keyid not in self.known:
            raise IntegrityError("an unknown key is revoked")
        if not signed_by - {said.keyid}:
            raise IntegrityError("a key cannot be revoked by itself alone")
        self.active.pop(said.keyid, None)
        from_sequence = said.from_sequence or 1
        self.revoked[said.keyid] = min(from_sequence, self.revoked.get(said.keyid, from_sequence))
