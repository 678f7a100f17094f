"""Asks the depot service, over HTTP, with an API key."""
import asyncio
import json
import urllib.error
import urllib.request

from shared.adapters.base import AdapterConfig, BaseAdapter
from shared.adapters.registry import register_adapter


@register_adapter(
    category="depot",
    platform="inventory",
    display_name="Depot inventory",
    description="What the depot service holds",
    icon="📦",
    requires_auth=True,
    auth_type="api_key",
)
class InventoryAdapter(BaseAdapter[dict]):
    category = "depot"
    platform = "inventory"

    def _get(self, url, key):
        request = urllib.request.Request(url, headers={"X-Api-Key": key, "User-Agent": "inventory-adapter/2.0.3"})
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise PermissionError(f"the depot answers {error.code} {error.reason}: {error.read().decode()}") from error

    async def fetch_raw(self, config: AdapterConfig):
        key = (config.credentials or {}).get("api_key", "")
        # Data beside the adapter: it changes with every start of the demo, and the program does not.
        with open(config.settings["upstream"], encoding="utf-8") as f:
            url = json.load(f)["url"]
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self._get, url, key)

    def transform(self, raw):
        return raw["items"]

    def get_capabilities(self):
        return {"read": True, "write": False}
