"""The desk of promotions: an order comes in, production serves another version.

Goes in: what somebody wants to be promoted, and how its checks went. Comes out: what
serves since. What stays out: how rows travel.
"""

from collections.abc import Collection, Sequence
from functools import partial

import dagster as dg

from geo_assets.contract import DatasetContract
from geo_assets.promotion.checks import Blocker, find_blockers, sentence
from geo_resources import promotion
from geo_resources.data_factory import DataFactory
from geo_resources.database import Database
from geo_resources.production import ProductionDatabase
from geo_resources.promotion_copy import copy_all
from geo_resources.promotion_model import Engine, PromotionRefusedError
from geo_resources.promotion_plan import accepted_of
from geo_resources.promotions import Order, Swapped


class PromotionDesk:
    """Promotes one dataset, or takes it back.

    Args:
        contract: of the dataset.
        keys: of the dataset's checks.
        working: the database that the dataset was made in.
        production: the one that serves.
        log: of the run.
    """

    def __init__(
        self,
        contract: DatasetContract,
        keys: Sequence[dg.AssetCheckKey],
        working: Database,
        production: ProductionDatabase,
        log: dg.DagsterLogManager,
    ) -> None:
        self._contract = contract
        self._keys = keys
        self._working = working
        self._production = production
        self._log = log

    def execute(
        self, order: Order, instance: dg.DagsterInstance, factory: DataFactory
    ) -> Swapped:
        """Do what is ordered.

        Raises:
            PromotionError: it cannot be done as things are.
        """
        if order.action == "reverse":
            return promotion.reverse(self._production, order)
        engine = self._engine(order, factory)
        desk = promotion.Desk(self._working, self._production, engine, self._log.info)
        return promotion.promote(desk, order, partial(self._admit, instance))

    def _engine(self, order: Order, factory: DataFactory) -> Engine:
        if order.engine == "copy":
            return copy_all
        return partial(factory.copy_all, say=self._log.info)

    def _admit(self, instance: dg.DagsterInstance) -> None:
        blockers = blockers_of(instance, self._keys, self._working, self._contract.name)
        if blockers:
            raise PromotionRefusedError(sentence(self._contract.name, blockers))


def blockers_of(
    instance: dg.DagsterInstance,
    keys: Sequence[dg.AssetCheckKey],
    working: Database,
    dataset: str,
) -> list[Blocker]:
    """Failed checks that stand in the way of a dataset."""

    def accepted(partitions: Collection[str]) -> Collection[str]:
        with working.transaction() as connection:
            return accepted_of(connection, dataset, partitions)

    return find_blockers(instance, keys, accepted)
