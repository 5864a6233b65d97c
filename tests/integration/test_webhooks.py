"""Webhooks: a real receiver that fails and dies, a real outbox, real sensors."""

import base64
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from geo_cli.cluster import free_port, port_is_free
from geo_cli.processes import wait_until
from geo_resources import outbox
from geo_resources.cloud_events import News
from geo_resources.database import Database
from geo_resources.webhook import Webhooks, deliver_to
from tests.integration.ledger_world import World

pytestmark = pytest.mark.integration

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
RECEIVER = Path(__file__).with_name("webhook_receiver.py")


class Receiver:
    """A process that receives, and what it has received."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}/hook?token=t0ps3cret"
        self.process: subprocess.Popen[bytes] | None = None
        self.fail({})

    def fail(self, answers: dict[int, int | str]) -> None:
        """What to answer to which delivery, counted from 0."""
        (self.folder / "faults").write_text(json.dumps(answers))

    def start(self) -> None:
        command = [sys.executable, RECEIVER, str(self.port), self.folder, SECRET]
        self.process = subprocess.Popen(command)
        assert wait_until(lambda: not port_is_free(self.port), 60)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def revive(self) -> None:
        """Start it again if it has died, or does so at this moment."""
        if self.process and self.received()[-1][1] == "die":
            self.process.wait()
        if self.process is None or self.process.poll() is not None:
            self.start()

    def received(self) -> list[tuple[object, int | str]]:
        """The `n` of each event, and the answer that it got."""
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        found = [json.loads(line) for line in lines]
        return [(one["event"]["data"]["n"], one["answer"]) for one in found]


class Post:
    """An outbox whose letters are numbered."""

    def __init__(self, database: Database, path: Path) -> None:
        self.database, self.path = database, path
        self.webhooks = Webhooks(path=str(path))
        self.world = World(database)

    def address(self, *targets: dict[str, object]) -> None:
        self.path.write_text(json.dumps({"targets": targets}))

    def put(self, *numbers: int) -> int:
        news = [
            News("strata.dataset.complete", (n,), "dem", "dem", NOON, {"n": n})
            for n in numbers
        ]
        return self.world.transact(self.webhooks.announce, news)

    def deliver(self) -> str:
        return str(self.webhooks.deliver(self.database, 120))

    def hurry(self) -> None:
        """Let all waits be over."""
        self.world.transact(
            lambda connection: connection.execute("UPDATE ops.outbox SET due = now()")
        )

    def put_off(self, seconds: float) -> None:
        """Let what is due be due so much later, as if the clock had been set back."""
        query = "UPDATE ops.outbox SET due = due + make_interval(secs => %s)"
        self.world.transact(lambda connection: connection.execute(query, [seconds]))

    def letters(self) -> list[dict[str, object]]:
        return self.world.query("SELECT * FROM ops.outbox ORDER BY id")


NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def receiver(tmp_path) -> Iterator[Receiver]:
    folder = tmp_path / "receiver"
    folder.mkdir()
    found = Receiver(folder)
    found.start()
    yield found
    found.kill()


@pytest.fixture
def post(database_url, tmp_path, receiver) -> Iterator[Post]:
    database = Database(url=database_url)
    found = Post(database, tmp_path / "hooks.yaml")
    found.address({"name": "ops", "url": receiver.url, "secret": SECRET})
    yield found
    database.close()


def test_only_a_receiver_whose_first_letter_is_due_is_work(post, receiver):
    def due() -> int:
        return post.world.transact(outbox.count_due, ["ops"])

    assert due() == 0
    post.put(1, 2)
    assert due() == 1
    assert post.world.transact(outbox.count_due, ["another"]) == 0
    receiver.fail({0: 500})
    post.deliver()
    assert due() == 0  # the first waits, and holds up the second
    post.hurry()
    assert due() == 1
    post.deliver()
    assert due() == 0


def test_events_arrive_in_order_signed_and_once_when_nothing_fails(post, receiver):
    assert post.put(1, 2, 3) == 3
    assert post.deliver() == "3 events delivered, 0 to be tried again, 0 given up"
    assert receiver.received() == [(1, 204), (2, 204), (3, 204)]
    assert post.deliver() == "0 events delivered, 0 to be tried again, 0 given up"


def test_the_same_news_is_noted_once(post, receiver):
    assert [post.put(1), post.put(1, 2)] == [1, 1]
    post.deliver()
    assert receiver.received() == [(1, 204), (2, 204)]


def test_order_and_at_least_once_hold_through_faults_and_a_death(post, receiver):
    """Delivery 1 and 2 fail, the receiver dies with 5 in hand and comes back."""
    receiver.fail({1: 500, 2: 503, 5: "die"})
    post.put(*range(6))
    rounds = 0
    while any(one["delivered"] is None for one in post.letters()):
        post.deliver()
        post.hurry()
        receiver.revive()
        rounds += 1
        assert rounds < 10
    received = [n for n, _ in receiver.received()]
    assert received == [0, 1, 1, 1, 2, 3, 3, 4, 5]
    assert [n for n, answer in receiver.received() if answer == 204] == [*range(6)]
    attempts = {one["event"]["data"]["n"]: one["attempts"] for one in post.letters()}
    assert attempts == {0: 1, 1: 3, 2: 1, 3: 2, 4: 1, 5: 1}


def test_a_receiver_that_is_away_is_waited_for_ever_longer(post, receiver):
    receiver.kill()
    post.put(1, 2)
    for wait in (5, 10, 20):
        before = datetime.now(UTC)
        assert post.deliver() == "0 events delivered, 1 to be tried again, 0 given up"
        first, second = post.letters()
        after = datetime.now(UTC)
        least = (first["due"] - after).total_seconds()
        most = (first["due"] - before).total_seconds()
        assert least <= wait <= most
        assert second["attempts"] == 0  # order: the second waits for the first
        post.put_off(600)  # whatever the next delivery takes
        assert post.deliver() == "0 events delivered, 0 to be tried again, 0 given up"
        post.hurry()
    assert "Connection refused" in first["last_error"]


def test_what_the_receiver_asks_for_is_waited(post, receiver):
    receiver.fail({0: 429})
    post.put(1)
    post.deliver()
    (letter,) = post.letters()
    assert letter["due"] - datetime.now(UTC) > timedelta(seconds=50)
    assert letter["last_error"] == "HTTP 429"


def test_after_the_last_attempt_an_event_is_a_dead_letter_and_the_next_passes(
    post, receiver
):
    hook = {"name": "ops", "url": receiver.url, "secret": SECRET, "attempts": 2}
    post.address(hook)
    receiver.fail({0: 500, 1: 500})
    post.put(1, 2)
    post.deliver()
    post.hurry()
    assert post.deliver() == "0 events delivered, 0 to be tried again, 1 given up"
    assert post.deliver() == "1 events delivered, 0 to be tried again, 0 given up"
    assert receiver.received() == [(1, 500), (1, 500), (2, 204)]
    (backlog,) = post.world.transact(outbox.backlogs)
    assert backlog == ("ops", 0, None, 1, "HTTP 500")


def test_a_redirect_is_not_followed(post, receiver):
    receiver.fail({0: 307})
    post.put(1)
    post.deliver()
    assert receiver.received() == [(1, 307)]
    assert post.letters()[0]["last_error"] == "HTTP 307"


def test_a_target_that_is_away_does_not_hold_up_another(post, receiver):
    away = f"http://127.0.0.1:{free_port()}/"
    post.address(
        {"name": "away", "url": away, "secret": SECRET},
        {"name": "ops", "url": receiver.url, "secret": SECRET},
    )
    post.put(1, 2)
    assert post.deliver() == "2 events delivered, 1 to be tried again, 0 given up"
    assert receiver.received() == [(1, 204), (2, 204)]


def test_two_deliverers_keep_the_order_and_repeat_nothing(post, receiver):
    post.put(*range(30))
    target = post.webhooks.targets()[0]

    def deliver() -> None:
        deliver_to(post.database, target, time.monotonic() + 120)

    threads = [threading.Thread(target=deliver) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while any(one["delivered"] is None for one in post.letters()):
        post.deliver()
    assert [n for n, _ in receiver.received()] == [*range(30)]


def test_who_dies_with_a_parcel_leaves_it_to_the_next(post, receiver):
    post.put(1)
    parcel = post.world.transact(outbox.take, "ops", 600)
    assert parcel.attempt == 1
    assert post.world.transact(outbox.take, "ops", 600) is None
    post.put_off(-600)
    post.deliver()
    assert receiver.received() == [(1, 204)]


def test_news_of_a_transaction_that_fails_is_not_told(post, receiver):
    news = News("strata.dataset.complete", (1,), "dem", "dem", NOON, {"n": 1})

    def fail(connection: object) -> float:
        return post.webhooks.announce(connection, [news]) / 0

    with pytest.raises(ZeroDivisionError):
        post.world.transact(fail)
    post.deliver()
    assert receiver.received() == []


def test_no_log_and_no_config_shows_address_or_secret(post, receiver, caplog):
    receiver.fail({0: 500})
    with caplog.at_level(logging.DEBUG):
        post.put(1)
        post.deliver()
        receiver.kill()
        post.hurry()
        post.deliver()
    shown = caplog.text + json.dumps(post.letters(), default=str)
    shown += repr(post.webhooks) + str(dg.Definitions(resources={"w": post.webhooks}))
    assert receiver.received() == [(1, 500)]
    assert "t0ps3cret" not in shown
    assert SECRET.removeprefix("whsec_") not in shown
