"""Load averages of this host: an adapter of the decorated shape."""
import logging
import os
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List

from shared.adapters.base import AdapterConfig, BaseAdapter
from shared.adapters.registry import register_adapter

LOGS = Path(__file__).resolve().parents[3] / "logs"
logger = logging.getLogger("host.load")
_handler = logging.FileHandler(LOGS / "adapters.log", delay=True)
_handler.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
logger.addHandler(_handler)
logger.setLevel(logging.INFO)


@dataclass
class Load:
    one: float
    five: float
    fifteen: float
    cores: int
    taken_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


@register_adapter(
    category="host",
    platform="load",
    display_name="Host load",
    description="Load averages of this host",
    icon="📈",
    requires_auth=False,
    auth_type="none",
)
class LoadAdapter(BaseAdapter[Load]):
    category = "host"
    platform = "load"

    async def fetch_raw(self, config: AdapterConfig) -> Dict[str, Any]:
        began = time.perf_counter()
        one, five, fifteen = os.getloadavg()
        cores = os.cpu_count() or 1
        took = (time.perf_counter() - began) * 1000
        level = logging.WARNING if one > 2 * cores else logging.INFO
        logger.log(level, "load %.2f over %d cores, read in %.3f ms", one, cores, took)
        return {"load": (one, five, fifteen), "cores": cores}

    def transform(self, raw: Dict[str, Any]) -> List[Load]:
        return [Load(*raw["load"], cores=raw["cores"])]

    def get_capabilities(self) -> Dict[str, Any]:
        return {"read": True, "write": False}
