// The questions are held to those that ocicrypt sends: written down from skopeo 1.18 (ocicrypt 1.2), which was given
// `provider:test`, `provider:test:par:am` and `provider:test:par2`.
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { MalformedError } from '../../../../src/base/bytes.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { contentKeyIn, unwrapQuestion, wrappedIn, wrapQuestion } from '../../../../src/keys/keyprovider/messages.ts';

const context = Buffer.from('eyJhbGciOiJ4In0');
const digest = `sha256:${createHash('sha256').update(context).digest('hex')}`;
const bytes = Buffer.from('fb'.repeat(32), 'hex');
const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64');
const options = `{"symkey":"${base64(bytes)}","digest":"${digest}","cipheroptions":{}}`;

test.each([
  ['par:am', 'cGFyOmFt'],
  [undefined, 'RW5hYmxlZA=='],
])('a question to wrap, with the parameter %s', (parameter, encoded) => {
  expect(wrapQuestion('test', parameter, Secret.copy(bytes), context).toString()).toBe(
    `{"op":"keywrap","keywrapparams":{"ec":{"Parameters":{"test":["${encoded}"]},"DecryptConfig":{"Parameters":{}}},` +
      `"optsdata":"${base64(options)}"},"keyunwrapparams":{"dc":null,"annotation":null}}`,
  );
});

test.each([
  ['par2', 'cGFyMg=='],
  [undefined, 'RW5hYmxlZA=='],
])('a question to unwrap, with the parameter %s', (parameter, encoded) => {
  expect(unwrapQuestion('test', parameter, Buffer.from('wrapped')).toString()).toBe(
    '{"op":"keyunwrap","keywrapparams":{"ec":null,"optsdata":null},' +
      `"keyunwrapparams":{"dc":{"Parameters":{"test":["${encoded}"]}},"annotation":"${base64('wrapped')}"}}`,
  );
});

const unwrapped = (text: string) => Buffer.from(JSON.stringify({ keyunwrapresults: { optsdata: base64(text) } }));

test('answers', () => {
  expect(wrappedIn(Buffer.from(`{"keywrapresults":{"annotation":"${base64('wrapped')}"}}`)).toString()).toBe('wrapped');
  expect(Buffer.from(contentKeyIn(unwrapped(options), context)?.bytes ?? [])).toEqual(bytes);
});

test('what was wrapped for another slot, or is of another kind, is no content key', () => {
  expect(contentKeyIn(unwrapped(options), Buffer.from('another'))).toBeUndefined();
  for (const other of ['raw bytes', '{}', '[]', `{"digest":"${digest}"}`, `{"digest":"${digest}","symkey":"A"}`])
    expect(contentKeyIn(unwrapped(other), context)).toBeUndefined();
});

test.each([
  '',
  '{}',
  'null',
  '{"keywrapresults":{}}',
  '{"keywrapresults":{"annotation":null}}',
  '{"keywrapresults":7}',
])('the answer %s is of no use', (text) => {
  expect(() => wrappedIn(Buffer.from(text))).toThrow(MalformedError);
  expect(() => contentKeyIn(Buffer.from(text), context)).toThrow(MalformedError);
});
