"""Embeddings, moderations, models, files, batches."""

import io
import math

import openai

from common import Case


class Embeddings(Case):
    def test_one_text(self):
        # The client asks for base64 unless told otherwise, and makes numbers of it.
        answer = self.client.embeddings.create(model="embedding", input="a lamp")
        [one] = answer.data
        self.assertEqual(len(one.embedding), 16)
        self.assertAlmostEqual(math.fsum(x * x for x in one.embedding), 1.0, places=4)
        self.assertGreater(answer.usage.prompt_tokens, 0)

    def test_several_texts_and_both_encodings(self):
        ask = {"model": "embedding", "input": ["a lamp", "a lens"], "dimensions": 4}
        packed = self.client.embeddings.create(**ask)
        plain = self.client.embeddings.create(**ask, encoding_format="float")
        self.assertEqual([one.index for one in packed.data], [0, 1])
        for a, b in zip(packed.data, plain.data, strict=True):
            self.assertEqual(len(a.embedding), 4)
            for x, y in zip(a.embedding, b.embedding, strict=True):
                self.assertAlmostEqual(x, y, places=6)

    def test_tokens(self):
        answer = self.client.embeddings.create(model="embedding", input=[[1, 2, 3], [4]])
        self.assertEqual(len(answer.data), 2)


class Moderations(Case):
    def test_flagged_or_not(self):
        answer = self.client.moderations.create(model="moderation", input=["a lamp", "a forbidden lamp"])
        self.assertEqual([result.flagged for result in answer.results], [False, True])
        self.assertTrue(answer.results[1].categories.violence)


class Models(Case):
    def test_list(self):
        ids = [model.id for model in self.client.models.list()]
        self.assertTrue({"mock", "careful", "embedding", "moderation"} <= set(ids), ids)
        self.assertEqual([model.id for model in self.of("held").models.list()], ["mock"])

    def test_one(self):
        self.assertEqual(self.client.models.retrieve("careful").id, "careful")
        with self.assertRaises(openai.NotFoundError) as raised:
            self.client.models.retrieve("nobody")
        self.assertEqual((raised.exception.code, raised.exception.param), ("model_not_found", "model"))
        with self.assertRaises(openai.NotFoundError):
            self.of("held").models.retrieve("careful")


class Files(Case):
    CONTENT = '{"custom_id":"1","body":{"text":"Grüße"}}\r\n--x\r\n'.encode()

    def test_a_file_from_its_making_to_its_end(self):
        made = self.client.files.create(file=("in put.jsonl", io.BytesIO(self.CONTENT)), purpose="batch")
        self.assertEqual((made.filename, made.purpose, made.bytes), ("in put.jsonl", "batch", len(self.CONTENT)))
        self.assertIn(made.id, [file.id for file in self.client.files.list(purpose="batch")])
        self.assertEqual(self.client.files.retrieve(made.id).id, made.id)
        self.assertEqual(self.client.files.content(made.id).read(), self.CONTENT)
        self.assertTrue(self.client.files.delete(made.id).deleted)
        with self.assertRaises(openai.NotFoundError):
            self.client.files.retrieve(made.id)

    def test_a_large_one(self):
        content = bytes(range(256)) * 4096 * 4
        made = self.client.files.create(file=("x.bin", content), purpose="assistants")
        self.assertEqual(self.client.files.content(made.id).content, content)

    def test_not_for_who_is_held_to_models(self):
        with self.assertRaises(openai.PermissionDeniedError):
            self.of("held").files.list()


class Batches(Case):
    def test_a_batch_from_its_making_to_its_end(self):
        file = self.client.files.create(file=("in.jsonl", b"{}\n"), purpose="batch")
        made = self.client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={"order": "42"},
        )
        self.assertEqual((made.status, made.input_file_id, made.metadata), ("validating", file.id, {"order": "42"}))
        self.assertEqual(self.client.batches.retrieve(made.id).id, made.id)
        self.assertIn(made.id, [batch.id for batch in self.client.batches.list(limit=10)])
        self.assertEqual(self.client.batches.cancel(made.id).status, "cancelling")
        with self.assertRaises(openai.NotFoundError):
            self.client.batches.retrieve("batch_nobody")
