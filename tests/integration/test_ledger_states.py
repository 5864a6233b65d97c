"""geo_resources/ledger*.py: the invariant holds whatever happens in whatever order.

A machine writes and deletes blobs, observes, claims, lets runs end or die, sweeps and
unpublishes, at random; after each step the ledger, the blobs in silver and the
container must agree. Silver is a set of names here.
"""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from geo_resources import ledger
from geo_resources.database import Database, connect
from tests.integration.ledger_world import World, products_of, sha256

pytestmark = pytest.mark.integration

NAMES = ("a.tif", "b.tif", "c.txt")  # few of each, so that events meet
ETAGS = ("1", "2")
TIERS = ("visualization", "analysis")
CONTENTS = "xy"
BOUNDED = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # add Phase.shrink to understand a failure: minutes
    database=None,
    suppress_health_check=list(HealthCheck),
)
names, etags = st.sampled_from(NAMES), st.sampled_from(ETAGS)
contents = st.sampled_from(CONTENTS)
tiers = st.sets(st.sampled_from(TIERS), min_size=1)


class Platform(RuleBasedStateMachine):
    """One container, one ledger, silver, and runs that live or are dead."""

    world: World
    url: str

    @initialize()
    def begin(self):
        with connect(self.url) as connection:
            connection.execute("SET LOCAL ROLE strata_owner")
            connection.execute("TRUNCATE ops.ledger, ops.deletions CASCADE")
        self.container = {}
        self.observed = {}
        self.silver = set()
        self.held = []  # rows of living runs and of dead ones that do not know it
        self.runs = 0

    @rule(name=names, etag=etags)
    def write(self, name, etag):
        self.container[name] = etag

    @rule(name=names, etag=etags)
    def arrive(self, name, etag):
        self.container[name] = etag
        self.observe()

    @rule(name=names)
    def delete(self, name):
        self.container.pop(name, None)

    @rule()
    def observe(self):
        self.world.see(self.container)
        self.observed = dict(self.container)
        assert [*self.world.broken_rules(self.observed)] == []

    @rule(
        keys=st.sets(names, min_size=1), take_over=st.booleans(), manual=st.booleans()
    )
    def claim(self, keys, manual, take_over=False):  # noqa: FBT002
        """A run begins; with `take_over` it knows that all others are dead."""
        self.runs += 1
        again = ["accepted", "failed", "rejected", "duplicate"] if manual else []
        dead = [row.run_id for row in self.held] if take_over else []
        busy = {row.blob for row in self.held if self.holds(row)}
        run = f"run {self.runs}"
        rows = self.world.claim(*keys, run=run, again=again, take_over=dead)
        assert take_over or not busy & {row.blob for row in rows}
        assert all(self.observed[row.blob] == row.etag for row in rows)
        self.held += rows

    def holds(self, row):
        query = "SELECT run_id FROM ops.ledger WHERE id = %s AND status = 'running'"
        return self.world.query(query, row.id) == [{"run_id": row.run_id}]

    def end(self, data):
        """A row whose run ends now, and whether the run still holds it."""
        row = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        return row, self.holds(row)

    def attempt(self, row, holds, work):
        if holds:
            work(row)
            return
        with pytest.raises(ledger.ClaimLostError):
            work(row)

    def write_products(self, row, made):
        hrefs = [p["href"] for p in products_of(row.blob, *made) if "href" in p]
        self.world.transact(ledger.intend, row, hrefs)
        self.silver |= set(hrefs)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), made=tiers, content=contents)
    def accept(self, data, made, content):
        row, holds = self.end(data)
        self.attempt(row, holds, lambda row: self.bring_home(row, made, content))

    @rule(made=tiers, content=contents, manual=st.booleans())
    def run_through(self, made, content, manual):
        """A run that takes all it can and finishes it."""
        self.observe()
        already = len(self.held)
        self.claim(NAMES, manual)
        for row in self.held[already:]:
            self.bring_home(row, made, content)
        del self.held[already:]

    def bring_home(self, row, made, content):
        with self.world.database.transaction() as connection:
            first = ledger.content(connection, row, sha256(content))
            if first:
                ledger.mark_duplicate(connection, row, first)
        if not first:
            self.write_products(row, made)
            self.world.transact(ledger.accept, row, products_of(row.blob, *made))

    @precondition(lambda self: self.held)
    @rule(data=st.data(), made=tiers, outcome=st.sampled_from(["reject", "fail"]))
    def break_down(self, data, made, outcome):
        def work(row):
            self.write_products(row, made)
            getattr(self.world, outcome)(row)

        row, holds = self.end(data)
        self.attempt(row, holds, work)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), made=tiers, noticed=st.booleans())
    def die(self, data, made, noticed):
        """A run is lost while it writes; if it is a zombie it goes on later."""
        row = data.draw(st.sampled_from(self.held))
        if self.holds(row):
            self.write_products(row, made)
        if noticed:
            self.world.transact(ledger.release, [row.run_id])

    @rule()
    def retry(self):
        self.world.transact(ledger.retry)

    @rule()
    def reroute(self):
        router = self.world.route
        assert self.world.transact(ledger.reroute, "bronze", router) == 0

    @rule(name=names)
    def unpublish(self, name):
        try:
            self.world.transact(ledger.unpublish, "bronze", name)
        except ledger.ClaimHeldError:
            assert any(row.blob == name and self.holds(row) for row in self.held)

    @rule()
    def sweep(self):
        with self.world.database.transaction() as connection:
            due = ledger.deletions_due(connection, 100)
            self.silver -= set(due)
            ledger.deletions_done(connection, due)

    @invariant()
    def every_owned_product_exists_and_every_other_is_noted(self):
        owned = {uri for uri in self.world.owners() if not uri.startswith("item:")}
        assert owned <= self.silver
        assert self.silver <= owned | self.world.deletions()

    @invariant()
    def a_duplicate_has_a_first_that_stands_or_is_worked_on(self):
        lost = self.world.query("""SELECT d.blob, f.status FROM ops.ledger d
            JOIN ops.ledger f ON f.id = d.duplicate_of
            WHERE d.status = 'duplicate' AND d.present AND f.products = '[]'
            AND f.status IN ('gone', 'ignored', 'rejected', 'duplicate')""")
        assert lost == []

    def teardown(self):
        """All runs are dead, work goes on undisturbed: everything comes home."""
        if not hasattr(self, "container"):
            return
        self.world.transact(ledger.release, [row.run_id for row in self.held])
        for turn in range(len(NAMES) + 1):
            self.observe()
            self.world.transact(ledger.retry)
            for row in self.world.claim(*NAMES, run=f"last {turn}", again=[]):
                self.bring_home(row, TIERS, CONTENTS[turn % 2] + row.blob)
        self.sweep()
        home = {"accepted", "duplicate", "ignored"}
        statuses = self.world.statuses()
        for name, etag in self.container.items():
            assert statuses[f"{name}@{etag}"] in home
        owned = {uri for uri in self.world.owners() if not uri.startswith("item:")}
        assert self.silver == owned
        assert self.world.deletions() == set()


def test_the_ledger_keeps_its_invariant_in_any_order_of_events(database_url):
    database = Database(url=database_url)
    Platform.world, Platform.url = World(database), database_url
    run_state_machine_as_test(Platform, settings=BOUNDED)
    database.close()
