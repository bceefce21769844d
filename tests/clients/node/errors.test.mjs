// Errors: the right class, all four fields, and what the client does by itself.

import assert from 'node:assert/strict';
import test from 'node:test';

import OpenAI from 'openai';

import { all, chat, client, of } from './common.mjs';

// The error of a call that has to fail with exactly this class.
async function fails(kind, promise) {
  const error = await promise.then(() => assert.fail('it did not fail'), (e) => e);
  assert.equal(error.constructor, kind, error);
  return error;
}

test('a wrong key', async () => {
  const error = await fails(OpenAI.AuthenticationError, chat({}, client.withOptions({ apiKey: "nobody's" })));
  assert.deepEqual([error.status, error.code, error.type], [401, 'invalid_api_key', 'invalid_request_error']);
});

test('a model that is not there', async () => {
  const error = await fails(OpenAI.NotFoundError, chat({ model: 'nobody' }));
  assert.deepEqual([error.code, error.param, error.type], ['model_not_found', 'model', 'invalid_request_error']);
  assert.match(error.message, /nobody/);
});

test('a model that is not allowed', async () => {
  const error = await fails(OpenAI.PermissionDeniedError, chat({ model: 'careful' }, of('held')));
  assert.equal(error.code, 'permission_denied');
});

test('a request that the proxy refuses', async () => {
  const error = await fails(OpenAI.BadRequestError, chat({ model: 'embedding' }));
  assert.deepEqual([error.param, error.code, error.headers.get('x-tasklane-code')], ['model', 'invalid_value', 'TL2302']);
});

for (const stream of [false, true]) {
  test(`a request that the provider refuses (stream: ${stream})`, async () => {
    const error = await fails(OpenAI.BadRequestError, chat({ model: 'refused', stream }));
    assert.deepEqual([error.param, error.code, error.type], ['messages', 'context_length_exceeded', 'invalid_request_error']);
    assert.match(error.message, /too long/);
  });
}

test('providers that fail', async () => {
  for (const [model, status, code] of [
    ['mock-500-9999', 500, 'scripted_500'],
    ['mock-hang-before', 504, 'timeout'],
    ['mock-wrong-json', 502, 'bad_gateway'],
  ]) {
    const error = await fails(OpenAI.InternalServerError, chat({ model }));
    assert.deepEqual([error.status, error.code], [status, code]);
  }
});

test('a client that does not wait', async () => {
  await fails(OpenAI.APIConnectionTimeoutError, chat({ model: 'mock-hang-before' }, client, { timeout: 300 }));
});

test('an error in mid-stream is raised', async () => {
  const error = await fails(OpenAI.APIError, all(chat({ model: 'mock-error-middle', stream: true })));
  assert.match(error.message, /the script says so/);
});

for (const model of ['mock-close-middle', 'mock-hang-middle']) {
  test(`a stream that breaks off is no answer (${model})`, async () => {
    const error = await fails(OpenAI.APIError, all(chat({ model, stream: true })));
    assert.match(error.message, /broke off/);
    const response = client.responses.create({ model, input: 'x', stream: true });
    assert.match((await fails(OpenAI.APIError, all(response))).message, /broke off/);
  });
}

test('an error in mid-response is an event', async () => {
  const events = await all(client.responses.create({ model: 'mock-error-middle', input: 'x', stream: true }));
  assert.deepEqual([events.at(-1).type, events.at(-1).message], ['error', 'the script says so']);
});

// The requests that a client sends for one call, by what it says of them itself.
function counting(tenant, maxRetries) {
  const retries = [];
  const fetched = (url, init) => {
    retries.push(new Headers(init.headers).get('x-stainless-retry-count'));
    return fetch(url, init);
  };
  return { retries, by: of(tenant, { maxRetries, fetch: fetched }) };
}

test('a limit of ours says when to come back', async () => {
  const narrow = of('narrow');
  await chat({}, narrow);
  await chat({}, narrow);
  const error = await fails(OpenAI.RateLimitError, chat({}, narrow));
  assert.deepEqual([error.code, error.type], ['rate_limit_exceeded', 'rate_limit_exceeded']);
  assert.ok(Number(error.headers.get('retry-after-ms')) > 0);
});

test('a budget that is spent is not asked again', async () => {
  const { retries, by } = counting('poor', 2);
  const spend = async () => {
    for (let n = 0; n < 50; n += 1) await chat({}, by);
  };
  const error = await fails(OpenAI.RateLimitError, spend());
  assert.equal(error.code, 'insufficient_quota');
  assert.ok(retries.every((retry) => retry === '0'), retries.join());
});

test('what the provider says of waiting reaches the client', async () => {
  const { retries, by } = counting('acme', 2);
  const error = await fails(OpenAI.RateLimitError, chat({ model: 'mock-429-ms' }, by));
  assert.equal(error.headers.get('retry-after-ms'), '100');
  assert.deepEqual(retries, ['0', '1', '2']);
});

test('a provider that forbids to retry is obeyed', async () => {
  const { retries, by } = counting('acme', 2);
  await fails(OpenAI.RateLimitError, chat({ model: 'mock-429-never' }, by));
  assert.deepEqual(retries, ['0']);
});

test('what passes is retried until it is good', async () => {
  // The proxy asks three times, the client comes once more.
  const { retries, by } = counting('acme', 1);
  assert.ok(await chat({ model: 'mock-500-3' }, by));
  assert.deepEqual(retries, ['0', '1']);
});
