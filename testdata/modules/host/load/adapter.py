"""An adapter of the short shape: bare decorator, fetch_raw() without config."""
import os
from datetime import datetime, timezone

from shared.adapters.base import AdapterResult, BaseAdapter, register_adapter


@register_adapter
class LoadAdapter(BaseAdapter[dict]):
    def __init__(self):
        super().__init__(category="host", platform="load", credentials_required=[])

    async def fetch_raw(self):
        return os.getloadavg()

    def transform(self, raw):
        now = datetime.now(timezone.utc)
        data = [{"minutes": m, "load": v, "timestamp": now} for m, v in zip((1, 5, 15), raw)]
        return AdapterResult(data=data, metadata={"cpus": os.cpu_count()}, errors=[])
