"""The `scopebot` command."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING

import click

from bot.logs import set_up_logging
from jobs.errors import ScopebotError

if TYPE_CHECKING:
    from bot.app import Bot
    from bot.classifier import Classifier
    from bot.platforms.console import ConsolePlatform
    from handlers.intents.parsed import Parsed, Vocabulary
    from jobs.models import Run


class Commands(click.Group):
    """Tells what a person can act on in one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        from handlers.texts import Texts

        try:
            return super().invoke(ctx)
        except ScopebotError as error:
            raise click.ClickException(Texts("en").error(error)) from error


@click.group(cls=Commands)
@click.version_option(package_name="scopebot")
def main() -> None:
    """Evaluate models with EvalScope by writing a sentence."""


@main.command()
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(0, 64),
    help="Local workers, without REDIS_URL.",
)
def serve(workers: int) -> None:
    """Run the bot and the web server until told to stop."""
    from bot.settings import BotSettings

    settings = BotSettings()
    set_up_logging(settings.log_level)
    asyncio.run(_serve(workers))


@main.command()
@click.option("--with-parent", is_flag=True, hidden=True, help="Leave when the process that started it does.")
@click.option("--checks", is_flag=True, hidden=True, help="Be the light process that each worker starts.")
def worker(*, with_parent: bool, checks: bool) -> None:
    """Run a worker: evaluates what the queue holds, and checks what waits."""
    from bot.light import light_process
    from jobs.config import Settings
    from jobs.light import run_light
    from jobs.worker import run_worker

    settings = Settings()
    set_up_logging(settings.log_level)
    if settings.redis_url is None:
        raise click.ClickException(
            "Set REDIS_URL to the bot's Redis; `scopebot serve` without it starts its own worker."
        )
    if checks:
        run_light(settings)
        return
    with light_process():
        run_worker(settings, die_with_parent=with_parent)


@main.command()
@click.argument("messages", nargs=-1)
@click.option("--yes", is_flag=True, help="Press the primary button of every question.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line per message or edit.")
@click.option("--stay", is_flag=True, help="Stay open to type at after the messages.")
@click.option("--echo", is_flag=True, help="Show each message before its answer.")
def chat(messages: tuple[str, ...], *, yes: bool, as_json: bool, stay: bool, echo: bool) -> None:
    """Talk to the bot here; without MESSAGES, type."""
    set_up_logging("warning")
    if not messages and not sys.stdin.isatty():
        messages = tuple(line.strip() for line in sys.stdin if line.strip())
        if not messages:
            raise click.UsageError("Give a message, or type at a terminal.")
    interactive = (stay or not messages) and sys.stdin.isatty() and not as_json
    sys.exit(asyncio.run(_chat(messages, yes=yes, as_json=as_json, echo=echo, interactive=interactive)))


@main.command()
@click.argument("text", required=False)
@click.option("--jsonl", type=click.File("r", encoding="utf-8"), help='One {"text": …} a line; - for standard input.')
@click.option("--no-llm", is_flag=True, help="The grammar alone.")
def parse(text: str | None, jsonl: IO[str] | None, *, no_llm: bool) -> None:
    """Print what the bot understands of TEXT."""
    if (text is None) == (jsonl is None):
        raise click.UsageError("Give TEXT, or --jsonl FILE.")
    lines = [text or ""] if jsonl is None else jsonl
    asyncio.run(_parse(lines, as_jsonl=jsonl is not None, with_llm=not no_llm))


@main.command()
@click.argument("words", nargs=-1)
@click.option("--json", "as_json", is_flag=True)
def benchmarks(words: tuple[str, ...], *, as_json: bool) -> None:
    """Find benchmarks by name, tag or words."""
    catalog = _offline_vocabulary().catalog
    tags = [word for word in words if any(word.lower() == tag.lower() for tag in catalog.tags)]
    rest = " ".join(word for word in words if word not in tags)
    names = {info.name for info in catalog.search(rest)} if rest else None
    found = [info for info in catalog.with_tags(tags) if names is None or info.name in names]
    for info in found:
        if as_json:
            click.echo(info.model_dump_json(exclude={"description", "description_zh"}))
        else:
            click.echo(f"{info.name:32} {info.samples or '?':>8} {', '.join(info.tags)}")
    if not found and not as_json:
        near = ", ".join(catalog.nearest(" ".join(words)))
        click.echo(f"No benchmark matches.{f' Did you mean {near}?' if near else ''}")


