"""What the tests have in common: clients of tenants, and words that the scripted provider says."""

import os
import unittest

from openai import AsyncOpenAI, OpenAI

# What the scripted provider answers; its characters have one to four bytes.
TEXT = "Grüße aus dem Prüfstand: 世界 hört zu, und 🌍 dreht sich."
ASK = [{"role": "user", "content": "Say something."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    },
}


def key(tenant):
    """A tenant's key."""
    return os.environ[f"{tenant.upper()}_KEY"]


class Case(unittest.TestCase):
    """A test with a client that does not retry, so that what is seen is one answer."""

    def setUp(self):
        self.client = OpenAI(max_retries=0)
        self.addCleanup(self.client.close)

    def of(self, tenant, **more):
        """A client of another tenant."""
        client = OpenAI(api_key=key(tenant), **{"max_retries": 0, **more})
        self.addCleanup(client.close)
        return client

    def chat(self, model="mock", client=None, **more):
        """A small chat."""
        client = client or self.client
        return client.chat.completions.create(model=model, messages=ASK, max_completion_tokens=20, **more)


class AsyncCase(unittest.IsolatedAsyncioTestCase):
    """The same for the client that does not block."""

    async def asyncSetUp(self):
        self.client = AsyncOpenAI(max_retries=0)
        self.addAsyncCleanup(self.client.close)
