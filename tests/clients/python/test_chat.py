"""Chat completions."""

import json

import pydantic

from common import ASK, TEXT, WEATHER, Case


class Thing(pydantic.BaseModel):
    name: str
    lamps: int


class Chat(Case):
    def test_whole(self):
        answer = self.chat()
        self.assertEqual(answer.choices[0].message.content, TEXT)
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
        self.assertTrue(answer.id.startswith("chatcmpl-"))
        self.assertEqual(answer._request_id, "req_mock")

    def test_several_choices(self):
        answer = self.chat(n=3)
        self.assertEqual([choice.index for choice in answer.choices], [0, 1, 2])

    def test_fields_that_nobody_knows_pass(self):
        answer = self.chat(extra_body={"unknown": {"deep": [1, 2.5, None]}})
        self.assertEqual(answer.choices[0].message.content, TEXT)

    def test_headers(self):
        raw = self.client.chat.completions.with_raw_response.create(model="mock", messages=ASK)
        self.assertEqual(raw.parse().choices[0].message.content, TEXT)
        self.assertEqual(raw.headers["x-request-id"], "req_mock")
        self.assertEqual(raw.headers["x-tasklane-model"], "mock")
        self.assertEqual(raw.headers["x-ratelimit-limit-requests"], "1000")
        self.assertEqual(raw.headers["x-ratelimit-remaining-tokens"], "99000")
        self.assertEqual(raw.headers["x-ratelimit-reset-requests"], "60ms")
        self.assertGreaterEqual(int(raw.headers["openai-processing-ms"]), 0)

    def test_a_route_falls_back(self):
        raw = self.client.chat.completions.with_raw_response.create(model="careful", messages=ASK)
        self.assertEqual(raw.headers["x-tasklane-model"], "mock")

    def test_structured_output(self):
        answer = self.client.chat.completions.parse(model="structured", messages=ASK, response_format=Thing)
        self.assertEqual(answer.choices[0].message.parsed, Thing(name="Lighthouse", lamps=3))

    def test_tools(self):
        answer = self.chat(tools=[WEATHER], tool_choice="auto")
        self.assertEqual(answer.choices[0].finish_reason, "tool_calls")
        call = answer.choices[0].message.tool_calls[0]
        self.assertEqual((call.type, call.function.name), ("function", "weather"))
        self.assertEqual(json.loads(call.function.arguments), {"city": "Zürich", "days": 2})
        after = self.client.chat.completions.create(
            model="mock",
            tools=[WEATHER],
            messages=[
                *ASK,
                answer.choices[0].message.model_dump(exclude_none=True),
                {"role": "tool", "tool_call_id": call.id, "content": "Rain."},
            ],
        )
        self.assertEqual(after.choices[0].message.content, TEXT)


class Streams(Case):
    def said(self, chunks):
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    def test_stream(self):
        chunks = list(self.chat(stream=True))
        self.assertEqual(self.said(chunks), TEXT)
        self.assertEqual(chunks[-1].choices[0].finish_reason, "stop")
        # The usage is asked for by the proxy; who did not ask does not see its chunk.
        self.assertTrue(all(chunk.choices for chunk in chunks))

    def test_stream_with_usage(self):
        chunks = list(self.chat(stream=True, stream_options={"include_usage": True}))
        self.assertEqual(self.said(chunks), TEXT)
        self.assertEqual(chunks[-1].choices, [])
        self.assertEqual(chunks[-1].usage.completion_tokens, 8)
        self.assertTrue(all(chunk.usage is None for chunk in chunks[:-1]))

    def test_however_it_is_cut(self):
        for model in ["mock-split-utf8", "mock-split-data", "mock-split-bytes", "mock-comments", "mock-no-done", "mock-no-usage"]:
            with self.subTest(model):
                self.assertEqual(self.said(self.chat(model, stream=True)), TEXT)

    def test_several_choices(self):
        said = {0: "", 1: ""}
        for chunk in self.chat(stream=True, n=2):
            for choice in chunk.choices:
                said[choice.index] += choice.delta.content or ""
        self.assertEqual(said, {0: TEXT, 1: TEXT})

    def test_tools(self):
        arguments, names, finish = "", [], None
        for chunk in self.chat(stream=True, tools=[WEATHER]):
            choice = chunk.choices[0]
            for call in choice.delta.tool_calls or []:
                names += [call.function.name] if call.function.name else []
                arguments += call.function.arguments or ""
            finish = choice.finish_reason or finish
        self.assertEqual((names, finish), (["weather"], "tool_calls"))
        self.assertEqual(json.loads(arguments), {"city": "Zürich", "days": 2})

    def test_the_helper_that_gathers(self):
        with self.client.chat.completions.stream(model="structured", messages=ASK, response_format=Thing) as stream:
            kinds = {event.type for event in stream}
            final = stream.get_final_completion()
        self.assertIn("content.delta", kinds)
        self.assertEqual(final.choices[0].message.parsed, Thing(name="Lighthouse", lamps=3))

    def test_headers(self):
        with self.client.chat.completions.with_streaming_response.create(model="mock", messages=ASK, stream=True) as raw:
            self.assertTrue(raw.headers["content-type"].startswith("text/event-stream"))
            self.assertEqual(raw.headers["x-request-id"], "req_mock")
            self.assertEqual(raw.headers["x-tasklane-model"], "mock")
            self.assertEqual(self.said(raw.parse()), TEXT)

    def test_one_who_leaves(self):
        # What the provider sees of it is for the test that runs this program.
        stream = self.chat("endless", stream=True)
        next(iter(stream))
        next(iter(stream))
        stream.close()