@main.command()
@click.option("--json", "as_json", is_flag=True)
@click.option("--last", default=20, show_default=True, type=click.IntRange(1, 1000))
def runs(last: int, *, as_json: bool) -> None:
    """List the newest runs."""
    from handlers.figures import score_text
    from handlers.perf_cards import load_of
    from handlers.texts import Texts
    from jobs.config import Settings
    from jobs.db import migrate, open_engine
    from jobs.store import Store

    engine = open_engine(Settings().effective_database_url)
    migrate(engine)
    for run in Store(engine).runs(limit=last):
        if as_json:
            click.echo(run.model_dump_json())
            continue
        scores = [
            f"{benchmark.name} {score_text(metric.score, metric.scale, metric.unit)}"
            for benchmark in (run.result.benchmarks if run.result else ())
            if (metric := benchmark.headline) is not None
        ]
        scores += [f"{load_of(level)}: {level.rps:.3g} req/s" for level in (run.result.perf if run.result else ())]
        if run.failure is not None:
            scores.append(Texts("en").error(run.failure))
        datasets = ",".join(run.spec.covers) or run.spec.kind
        click.echo(f"{run.name:6} {run.state:10} {run.spec.model.name:24} {datasets:32} {'; '.join(scores)}")
    engine.dispose()


@main.command()
@click.option("--json", "as_json", is_flag=True)
def workers(*, as_json: bool) -> None:
    """List the living workers."""
    from redis import Redis

    from jobs.config import Settings
    from jobs.embedded import living_server
    from jobs.fleet import living_workers

    settings = Settings()
    server = living_server(settings.folder) if settings.redis_url is None else None
    url = settings.redis_url or (server.url if server else None)
    found = []
    if url is not None:
        with Redis.from_url(url) as client:
            found = living_workers(client)
    for facts in found:
        click.echo(
            json.dumps(facts) if as_json else f"{facts['name']:32} EvalScope {facts['evalscope']}  seen {facts['seen']}"
        )
    if not found and not as_json:
        click.echo("No worker is alive; start one with `scopebot serve` or `scopebot worker`.")


@main.command()
def doctor() -> None:
    """Check the settings and everything they name, and say how to mend what is wrong."""
    from bot.doctor import examine

    findings = examine()
    for finding in findings:
        mark = "ok  " if finding.ok else "FAIL"
        click.echo(f"{mark}  {finding.what}: {finding.state}")
        if not finding.ok:
            click.echo(f"      → {finding.remedy}")
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


@main.command()
@click.argument("platform", type=click.Choice(["slack", "feishu"]))
@click.option("--http", metavar="URL", help="Have Slack send requests to this https address, without Socket Mode.")
@click.option("--json", "as_json", is_flag=True)
def manifest(platform: str, http: str | None, *, as_json: bool) -> None:
    """Print the manifest from which Slack creates an app, or the scopes that Feishu's console imports."""
    if platform == "feishu":
        from bot.feishu.wanted import importable

        click.echo(json.dumps(importable(), ensure_ascii=False, indent=2))
        return
    import yaml

    from bot.settings import BotSettings
    from bot.slack.manifest import manifest as slack_manifest

    settings = BotSettings()
    if http is not None:
        settings = settings.model_copy(update={"public_url": http})
    try:
        made = slack_manifest(settings, http=http is not None)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--http") from error
    if as_json:
        click.echo(json.dumps(made, ensure_ascii=False, indent=2))
    else:
        click.echo(yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=120), nl=False)


