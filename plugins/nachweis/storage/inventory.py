"""What a bucket holds: one listing of all versions, and parallel reads of what is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice

from nachweis.domain.errors import IntegrityError, StoreError
from nachweis.storage.documents import read_document
from nachweis.storage.folder_store import FolderStore
from nachweis.storage.layout import Kind, Location, locate
from nachweis.storage.object_store import ObjectStore

WORKERS = 8
_BATCH = 64


@dataclass(slots=True)
class Held:
    """One key of the bucket.

    Attributes:
        location: What the key says; None for a key outside the layout.
        versions: Object versions, delete markers not counted.
        markers: Delete markers.
    """

    location: Location | None
    versions: int = 0
    markers: int = 0


@dataclass(frozen=True)
class Inventory:
    """All keys of a bucket.

    Attributes:
        held: Key to what is held there, in key order.
        versioned: Whether the store names versions at all.
    """

    held: dict[str, Held] = field(default_factory=dict)
    versioned: bool = True

    @classmethod
    def take(cls, store: ObjectStore, *prefixes: str) -> Inventory:
        """List a bucket, or parts of it, once.

        Args:
            store: The bucket.
            *prefixes: Beginnings of the keys to list, none of them within another; all keys if
                there is none.

        Returns:
            Its inventory.
        """
        held: dict[str, Held] = {}
        versioned = False
        for stored, marker in chain.from_iterable(map(store.versions, prefixes or ("",))):
            item = held.get(stored.key)
            if item is None:
                item = held[stored.key] = Held(_location(stored.key))
            if marker:
                item.markers += 1
            else:
                item.versions += 1
            versioned = versioned or stored.version_id not in {None, "null"}
        return cls(held, versioned or not held)

    def list_more(self, store: ObjectStore, prefixes: Iterable[str]) -> None:
        """Add other parts of the bucket.

        Args:
            store: The bucket.
            prefixes: Beginnings of keys that were not listed yet.
        """
        for prefix in prefixes:
            self.held.update(Inventory.take(store, prefix).held)

    def look(self, store: ObjectStore, keys: Iterable[str]) -> None:
        """Add single keys that were not listed yet.

        Args:
            store: The bucket.
            keys: Object keys.
        """
        missing = [key for key in keys if key not in self.held]
        with ThreadPoolExecutor(WORKERS) as pool:
            for found in pool.map(lambda key: Inventory.take(store, key), missing):
                self.held.update({key: held for key, held in found.held.items() if key in missing})

    def of(self, *kinds: Kind) -> Iterator[tuple[str, Location]]:
        """Keys of some kinds that hold at least one object version.

        Args:
            *kinds: Wanted kinds.

        Yields:
            Key and what it says, in key order.
        """
        for key, item in self.held.items():
            if item.location is not None and item.location.kind in kinds and item.versions:
                yield key, item.location


def _location(key: str) -> Location | None:
    try:
        return locate(key)
    except StoreError:
        return None


def fetch(
    store: ObjectStore, keys: Iterable[str]
) -> Iterator[tuple[str, bytes | KeyError | IntegrityError]]:
    """Read documents in parallel, in the order of the keys, a bounded number ahead.

    Args:
        store: The bucket.
        keys: Object keys, each once.

    Yields:
        Key and document, or why there is none.
    """

    def one(key: str) -> tuple[str, bytes | KeyError | IntegrityError]:
        try:
            return key, read_document(store, key)
        except (KeyError, IntegrityError) as error:
            return key, error

    waiting = iter(keys)
    if isinstance(store, FolderStore):
        yield from map(one, waiting)
        return
    with ThreadPoolExecutor(WORKERS) as pool:
        while batch := list(islice(waiting, _BATCH)):
            yield from pool.map(one, batch)
