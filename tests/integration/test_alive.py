"""Which bot processes live, and which of them holds a lease."""

import subprocess
import sys
from pathlib import Path

from redis.asyncio import Redis as AsyncRedis

from bot.alive import Alive, Lease

ROOT = Path(__file__).resolve().parents[2]


async def test_a_process_lives_while_it_says_so_and_a_killed_one_is_dead_before_its_key_lapses(
    client: AsyncRedis,
) -> None:
    code = "from bot.alive import Alive; print(Alive(None).id, flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        other = process.stdout.readline().strip()
        await client.set(f"scopebot:alive:{other}", 1)
        me = Alive(client)
        assert not me.sure()
        await me.renew()
        assert me.sure()
        assert not await me.dead(me.id)
        assert not await me.dead(other)
        process.kill()
        process.wait()
    assert await me.dead(other)
    stranger = f"elsewhere.1.2.{me.id[-4:]}"
    await client.set(f"scopebot:alive:{stranger}", 1)
    assert not await me.dead(stranger)
    await client.delete(f"scopebot:alive:{stranger}")
    assert await me.dead(stranger)


async def test_a_lease_has_one_holder_and_passes_on_when_that_one_is_gone(client: AsyncRedis) -> None:
    one, two = Alive(client), Alive(client)
    await one.renew()
    await two.renew()
    first, second = Lease(client, one, "report:p"), Lease(client, two, "report:p")
    assert await first.hold()
    assert not await second.hold()
    assert (first.held, second.held) == (True, False)
    assert await first.hold()
    await one.end()
    assert await second.hold()
    assert not await first.hold()
    assert not first.held
    await second.let_go()
    assert await first.hold()