async def _serve(workers: int) -> None:
    from bot.app import open_bot, redis_answers, serve_platforms
    from bot.background import cancel
    from bot.pauses import keep_pauses_short
    from bot.settings import BotSettings

    settings, stop = BotSettings(), asyncio.Event()
    await redis_answers(settings)  # a signal ends it at once meanwhile: nothing is begun
    with _stop_on_signals(stop):
        async with open_bot(settings, workers=workers) as bot:
            click.echo(f"Scopebot is ready: {bot.url}/healthz", err=True)
            serving = asyncio.create_task(serve_platforms(bot))
            keep_pauses_short()
            await stop.wait()
            await cancel([serving])


async def _chat(messages: tuple[str, ...], *, yes: bool, as_json: bool, echo: bool, interactive: bool) -> int:
    """Hold a conversation; return the exit status the design gives: 0 all well, 1 something not, 2 it waits."""
    from bot.app import open_bot
    from bot.platforms.console import ConsolePlatform
    from bot.settings import BotSettings
    from handlers.paused import GO_ON, button_id
    from jobs.lifecycle import RunState

    console = ConsolePlatform(messages, as_json=as_json, yes=yes, echo=echo, interactive=interactive)
    async with open_bot(BotSettings(), workers=1, port_may_move=True) as bot:
        with console.drawing():
            await console.run(lambda incoming: bot.receive(console, incoming))
            paused = await _settled(bot, console) if not interactive else []
            while yes and paused:
                for run in paused:
                    await console.press(button_id(run, GO_ON), lambda incoming: bot.receive(console, incoming))
                paused = await _settled(bot, console)
        await console.close()
        runs = [run for group in console.groups for run in bot.services.store.group_runs(group)]
    if any(run.state not in {RunState.SUCCEEDED, RunState.PAUSED} for run in runs) or console.refused:
        return 1
    return 2 if console.waits or paused else 0


async def _settled(bot: Bot, console: ConsolePlatform) -> list[Run]:
    """Wait until nothing goes on by itself; return the runs that wait for an answer."""
    from jobs.lifecycle import RunState

    await bot.reporter.settled(console.groups)
    runs = [run for group in console.groups for run in bot.services.store.group_runs(group)]
    return [run for run in runs if run.state is RunState.PAUSED]


@contextlib.contextmanager
def _stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    yield


def _offline_vocabulary() -> Vocabulary:
    """Return the names known without Redis and workers: the shipped catalog and scopebot.toml."""
    from bot.services import make_vocabulary
    from jobs.catalog import snapshot
    from jobs.config import Settings

    return make_vocabulary(snapshot(), Settings().config)


async def _parse(lines: Iterable[str], *, as_jsonl: bool, with_llm: bool) -> None:
    """Print one line for each, in order; a line that is not the JSON it should be gets one as well."""
    from bot.classifier import Classifier
    from bot.settings import BotSettings

    vocabulary = _offline_vocabulary()
    classifier = Classifier(BotSettings()) if with_llm else None
    for line in lines:
        parsed = await _parsed_line(line, vocabulary, classifier, as_jsonl=as_jsonl)
        click.echo(json.dumps(parsed.model_dump(mode="json"), ensure_ascii=False))
    if classifier is not None:
        await classifier.close()


async def _parsed_line(line: str, vocabulary: Vocabulary, classifier: Classifier | None, *, as_jsonl: bool) -> Parsed:
    from handlers.incoming import language_of
    from handlers.intents.combine import combine
    from handlers.intents.parsed import Parsed
    from handlers.intents.secrets import find_secrets
    from handlers.texts import Texts
    from handlers.understand import understand

    try:
        text = str(json.loads(line)["text"] if as_jsonl else line)
    except (ValueError, KeyError, TypeError):
        return Parsed(intent="none", question='not a line of {"text": …}')
    parsed = understand(text, vocabulary)
    if classifier is not None and parsed.by == "grammar" and not find_secrets(text):
        parsed = combine(parsed, await classifier.classify(text, vocabulary))
    if parsed.question is None:
        return parsed
    return parsed.model_copy(update={"question": Texts(language_of(text))(parsed.question)})


if __name__ == "__main__":
    main()
