"""Reads and answers as Verify.java does, by the Python library; it knows whsec_ only."""

import sys
from base64 import b64decode

from standardwebhooks.webhooks import Webhook

for line in sys.stdin:
    secret, webhook_id, timestamp, signature, body = (b64decode(field) for field in line.split())
    headers = {
        "webhook-id": webhook_id.decode(),
        "webhook-timestamp": timestamp.decode(),
        "webhook-signature": signature.decode(),
    }
    try:
        Webhook(secret.decode()).verify(body.decode(), headers)
        print("valid")
    except Exception as error:
        print(repr(error))
