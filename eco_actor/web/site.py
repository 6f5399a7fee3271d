"""`/site`: the kiosk as its operator describes it, for its page."""

from aiohttp import web

from eco_actor.scan.site import Site
from eco_actor.web.problems import json_response
from eco_actor.web.scans import language_of


class SiteRoutes:
    """Open to read, as the page is."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/site", self.site)

    async def site(self, request: web.Request) -> web.Response:
        """Name, region, texts and bins, in the language of `lang` or `Accept-Language`."""
        return json_response(self._site.to_wire(language_of(request)))
