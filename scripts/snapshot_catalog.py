"""Write jobs/catalog_snapshot.json from the installed EvalScope: facts only, no prose."""

from __future__ import annotations

import json
from pathlib import Path

from jobs.evalscope.discover import read_catalog

TARGET = Path(__file__).parents[1] / "jobs" / "catalog_snapshot.json"


def main() -> None:
    """Write the snapshot."""
    catalog = read_catalog(prose=False)
    data = catalog.model_dump(mode="json", exclude_defaults=True)
    TARGET.write_text(json.dumps(data, ensure_ascii=False, indent=0, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{len(catalog.benchmarks)} benchmarks of EvalScope {catalog.evalscope_version} → {TARGET}")


if __name__ == "__main__":
    main()
