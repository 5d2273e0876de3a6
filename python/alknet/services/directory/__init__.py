"""DirectoryService: what there is on this node, who is connected, and how all of it fares."""

from alknet.services.directory.service import DirectoryService

__all__ = ["DirectoryService"]
