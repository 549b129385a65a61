"""What the installed EvalScope can evaluate: benchmarks from its metadata files, parameters from its own parsers."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

from jobs.catalog import BenchmarkInfo, BenchmarkParameter, Catalog
from jobs.evalscope.parameters import plain_default, read_parameters


def read_catalog(*, prose: bool = True) -> Catalog:
    """Read every benchmark's metadata and every parameter; with `prose`, what EvalScope says of them too."""
    folder = package_folder() / "benchmarks" / "_meta"
    extras = _extras()
    benchmarks = [_benchmark(path, extras, prose=prose) for path in sorted(folder.glob("*.json"))]
    return Catalog(
        evalscope_version=importlib.metadata.version("evalscope"),
        benchmarks=tuple(benchmarks),
        parameters=read_parameters(prose=prose),
    )


def package_folder() -> Path:
    """Return the folder of the installed package; raises ModuleNotFoundError where there is none."""
    spec = importlib.util.find_spec("evalscope")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("evalscope")
    return Path(spec.origin).parent


def _benchmark(path: Path, extras: frozenset[str], *, prose: bool) -> BenchmarkInfo:
    data = json.loads(path.read_text(encoding="utf-8"))
    meta = data["meta"]
    counts = {entry["name"]: entry["sample_count"] for entry in data["statistics"].get("subset_stats", ())}
    extra = path.stem.replace("_", "-")
    return BenchmarkInfo(
        name=path.stem,
        pretty_name=meta.get("pretty_name") or path.stem,
        tags=tuple(meta.get("tags", ())),
        category=meta.get("category", ""),
        subsets={name: counts.get(name, 0) for name in meta.get("subset_list", ())},
        metrics=tuple(_metric_name(metric) for metric in meta.get("metrics", ())),
        few_shot_num=meta.get("few_shot_num", 0) or 0,
        paper_url=meta.get("paper_url") or "",
        runs_code=bool(meta.get("sandbox_config")),
        extra=extra if extra in extras else "",
        parameters=tuple(
            _parameter(name, spec, prose=prose) for name, spec in (meta.get("extra_params") or {}).items()
        ),
        description=_overview(data["readme"].get("en", ""), meta.get("description", "")) if prose else "",
        description_zh=_overview(data["readme"].get("zh", ""), "") if prose else "",
    )


def _parameter(name: str, spec: Any, *, prose: bool) -> BenchmarkParameter:
    facts = spec if isinstance(spec, dict) and "value" in spec else {"value": spec}
    return BenchmarkParameter(
        name=name,
        type=str(facts.get("type") or ""),
        default=plain_default(facts["value"]),
        choices=tuple(map(str, facts.get("choices") or ())),
        help=" ".join(str(facts.get("description") or "").split()) if prose else "",
    )


def _metric_name(metric: Any) -> str:
    return metric if isinstance(metric, str) else str(next(iter(metric)))


def _overview(readme: str, description: str) -> str:
    """Return the first paragraph under the overview's heading."""
    for text in (readme, description):
        found = re.search(r"^##\s*(?:Overview|概述)\s*\n+(.+?)(?:\n\s*\n|\n#|$)", text, re.MULTILINE | re.DOTALL)
        if found:
            return " ".join(found[1].split())
    return ""


def _extras() -> frozenset[str]:
    return frozenset(importlib.metadata.metadata("evalscope").get_all("Provides-Extra") or ())
