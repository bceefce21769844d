// What the tests have in common: clients of tenants, and words that the scripted provider says.

import OpenAI from 'openai';

// What the scripted provider answers; its characters have one to four bytes.
export const TEXT = 'Grüße aus dem Prüfstand: 世界 hört zu, und 🌍 dreht sich.';
export const ASK = [{ role: 'user', content: 'Say something.' }];
export const WEATHER = {
  type: 'function',
  function: {
    name: 'weather',
    parameters: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } } },
  },
};

// A client that does not retry, so that what is seen is one answer.
export const client = new OpenAI({ maxRetries: 0 });

// A client of another tenant.
export const of = (tenant, more = {}) =>
  new OpenAI({ apiKey: process.env[`${tenant.toUpperCase()}_KEY`], maxRetries: 0, ...more });

// A small chat.
export const chat = (more = {}, by = client, options = {}) =>
  by.chat.completions.create({ model: 'mock', messages: ASK, max_completion_tokens: 20, ...more }, options);

// All that a stream brings.
export async function all(stream) {
  const things = [];
  for await (const thing of await stream) things.push(thing);
  return things;
}

// What the chunks of a chat say together.
export const said = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
