"""StorageService: graphs and identities, and news of what changes among them."""

from alknet.services.storage.accounts import AccountHandlers
from alknet.services.storage.audit import AuditHandlers
from alknet.services.storage.credentials import CredentialHandlers
from alknet.services.storage.edges import EdgeHandlers
from alknet.services.storage.exchange import ExchangeHandlers
from alknet.services.storage.graphs import GraphHandlers
from alknet.services.storage.news import NewsHandlers
from alknet.services.storage.nodes import NodeHandlers
from alknet.services.storage.rights import RightsHandlers
from alknet.services.storage.sealing import SealedHandlers


class StorageService(
    GraphHandlers,
    NodeHandlers,
    EdgeHandlers,
    ExchangeHandlers,
    NewsHandlers,
    AuditHandlers,
    SealedHandlers,
    AccountHandlers,
    CredentialHandlers,
    RightsHandlers,
    namespace="storage",
):
    """Reads at once, and writes in transactions, each with the events that tell of it."""
