// Chat completions.

import assert from 'node:assert/strict';
import test from 'node:test';

import { ASK, TEXT, WEATHER, all, chat, client, said } from './common.mjs';

test('whole', async () => {
  const answer = await chat();
  assert.equal(answer.choices[0].message.content, TEXT);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  assert.equal(answer._request_id, 'req_mock');
});

test('several choices, and fields that nobody knows', async () => {
  const answer = await chat({ n: 3, unknown: { deep: [1, 2.5, null] } });
  assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1, 2]);
});

test('headers', async () => {
  const { data, response, request_id } = await chat().withResponse();
  assert.equal(data.choices[0].message.content, TEXT);
  assert.equal(request_id, 'req_mock');
  assert.equal(response.headers.get('x-tasklane-model'), 'mock');
  assert.equal(response.headers.get('x-ratelimit-limit-requests'), '1000');
  assert.equal(response.headers.get('x-ratelimit-remaining-tokens'), '99000');
  assert.equal(response.headers.get('x-ratelimit-reset-requests'), '60ms');
});

test('a route falls back', async () => {
  const { response } = await chat({ model: 'careful' }).withResponse();
  assert.equal(response.headers.get('x-tasklane-model'), 'mock');
});

test('structured output', async () => {
  const schema = { type: 'object', properties: { name: { type: 'string' }, lamps: { type: 'integer' } } };
  const answer = await client.chat.completions.parse({
    model: 'structured',
    messages: ASK,
    response_format: { type: 'json_schema', json_schema: { name: 'thing', schema } },
  });
  assert.deepEqual(JSON.parse(answer.choices[0].message.content), { name: 'Lighthouse', lamps: 3 });
});

test('tools', async () => {
  const answer = await chat({ tools: [WEATHER] });
  assert.equal(answer.choices[0].finish_reason, 'tool_calls');
  const [call] = answer.choices[0].message.tool_calls;
  assert.equal(call.function.name, 'weather');
  assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Zürich', days: 2 });
  const result = { role: 'tool', tool_call_id: call.id, content: 'Rain.' };
  const after = await chat({ tools: [WEATHER], messages: [...ASK, answer.choices[0].message, result] });
  assert.equal(after.choices[0].message.content, TEXT);
});

test('tools by the helper that runs them', async () => {
  const asked = [];
  const weather = (args) => (asked.push(args), 'Rain.');
  const tool = { ...WEATHER, function: { ...WEATHER.function, function: weather, parse: JSON.parse } };
  const runner = client.chat.completions.runTools({ model: 'mock', messages: ASK, tools: [tool], stream: true });
  assert.equal(await runner.finalContent(), TEXT);
  assert.deepEqual(asked, [{ city: 'Zürich', days: 2 }]);
});

test('stream', async () => {
  const chunks = await all(chat({ stream: true }));
  assert.equal(said(chunks), TEXT);
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  // The usage is asked for by the proxy; who did not ask does not see its chunk.
  assert.ok(chunks.every((chunk) => chunk.choices.length > 0));
});

test('stream with usage', async () => {
  const chunks = await all(chat({ stream: true, stream_options: { include_usage: true } }));
  assert.equal(said(chunks), TEXT);
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.equal(chunks.at(-1).usage.completion_tokens, 8);
});

for (const model of ['mock-split-utf8', 'mock-split-data', 'mock-split-bytes', 'mock-comments', 'mock-no-done']) {
  test(`stream of ${model}`, async () => assert.equal(said(await all(chat({ model, stream: true }))), TEXT));
}

test('the helper that gathers a stream', async () => {
  const stream = client.chat.completions.stream({ model: 'mock', messages: ASK, n: 2 });
  const final = await stream.finalChatCompletion();
  assert.deepEqual(final.choices.map((choice) => choice.message.content), [TEXT, TEXT]);
});

test('streamed tool calls', async () => {
  const stream = client.chat.completions.stream({ model: 'mock', messages: ASK, tools: [WEATHER] });
  const final = await stream.finalChatCompletion();
  const [call] = final.choices[0].message.tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Zürich', days: 2 });
});

// What the provider sees of these two is for the test that runs this program. Both hear a word first: a stream's first
// chunk has none.
test('one who leaves', async () => {
  for await (const chunk of await chat({ model: 'endless', stream: true })) {
    if (chunk.choices[0].delta.content) break;
  }
});

test('one who aborts', async () => {
  const stream = await chat({ model: 'endless', stream: true });
  let heard = '';
  for await (const chunk of stream) {
    heard += chunk.choices[0].delta.content;
    if (heard) stream.controller.abort();
  }
  assert.ok(heard.length < TEXT.length, heard);
});
