"""StorageService: graphs of typed nodes and edges in one SQLite file, and news of them."""

from alknet.services.storage.service import StorageService

__all__ = ["StorageService"]
