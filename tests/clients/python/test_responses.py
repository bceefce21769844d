"""Responses: made, in typed events, and kept at the provider."""

import openai
import pydantic

from common import ASK, TEXT, Case


class Thing(pydantic.BaseModel):
    name: str
    lamps: int


class Responses(Case):
    def test_whole(self):
        answer = self.client.responses.create(model="mock", input="Say something.", max_output_tokens=20)
        self.assertEqual((answer.status, answer.output_text), ("completed", TEXT))
        self.assertEqual(answer.usage.output_tokens, 8)
        self.assertEqual(answer._request_id, "req_mock")

    def test_fields_that_nobody_knows_pass(self):
        answer = self.client.responses.create(
            model="mock", input=ASK, instructions="Be brief.", metadata={"a": "b"}, extra_body={"unknown": [1]}
        )
        self.assertEqual((answer.instructions, answer.metadata), ("Be brief.", {"a": "b"}))

    def test_structured_output(self):
        answer = self.client.responses.parse(model="structured", input="A thing.", text_format=Thing)
        self.assertEqual(answer.output_parsed, Thing(name="Lighthouse", lamps=3))

    def test_stream(self):
        events = list(self.client.responses.create(model="mock", input="Say something.", stream=True))
        kinds = [event.type for event in events]
        self.assertEqual((kinds[0], kinds[-1]), ("response.created", "response.completed"))
        self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
        said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        self.assertEqual(said, TEXT)
        self.assertEqual(events[-1].response.usage.output_tokens, 8)

    def test_the_helper_that_gathers(self):
        with self.client.responses.stream(model="mock", input="Say something.") as stream:
            for _ in stream:
                pass
            self.assertEqual(stream.get_final_response().output_text, TEXT)

    def test_kept_at_the_provider(self):
        made = self.client.responses.create(model="mock", input="Keep this.")
        self.assertEqual(self.client.responses.retrieve(made.id).output_text, TEXT)
        items = list(self.client.responses.input_items.list(made.id))
        self.assertEqual(items[0].content[0].text, "Keep this.")
        self.assertEqual(self.client.responses.cancel(made.id).status, "cancelled")
        self.client.responses.delete(made.id)
        with self.assertRaises(openai.NotFoundError):
            self.client.responses.retrieve(made.id)

    def test_an_error_in_mid_stream_is_an_event(self):
        # So the client has it: it raises only on errors that are no event of their own.
        events = list(self.client.responses.create(model="mock-error-middle", input="x", stream=True))
        self.assertEqual((events[-1].type, events[-1].message), ("error", "the script says so"))

    def test_a_stream_that_breaks_off_is_no_answer(self):
        for model in ["mock-close-middle", "mock-hang-middle"]:
            with self.subTest(model), self.assertRaises(openai.APIError) as raised:
                list(self.client.responses.create(model=model, input="x", stream=True))
            self.assertIn("broke off", str(raised.exception))
