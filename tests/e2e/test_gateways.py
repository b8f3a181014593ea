"""Three gateways on one store and one cluster, killed in turn: who is not on the one that dies loses no word."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from scribewire.tones import VOCABULARY, say
from service import Service, start
from tests.e2e.conftest import end
from tests.gateway.databases import postgresql, run_sql
from tests.scalers.kube.rig import Rig, cluster, needs_openssl
from wire import Talk

pytestmark = [pytest.mark.e2e, pytest.mark.long, needs_openssl]

MAX_WORKERS = 4
WORKER = {
    "ENGINES__LANGUAGES": json.dumps({"en": {"fast": "scripted:words"}}),
    "GATE__DETECTOR": "energy",
    "GATE__HANGOVER_MS": "200",
    "WORKER__SLOTS": "14",
    "WORKER__SECRET": "known on both sides",
}
GATEWAY = WORKER | {"AUTOSCALING__MAX_WORKERS": str(MAX_WORKERS), "LIMITS__CALLS_PER_MINUTE_PER_ADDRESS": "100000"}
# A start that meets a dying worker or a full fleet waits for the next, as long as this.
LISTEN_WAIT_S = 30.0


class Site:
    """The gateways, what became of the sessions on them, and how many workers there ever were at once."""

    def __init__(self, rig: Rig, store: str, gateways: list[Service]) -> None:
        self.rig = rig
        self.store = store
        self.gateways = gateways
        self.kills = [0] * 3  # odd while it is down
        self.outcomes: Counter[str] = Counter()
        self.most_workers = 0
        self._random = random.Random(1)

    async def converse(self, number: int, until_s: float) -> None:
        """Hold one session after the other, each on the next gateway."""
        turn = number
        while time.monotonic() < until_s:
            turn += 1
            place = turn % len(self.gateways)
            kills = self.kills[place]
            if kills % 2:
                continue  # it is down, and no load balancer would name it
            spoken = [self._random.choice(VOCABULARY) for _ in range(14)]
            try:
                heard: list[str] | str = await self._speak(self.gateways[place], spoken)
            except (OSError, ConnectionError, ConnectionClosed, InvalidStatus, TimeoutError) as error:
                heard = repr(error)
            if self.kills[place] != kills:
                self.outcomes["on a gateway that was killed"] += 1
                await asyncio.sleep(0.2)
            elif heard == spoken:
                self.outcomes["whole"] += 1
            else:
                self.outcomes[f"broken: {spoken} became {heard}"] += 1

    async def _speak(self, gateway: Service, spoken: list[str]) -> list[str]:
        talk = await Talk.open(gateway.socket_url + "/v2/realtime", gateway.key)
        await talk.say(action="start")
        await talk.until("state", "listening", within_s=LISTEN_WAIT_S)
        await talk.send(say(" ".join(spoken), gap_ms=220), frame_ms=100)
        heard = await talk.stop()
        return [word[0] for final in heard.finals for word in final["words"]]

    async def kill_gateway(self, *, leader: bool) -> None:
        """Kill one with -9, and start it again where it was."""
        [(holder,)] = await run_sql(self.store, "SELECT holder FROM lease")
        leads = [place for place, one in enumerate(self.gateways) if holder.endswith(f"-{one.process.pid}")]
        place = leads[0] if leader and leads else self._random.randrange(len(self.gateways))
        gateway = self.gateways[place]
        self.kills[place] += 1
        gateway.process.kill()
        await asyncio.to_thread(gateway.process.wait)
        await asyncio.sleep(1.0)
        port = urlsplit(gateway.url).port or 0
        self.gateways[place] = await start(gateway.data_dir, GATEWAY | self._shared(), port=port)
        self.kills[place] += 1

    def kill_worker(self) -> None:
        """Kill one with -9; its pod starts it again."""
        assert self.rig.node is not None
        running = [process for process in self.rig.node.running.values() if process.returncode is None]
        os.killpg(self._random.choice(running).pid, signal.SIGKILL)

    async def count_workers(self) -> None:
        """Look all the time, until cancelled."""
        while True:
            pods = [pod for pod in self.rig.state.pods.values() if "deletionTimestamp" not in pod["metadata"]]
            self.most_workers = max(self.most_workers, len(pods))
            await asyncio.sleep(0.05)

    def _shared(self) -> dict[str, str]:
        return {"STORE__URL": self.store, **self.rig.settings()}


@pytest.fixture(scope="module")
def databases() -> Iterator[str]:
    with postgresql() as url:
        yield url


@asynccontextmanager
async def site(folder: Path, databases: str, name: str) -> AsyncIterator[Site]:
    await run_sql(databases.format(name="postgres"), f"CREATE DATABASE {name}")
    store = databases.format(name=name)
    gateways: list[Service] = []
    async with cluster(folder, WORKER) as rig:
        made = Site(rig, store, gateways)
        try:
            for number in range(3):
                home = folder / f"gateway-{number}"
                home.mkdir()
                if number:
                    shutil.copy(folder / "gateway-0" / "admin.key", home)
                gateways.append(await start(home, GATEWAY | made._shared()))
            yield made
        finally:
            for gateway in gateways:
                end(gateway)


@pytest.mark.parametrize(
    ("sessions", "rounds", "period_s"),
    [pytest.param(9, 2, 7.0, id="short"), pytest.param(40, 8, 15.0, id="whole")],
)
@pytest.mark.timeout(400)
async def test_killing_gateways_and_workers_in_turn_costs_only_the_sessions_of_the_one_that_dies(
    tmp_path: Path, databases: str, sessions: int, rounds: int, period_s: float
) -> None:
    async with site(tmp_path, databases, f"site_{sessions}") as place:
        await asyncio.to_thread(place.gateways[2].initialize)
        counting = asyncio.create_task(place.count_workers())
        until_s = time.monotonic() + rounds * period_s
        talking = [asyncio.create_task(place.converse(number, until_s)) for number in range(sessions)]
        await asyncio.sleep(period_s / 2)
        for number in range(rounds - 1):
            await place.kill_gateway(leader=number == 0)
            await asyncio.sleep(period_s / 2)
            place.kill_worker()
            await asyncio.sleep(max(0.0, period_s / 2 - 3))
        await asyncio.gather(*talking)
        counting.cancel()
        assert [outcome for outcome in place.outcomes if outcome.startswith("broken")] == []
        assert place.outcomes["whole"] >= sessions
        assert place.most_workers <= MAX_WORKERS
