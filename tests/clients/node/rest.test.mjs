// Responses, embeddings, moderations, models, files, batches.

import assert from 'node:assert/strict';
import test from 'node:test';

import OpenAI, { toFile } from 'openai';

import { ASK, TEXT, all, client, of } from './common.mjs';

test('a response, whole', async () => {
  const answer = await client.responses.create({ model: 'mock', input: 'Say something.', max_output_tokens: 20 });
  assert.deepEqual([answer.status, answer.output_text, answer.usage.output_tokens], ['completed', TEXT, 8]);
  assert.equal(answer._request_id, 'req_mock');
});

test('a response in typed events', async () => {
  const events = await all(client.responses.create({ model: 'mock', input: ASK, stream: true }));
  assert.deepEqual([events[0].type, events.at(-1).type], ['response.created', 'response.completed']);
  assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
  const deltas = events.filter((event) => event.type === 'response.output_text.delta');
  assert.equal(deltas.map((event) => event.delta).join(''), TEXT);
});

test('the helper that gathers a response', async () => {
  const final = await client.responses.stream({ model: 'mock', input: 'Say something.' }).finalResponse();
  assert.equal(final.output_text, TEXT);
});

test('a response that is kept at the provider', async () => {
  const made = await client.responses.create({ model: 'mock', input: 'Keep this.' });
  assert.equal((await client.responses.retrieve(made.id)).id, made.id);
  const items = await all(client.responses.inputItems.list(made.id));
  assert.equal(items[0].content[0].text, 'Keep this.');
  assert.equal((await client.responses.cancel(made.id)).status, 'cancelled');
  await client.responses.delete(made.id);
  await assert.rejects(client.responses.retrieve(made.id), OpenAI.NotFoundError);
});

test('embeddings, packed and plain', async () => {
  const ask = { model: 'embedding', input: ['a lamp', 'a lens'], dimensions: 4 };
  // The client asks for base64 unless told otherwise, and makes numbers of it.
  const packed = await client.embeddings.create(ask);
  const plain = await client.embeddings.create({ ...ask, encoding_format: 'float' });
  assert.deepEqual(packed.data.map((one) => one.index), [0, 1]);
  packed.data.forEach((one, at) => {
    assert.equal(one.embedding.length, 4);
    one.embedding.forEach((x, i) => assert.ok(Math.abs(x - plain.data[at].embedding[i]) < 1e-6));
  });
});

test('moderations', async () => {
  const answer = await client.moderations.create({ model: 'moderation', input: ['a lamp', 'a forbidden lamp'] });
  assert.deepEqual(answer.results.map((result) => result.flagged), [false, true]);
});

test('models', async () => {
  const ids = (await all(client.models.list())).map((model) => model.id);
  for (const id of ['mock', 'careful', 'embedding']) assert.ok(ids.includes(id), ids.join());
  assert.deepEqual((await all(of('held').models.list())).map((model) => model.id), ['mock']);
  assert.equal((await client.models.retrieve('careful')).id, 'careful');
  await assert.rejects(client.models.retrieve('nobody'), OpenAI.NotFoundError);
});

test('a file from its making to its end', async () => {
  const content = Buffer.from('{"text":"Grüße"}\r\n--x\r\n');
  const made = await client.files.create({ file: await toFile(content, 'in put.jsonl'), purpose: 'batch' });
  assert.deepEqual([made.filename, made.purpose, made.bytes], ['in put.jsonl', 'batch', content.length]);
  const listed = (await all(client.files.list({ purpose: 'batch' }))).map((file) => file.id);
  assert.ok(listed.includes(made.id));
  assert.equal((await client.files.retrieve(made.id)).id, made.id);
  const back = Buffer.from(await (await client.files.content(made.id)).arrayBuffer());
  assert.deepEqual(back, content);
  assert.equal((await client.files.delete(made.id)).deleted, true);
  await assert.rejects(client.files.retrieve(made.id), OpenAI.NotFoundError);
});

test('a batch from its making to its end', async () => {
  const file = await client.files.create({ file: await toFile(Buffer.from('{}\n'), 'in.jsonl'), purpose: 'batch' });
  const made = await client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata: { order: '42' },
  });
  assert.deepEqual([made.status, made.input_file_id, made.metadata], ['validating', file.id, { order: '42' }]);
  assert.equal((await client.batches.retrieve(made.id)).id, made.id);
  assert.ok((await all(client.batches.list({ limit: 10 }))).some((batch) => batch.id === made.id));
  assert.equal((await client.batches.cancel(made.id)).status, 'cancelling');
});
