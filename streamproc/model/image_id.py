"""The ImageId of a picture: a pure function of what was sent, so that whoever has the picture
can tell whether it is indexed already."""

import uuid

_IMAGE_NAMESPACE = uuid.UUID("e699d57c-d449-4462-bbd8-691638d7e76a")  # ours, drawn once


def image_id_of(image_digest: str, external_image_id: str | None) -> str:
    """The same bytes under the same external id give the same ImageId.

    image_digest is the SHA-256 of the bytes as they are sent, in lower-case hex.
    """
    # Neither a digest nor an external id can hold a newline.
    return str(uuid.uuid5(_IMAGE_NAMESPACE, f"{image_digest}\n{external_image_id or ''}"))
