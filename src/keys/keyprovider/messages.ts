import { createHash } from 'node:crypto';
import { MalformedError } from '../../base/bytes.ts';
import { wipe } from '../../base/wipe.ts';
import { encodeBase64 } from '../../crypto/base64.ts';
import type { Secret } from '../../crypto/secret.ts';
import { HiddenJson, joinSecretText } from '../hidden-json.ts';

/**
 * What key providers are asked and answer: the JSON of KeyProviderKeyWrapProtocolInput and Output of ocicrypt
 * (keywrap/keyprovider/keyprovider.go). What is wrapped has the form that it has for a layer of a container image:
 * `symkey` is the content key, and `digest`, that of the layer there, is the SHA-256 of the slot's context here.
 */

/** Bytes that an answer may have. */
export const MAX_ANSWER_SIZE = 16 << 10;
/** What ocicrypt passes of a provider that is named without a parameter. */
const NO_PARAMETER = 'Enabled';

/** Makes the question to wrap a content key. The caller wipes it. */
export function wrapQuestion(
  name: string,
  parameter: string | undefined,
  contentKey: Secret,
  context: Uint8Array,
): Buffer {
  const ec = JSON.stringify({ Parameters: parametersOf(name, parameter), DecryptConfig: { Parameters: {} } });
  const key = encodeBase64(contentKey.bytes);
  const options = joinSecretText('{"symkey":"', key, `","digest":"${digestOf(context)}","cipheroptions":{}}`);
  const text = encodeBase64(options);
  try {
    const begin = `{"op":"keywrap","keywrapparams":{"ec":${ec},"optsdata":"`;
    return joinSecretText(begin, text, '"},"keyunwrapparams":{"dc":null,"annotation":null}}');
  } finally {
    for (const secret of [key, options, text]) wipe(secret);
  }
}

/** Makes the question to unwrap what was wrapped. */
export function unwrapQuestion(name: string, parameter: string | undefined, annotation: Buffer): Buffer {
  const question = {
    op: 'keyunwrap',
    keywrapparams: { ec: null, optsdata: null },
    keyunwrapparams: {
      dc: { Parameters: parametersOf(name, parameter) },
      annotation: annotation.toString('base64'),
    },
  };
  return Buffer.from(JSON.stringify(question));
}

/** Returns what a provider wrapped. @throws MalformedError for an answer that has nothing */
export function wrappedIn(answer: Uint8Array): Buffer {
  const annotation = HiddenJson.parse(answer).secret('keywrapresults', 'annotation');
  if (annotation === undefined) throw new MalformedError('keywrapresults.annotation is missing');
  try {
    return Buffer.from(annotation.bytes);
  } finally {
    annotation.wipe();
  }
}

/**
 * Returns the content key in an answer, or undefined when it was wrapped for another slot, or is no content key of
 * ours. The caller wipes it.
 * @throws MalformedError for an answer that has nothing
 */
export function contentKeyIn(answer: Uint8Array, context: Uint8Array): Secret | undefined {
  const options = HiddenJson.parse(answer).secret('keyunwrapresults', 'optsdata');
  if (options === undefined) throw new MalformedError('keyunwrapresults.optsdata is missing');
  try {
    const unwrapped = HiddenJson.parse(options.bytes);
    return unwrapped.text('digest') === digestOf(context) ? unwrapped.secret('symkey') : undefined;
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  } finally {
    options.wipe();
  }
}

function parametersOf(name: string, parameter = NO_PARAMETER): Readonly<Record<string, readonly string[]>> {
  return { [name]: [Buffer.from(parameter).toString('base64')] };
}

function digestOf(context: Uint8Array): string {
  return `sha256:${createHash('sha256').update(context).digest('hex')}`;
}
