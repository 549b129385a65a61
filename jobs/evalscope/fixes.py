"""Work-arounds for EvalScope 1.14.1, each with a test that fails when EvalScope mends it.

They are applied in the work-horse only, so a worker can be asked again after an upgrade.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

VERSION = "1.14.1"
"""The EvalScope these are for."""


def provide_nltk_data() -> bool:
    """Make NLTK find punkt_tab without a download; tell whether it can.

    EvalScope downloads it when it first scores with it and, where it cannot, counts BLEU as 0. The
    llama-index-core wheel carries it.
    """
    import nltk

    if _has_punkt():
        return True
    spec = importlib.util.find_spec("llama_index")
    for root in spec.submodule_search_locations or () if spec is not None else ():
        folder = Path(root) / "core" / "_static" / "nltk_cache"
        if folder.is_dir():
            nltk.data.path.insert(0, str(folder))
            os.environ["NLTK_DATA"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("NLTK_DATA", "")]))
            break
    return _has_punkt()


def _has_punkt() -> bool:
    import nltk

    try:
        nltk.data.find("tokenizers/punkt_tab")
    except LookupError:
        return False
    return True


def postpone_html_report() -> Callable[[str], str]:
    """Keep `run_task` from writing the HTML report, most of a small run's time; return what writes it later."""
    import evalscope.report

    write: Callable[[str], str] = evalscope.report.gen_html_report_file
    evalscope.report.gen_html_report_file = lambda *_args, **_kwargs: ""
    return write


PLOTLY_JS = "plotly.min.js"
"""The name of plotly's script in the artifact store, and below `/static/` on the bot's web server."""


def localize_plotly(report: Path) -> None:
    """Make a written HTML report load plotly from the bot instead of a CDN, without which it has no charts."""
    from evalscope.constants import PLOTLY_CDN_URL

    tag, ours = f'src="{PLOTLY_CDN_URL}"', f'src="/static/{PLOTLY_JS}"'
    report.write_bytes(report.read_bytes().replace(tag.encode(), ours.encode()))


def plotly_script() -> Path:
    """Return the script that the installed plotly brings along: the one that fits the charts it draws."""
    spec = importlib.util.find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "package_data" / PLOTLY_JS
