"""Application menu: a link to the portal in OpenShift's console."""

import base64
from dataclasses import dataclass

from pulumi import ComponentResource, Output, Resource, ResourceOptions

from components import kube, openshift


@dataclass(frozen=True, kw_only=True)
class ApplicationMenuArgs:
    """``link`` names the object, which belongs to the whole cluster; ``image_url`` None is the program's own.

    ``portal`` is the address, and ``ready`` what has to work before people are sent there.
    """

    scope: kube.Scope
    link: str
    portal: str
    text: str
    section: str
    image_url: str | None
    ready: Resource


class ApplicationMenu(ComponentResource):
    """Seen by everybody who uses the console, and everybody may log in at the portal."""

    link: Output[str]

    def __init__(self, name: str, args: ApplicationMenuArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:ApplicationMenu", name, None, opts)
        made = openshift.console_link(
            f"{name}-link",
            metadata=args.scope.global_meta("console", args.link),
            href=args.portal,
            text=args.text,
            section=args.section,
            image_url=args.image_url or _image(),
            opts=ResourceOptions(parent=self, depends_on=[args.ready]),
        )
        self.link = made.id
        self.register_outputs({"link": self.link})


def _image() -> str:
    """In the link itself, so that the console needs nothing from another host to show it."""
    encoded = base64.b64encode(kube.file("console-link.svg").strip().encode()).decode()
    return f"data:image/svg+xml;base64,{encoded}"
