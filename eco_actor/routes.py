"""All addresses of a server, in one place."""

from aiohttp import web

from eco_actor.parts import ROOT, Parts
from eco_actor.web.api_document import DocumentRoutes
from eco_actor.web.channels import ChannelRoutes
from eco_actor.web.classify import ClassifyRoute
from eco_actor.web.drain import DrainRoutes
from eco_actor.web.figures import ScanCounts
from eco_actor.web.inspection import InspectionRoutes
from eco_actor.web.metrics import MetricsRoutes, Sources
from eco_actor.web.observer import ObserverRoutes
from eco_actor.web.opening import Opening
from eco_actor.web.operations import OperationRoutes
from eco_actor.web.pages import PageRoutes
from eco_actor.web.polls import PollRoutes
from eco_actor.web.prefix import mark
from eco_actor.web.rate import RateLimit
from eco_actor.web.scans import ScanRoutes
from eco_actor.web.site import SiteRoutes
from eco_actor.web.streams import StreamRoutes


def add_routes(parts: Parts, app: web.Application) -> Opening:
    """Serve *parts* at the root of *app*; what opens its streams. Reads the files of the pages.

    *app* has `problems` as a middleware already, which is to be the first.
    """
    config, log, delivery, operator = parts.config, parts.log, parts.delivery, parts.operator
    parts.trust.add_to(app)
    ScanRoutes(parts.admission, parts.views, parts.book).add_to(app)
    SiteRoutes(parts.site).add_to(app)
    ClassifyRoute(
        parts.admission,
        parts.views,
        parts.idempotency,
        vision=config.vision,
        sync_wait_s=config.sync_wait_s,
        tags=parts.book.tag_ids,
        limit=RateLimit(config.scan_rate, config.scan_burst) if config.scan_rate else None,
    ).add_to(app)
    opening = Opening(delivery, parts.gate, parts.connections)
    StreamRoutes(opening, parts.publisher, operator, parts.trust).add_to(app)
    PollRoutes(log, delivery.directory, delivery.traffic).add_to(app)
    ChannelRoutes(log, delivery.directory, operator, parts.idempotency, delivery.traffic).add_to(
        app
    )
    operator.add_to(app)
    OperationRoutes(log, parts.find, f"/{ROOT}", operator, parts.drained).add_to(app)
    counted = ScanCounts(parts.counts, parts.book.bin_ids)
    sources = Sources(delivery.traffic, parts.gate, parts.drained, log, parts.system, counted)
    MetricsRoutes(sources).add_to(app)
    DrainRoutes(lambda: parts.find(f"/{ROOT}/work/drain"), operator).add_to(app)
    InspectionRoutes(parts.find, operator).add_to(app)
    DocumentRoutes({"tags": parts.book.tag_ids}).add_to(app)
    PageRoutes().add_to(app)
    ObserverRoutes(operator.login_by_query).add_to(app)
    mark(app)
    return opening
