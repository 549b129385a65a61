"""Work-arounds for EvalScope 1.14.1, each with a test that fails when EvalScope mends it.

They are applied in the work-horse only, so a worker can be asked again after an upgrade.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from jobs.evalscope.failures import HIDDEN

VERSION = "1.14.1"
"""The EvalScope these are for."""


def provide_nltk_data(keep: Path) -> bool:
    """Make NLTK load punkt_tab without a download; tell whether it can.

    EvalScope downloads it when it first scores with it and, where it cannot, counts BLEU as 0. The
    llama-index-core wheel carries it; it is copied to `keep`, because NLTK refuses files with a second name and
    that is how uv installs them.
    """
    import nltk

    if _punkt_loads():
        return True
    spec = importlib.util.find_spec("llama_index")
    for root in spec.submodule_search_locations or () if spec is not None else ():
        source = Path(root) / "core" / "_static" / "nltk_cache" / "tokenizers" / "punkt_tab"
        if source.is_dir():
            _copy_once(source, keep / "tokenizers" / "punkt_tab")
            nltk.data.path.insert(0, str(keep))
            os.environ["NLTK_DATA"] = os.pathsep.join(filter(None, [str(keep), os.environ.get("NLTK_DATA", "")]))
            break
    return _punkt_loads()


def _copy_once(source: Path, target: Path) -> None:
    """Copy a folder, whole or not at all; another run may do the same at the same time."""
    if target.exists():
        return
    draft = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
    shutil.copytree(source, draft)
    try:
        draft.rename(target)
    except OSError:  # the other run was faster
        shutil.rmtree(draft)


def _punkt_loads() -> bool:
    import nltk

    try:
        nltk.word_tokenize("It loads.")
    except (LookupError, OSError):
        return False
    return True


def hide_in_logs(secret: str) -> None:
    """Keep a key out of EvalScope's log, also where an endpoint quotes it in an error."""

    class Hide(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            record.msg, record.args = record.getMessage().replace(secret, HIDDEN), ()
            return True

    from evalscope.utils.logger import get_logger

    get_logger().addFilter(Hide())


def postpone_html_report() -> Callable[[str], str]:
    """Keep `run_task` from writing the HTML report, most of a small run's time; return what writes it later."""
    import evalscope.report

    write: Callable[[str], str] = evalscope.report.gen_html_report_file
    evalscope.report.gen_html_report_file = lambda *_args, **_kwargs: ""
    return write


def postpone_perf_report() -> Callable[..., str]:
    """Keep `run_perf_benchmark` from writing the HTML report, which takes seconds; return what writes it later."""
    import evalscope.perf.main

    write: Callable[..., str] = evalscope.perf.main.gen_perf_html_report
    evalscope.perf.main.gen_perf_html_report = lambda *_args, **_kwargs: ""
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
