"""Images to registries."""

from __future__ import annotations

from drupe.errors import SpecError
from drupe.image.calloff import CallOff
from drupe.image.find import find_image
from drupe.image.store import ImageStore
from drupe.image.transfer import Observer, for_all, unobserved
from drupe.oci.document import parse_object
from drupe.oci.manifest import OCI_MANIFEST, Descriptor, Manifest, parse_manifest
from drupe.oci.reference import parse_reference
from drupe.registry.client import Client


def push(
    name: str,
    destination: str | None = None,
    *,
    checked: bool | None = None,
    observe: Observer = unobserved,
    call_off: CallOff | None = None,
) -> str:
    """Sends an image to a registry, or what that lacks of it; returns its digest there.

    Args:
        name: an image here.
        destination: a reference that tells where to; None: the name does.
        checked: as for ``pull``.
        observe: as for ``pull``.
        call_off: as for ``pull``.

    Raises:
        NotFoundError: there is no such image, or its layers are not here.
        HostError: the network failed, or the registry refused.
    """
    reference = parse_reference(destination or name)
    if reference.tag is None:
        raise SpecError(f"failed to push '{name}': a digest is not to be chosen", hint="name a tag")
    what = f"push '{reference.familiar}'"
    image = find_image(name)
    store = ImageStore(image.root.parent.parent)
    data = store.blob(image.manifest).read_bytes()
    manifest = parse_manifest(data, f"image '{image.id[:12]}'")
    if not isinstance(manifest, Manifest):
        raise SpecError(f"failed to {what}: its manifest is an index")
    client = Client(reference, push=True, checked=checked)

    def send(part: Descriptor) -> None:
        gauge = observe(part.digest[7:19], None)
        gauge.step("pushing")
        if client.has_blob(part.digest, what):
            gauge.end("already there")
            return
        client.push_blob(part.digest, store.blob(part.digest), what)
        gauge.end("pushed")

    # Nothing of it is taken away meanwhile.
    with store.adding(), (call_off or CallOff()).watching(client, what):
        client.ping()
        for_all(client, {p.digest: p for p in (*manifest.layers, manifest.config)}.values(), send)
        media_type = str(parse_object(data, what).get("mediaType") or OCI_MANIFEST)
        client.push_manifest(reference.tag, data, media_type, what)
    return image.manifest
