"""Room left on the disk: an adapter of the bare shape."""
import os
import shutil

from shared.adapters.base import AdapterResult, BaseAdapter, register_adapter


@register_adapter
class DiskAdapter(BaseAdapter):
    def __init__(self):
        super().__init__(category="host", platform="disk", credentials_required=[])

    async def fetch_raw(self):
        here = os.path.dirname(os.path.abspath(__file__))
        return [(here, shutil.disk_usage(here)), ("/", shutil.disk_usage("/"))]

    def transform(self, raw):
        data = [
            {"path": path, "total": u.total, "free": u.free, "used_percent": round(100 * u.used / u.total, 1)}
            for path, u in raw
        ]
        return AdapterResult(data=data, metadata={"disks": len(data)}, errors=[])
