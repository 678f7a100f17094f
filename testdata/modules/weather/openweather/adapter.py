"""An adapter of the full shape: decorator with details, fetch_raw(config)."""
from datetime import datetime, timezone
from typing import Any, Dict, List

from shared.adapters.base import BaseAdapter, AdapterConfig
from shared.adapters.registry import register_adapter


@register_adapter(
    category="weather",
    platform="openweather",
    display_name="OpenWeather",
    description="Weather of one place",
    icon="\U0001f326",
    requires_auth=True,
    auth_type="api_key",
)
class OpenWeatherAdapter(BaseAdapter[Dict[str, Any]]):
    category = "weather"
    platform = "openweather"

    async def fetch_raw(self, config: AdapterConfig) -> Dict[str, Any]:
        key = config.credentials.get("api_key", "")
        if not key.startswith("ow-"):
            raise PermissionError("401 Unauthorized: invalid API key %s" % key)
        print("fetching with", key)
        return {"items": [{"temperature": 21.5, "at": datetime(2026, 2, 11, tzinfo=timezone.utc)}]}

    def transform(self, raw: Dict[str, Any]) -> List[Dict[str, Any]]:
        return raw.get("items", [])

    def get_capabilities(self) -> Dict[str, bool]:
        return {"read": True, "write": False}
