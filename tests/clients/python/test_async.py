"""The client that does not block."""

import asyncio
import io

import openai

from common import ASK, TEXT, AsyncCase


class Async(AsyncCase):
    def chat(self, model="mock", **more):
        return self.client.chat.completions.create(model=model, messages=ASK, max_completion_tokens=20, **more)

    async def test_many_at_once(self):
        answers = await asyncio.gather(*(self.chat() for _ in range(20)))
        self.assertEqual({answer.choices[0].message.content for answer in answers}, {TEXT})
        self.assertEqual(len({answer.id for answer in answers}), 20)

    async def test_stream(self):
        said = [chunk.choices[0].delta.content or "" async for chunk in await self.chat(stream=True)]
        self.assertEqual("".join(said), TEXT)

    async def test_responses(self):
        said = ""
        async for event in await self.client.responses.create(model="mock", input="Say something.", stream=True):
            said += event.delta if event.type == "response.output_text.delta" else ""
        self.assertEqual(said, TEXT)

    async def test_the_rest(self):
        vectors = await self.client.embeddings.create(model="embedding", input=["a", "b"])
        self.assertEqual(len(vectors.data), 2)
        self.assertIn("mock", [model.id async for model in self.client.models.list()])
        made = await self.client.files.create(file=("a.txt", io.BytesIO(b"a")), purpose="batch")
        self.assertEqual((await self.client.files.content(made.id)).content, b"a")
        moderated = await self.client.moderations.create(model="moderation", input="a lamp")
        self.assertFalse(moderated.results[0].flagged)

    async def test_errors(self):
        with self.assertRaises(openai.NotFoundError):
            await self.chat("nobody")
        with self.assertRaises(openai.APITimeoutError):
            await self.client.with_options(timeout=0.3).chat.completions.create(model="mock-hang-before", messages=ASK)
        with self.assertRaises(openai.APIError):
            async for _ in await self.chat("mock-close-middle", stream=True):
                pass

    async def test_one_who_leaves(self):
        stream = await self.chat("endless", stream=True)
        await anext(aiter(stream))
        await stream.close()

    async def test_one_who_is_cancelled(self):
        async def listen():
            async for _ in await self.chat("endless", stream=True):
                heard.set()

        heard = asyncio.Event()
        task = asyncio.create_task(listen())
        await heard.wait()
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
