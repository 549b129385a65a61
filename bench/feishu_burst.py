"""A burst in Feishu: 400 messages in 10 s over 40 groups, a tenth delivered again, while 50 runs report progress.

The double counts what the bot is not allowed to do, and when each event was acknowledged. Beside it, the same burst
against a bare lark-oapi client that acknowledges and does nothing else; median of 5 rounds with `--rounds 5`.

Bounds: acknowledgements p99 at most 100 ms, or 3 × the bare client's; nothing lost, nothing doubled, no call over
Feishu's limits; the results of the 50 runs posted within 60 s of their end.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "bench")]

from common import Feeder, check, finish  # noqa: E402 - found by the path above
from support.feishu.control import Feishu  # noqa: E402
from support.feishu_bot import FeishuBot  # noqa: E402

from jobs.lifecycle import RunState  # noqa: E402
from jobs.models import Run  # noqa: E402

CHATS, MESSAGES, RUNNING = 40, 400, 50
BURST_SECONDS = 10.0
AGAIN_EVERY = 10
"""Each tenth message is delivered again, half of them under another id."""
ACK_MS, ACK_RATIO, FINAL_SECONDS = 100.0, 3.0, 60.0
ANSWERED_WITHIN = 240.0


def percentile(values: list[float], part: float) -> float:
    """Return the value below which a part of them lies."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def burst(feishu: Feishu, chats: list[str]) -> list[float]:
    """Have 400 things said in ten seconds, some of them twice; return how long each acknowledgement took, in ms."""
    since = time.time()
    said = [
        {
            "user": "ann" if n % 2 else "wang", "chat": chats[n % CHATS], "mention": True,
            "text": f"evaluate prod on gsm8k, {20 + n} samples" if n % 2 else "状态",
        }
        for n in range(MESSAGES)
    ]  # fmt: skip
    talking = threading.Thread(target=feishu.say_many, args=(said, BURST_SECONDS))
    talking.start()
    again = 0
    while talking.is_alive() or again < MESSAGES // AGAIN_EVERY:
        events = [one for one in feishu.deliveries("im.message.receive") if one["sent_at"] >= since]
        while again * AGAIN_EVERY < len({one["message_id"] for one in events}) and again < MESSAGES // AGAIN_EVERY:
            feishu.redeliver(events[again * AGAIN_EVERY]["id"], new_id=bool(again % 2))
            again += 1
        time.sleep(0.5)
    talking.join()
    time.sleep(4)
    left = len(feishu.unacked())
    if left:
        print(f"{left} events were not acknowledged")
    return [
        1000 * (one["acked_at"] - one["sent_at"])
        for one in feishu.deliveries()
        if one["sent_at"] >= since and one["acked_at"] is not None
    ]


def ours() -> tuple[list[float], list[bool]]:
    """Return Scopebot's acknowledgements, and which bounds held."""
    with (
        tempfile.TemporaryDirectory(prefix="scopebot-bench-") as folder,
        Feishu() as feishu,
        FeishuBot(Path(folder), feishu) as bot,
    ):
        chats = [feishu.add_chat(f"team-{n}") for n in range(CHATS)]
        running = _running(feishu, bot, chats)
        feeder = Feeder(bot, running)
        time.sleep(5)
        took = burst(feishu, chats)
        feeder.end()
        ended_at = time.time()
        for run in running:
            bot.store.move(run.id, RunState.FAILED)
        return took, _afterwards(feishu, bot, chats, ended_at)


def _running(feishu: Feishu, bot: FeishuBot, chats: list[str]) -> list[Run]:
    """Have runs asked for, and begin."""
    for n in range(RUNNING):
        feishu.mention("chen", chats[n % CHATS], f"evaluate prod on gsm8k, {1000 - n} samples")
    bot.until(lambda: len(bot.runs()) == RUNNING, 60, "runs")
    running = bot.runs()
    bot.until(lambda: _posts(feishu) >= RUNNING, 120, "status messages", 1.0)
    for run in running:
        bot.begin(run)
    return running


def _afterwards(feishu: Feishu, bot: FeishuBot, chats: list[str], ended_at: float) -> list[bool]:
    """Wait until everything is said, and check what was."""
    expected = RUNNING + MESSAGES // 2
    bot.until(lambda: len(bot.runs()) >= expected, ANSWERED_WITHIN, f"{expected} runs", 1.0)
    results = bot.until(lambda: _results(feishu, chats), ANSWERED_WITHIN, "their results", 2.0)
    posted = RUNNING + MESSAGES + 2 * RUNNING  # status messages, answers, results and headlines
    bot.until(lambda: _posts(feishu) >= posted, ANSWERED_WITHIN, f"{posted} posts", 1.0)
    time.sleep(2)  # for what would be too much
    shown = [
        (message.get("root_id"), feishu.shown(message).splitlines()[0])
        for chat in chats
        for message in feishu.ours(chat)
        if message.get("root_id")
    ]
    doubled = [text for text, count in Counter(shown).items() if count > 1]
    violations = feishu.violations()
    for violation in [*violations[:5], *doubled[:3]]:
        print(violation)
    last = max(int(message["create_time"]) / 1000 for message in results) - ended_at
    edits = len(feishu.calls("PATCH"))
    print(f"{edits} edits, {_posts(feishu)} posts")
    return [
        check("posts beyond what was due", float(_posts(feishu) - posted), "posts", 0.0),
        check("doubled posts", float(len(doubled)), "posts", 0.0),
        check("calls over Feishu's limits", float(len(violations)), "calls", 0.0),
        check("last result after the runs' end", last, "s", FINAL_SECONDS),
    ]


def _posts(feishu: Feishu) -> int:
    return len(
        {call["path"] + str(call["at"]) for call in feishu.calls("POST /open-apis/im/v1/messages") if _made(call)}
    )


def _made(call: dict[str, Any]) -> bool:
    return call["code"] == 0 and not call["method"].endswith("reactions")


def _results(feishu: Feishu, chats: list[str]) -> list[dict[str, Any]] | None:
    """Return the results of the runs that chen asked for, once all are there: nothing else mentions chen."""
    mention = f"<at id={feishu.user('chen')}>"
    found = [message for chat in chats for message in feishu.ours(chat) if mention in str(message["card"])]
    return found if len(found) >= RUNNING else None


def bare() -> list[float]:
    """Return the bare client's acknowledgements."""
    with Feishu() as feishu:
        chats = [feishu.add_chat(f"team-{n}") for n in range(CHATS)]
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "bench" / "bare_lark.py"), feishu.domain, feishu.app_id, feishu.app_secret],
            stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            feishu.wait_for(lambda: feishu.sockets() > 0, 60, "the bare client")
            time.sleep(1)
            return burst(feishu, chats)
        finally:
            process.kill()
            process.wait()


def measure(rounds: int) -> int:
    """Measure and print."""
    p99s, bares, held = [], [], []
    for _ in range(rounds):
        their = bare()
        took, bounds = ours()
        p99s.append(percentile(took, 0.99))
        bares.append(percentile(their, 0.99))
        held += bounds
        print(f"acknowledgements: {len(took)} and {len(their)}, p99 {p99s[-1]:.1f} ms beside {bares[-1]:.1f} ms bare")
    p99, bare_p99 = statistics.median(p99s), statistics.median(bares)
    print(f"p99 {p99:.1f} ms, bare {bare_p99:.1f} ms, ratio {p99 / bare_p99:.2f}")
    held.append(check("p99 of acknowledgements", p99, "ms", max(ACK_MS, ACK_RATIO * bare_p99)))
    return finish(held)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    sys.exit(measure(parser.parse_args().rounds))
