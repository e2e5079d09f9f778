"""Services of AWS whose calls are messages or objects to Sentry, not only remote calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal.semantics.attributes import first_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_QUEUES = {
    "SendMessage": "queue.publish",
    "SendMessageBatch": "queue.publish",
    "Publish": "queue.publish",
    "PublishBatch": "queue.publish",
    "ReceiveMessage": "queue.receive",
    "DeleteMessage": "queue.settle",
    "DeleteMessageBatch": "queue.settle",
    "ChangeMessageVisibility": "queue.settle",
    "ChangeMessageVisibilityBatch": "queue.settle",
    "CreateQueue": "queue.create",
    "CreateTopic": "queue.create",
}
# https://github.com/getsentry/sentry-conventions: model/op/object.json
_OBJECTS = {
    "GetObject": "object.get",
    "HeadObject": "object.head",
    "PutObject": "object.put",
    "CopyObject": "object.put",
    "DeleteObject": "object.delete",
    "DeleteObjects": "object.delete",
    "ListObjects": "object.list",
    "ListObjectsV2": "object.list",
    "ListObjectVersions": "object.list",
    "UploadPart": "object.upload_part",
    "UploadPartCopy": "object.upload_part",
    "AbortMultipartUpload": "object.multipart_upload.abort",
    "CreateMultipartUpload": "object.multipart_upload.create",
    "CompleteMultipartUpload": "object.multipart_upload.complete",
}


def queue_op(attributes: Mapping[str, Any]) -> str:
    """Return the op of a call of SQS or SNS, else the empty text."""
    service, method = _call(attributes)
    return _QUEUES.get(method, "") if service in ("SQS", "SNS") else ""


def object_op(attributes: Mapping[str, Any]) -> str:
    """Return the op of a call of S3 on objects, else the empty text."""
    service, method = _call(attributes)
    return _OBJECTS.get(method, "") if service == "S3" else ""


def _call(attributes: Mapping[str, Any]) -> tuple[str, str]:
    """Return service and operation; the newer convention writes both in `rpc.method`."""
    if first_text(attributes, "rpc.system.name", "rpc.system") != "aws-api":
        return "", ""
    method = first_text(attributes, "rpc.method", "aws.operation_name")
    service, slash, operation = method.rpartition("/")
    return (service, operation) if slash else (first_text(attributes, "rpc.service"), method)
