import { MalformedError } from '../../base/bytes.ts';
import { printable } from '../../base/printable.ts';
import { HiddenJson } from '../hidden-json.ts';
import type { Explanation } from '../sources/https-fetch.ts';

/** Types of keys that authenticate additional data: others cannot bind what they encrypt to a slot. */
const AEAD_TYPES: readonly string[] = ['aes128-gcm96', 'aes256-gcm96', 'chacha20-poly1305', 'xchacha20-poly1305'];
const MAX_SHOWN = 300;

/** Returns what keeps a key, as the engine describes it, from wrapping. */
export function keyProblem(
  answer: HiddenJson,
): { reason: 'refused' | 'revoked' | 'garbage'; problem: string } | undefined {
  const type = answer.text('data', 'type');
  if (type === undefined) return { reason: 'garbage', problem: 'its answer describes no key' };
  if (answer.plain('data', 'soft_deleted') === true) return { reason: 'revoked', problem: 'the key is deleted' };
  if (!AEAD_TYPES.includes(type))
    return {
      reason: 'refused',
      problem: `a key of type ${printable(type, 40)}; it must be one of ${AEAD_TYPES.join(', ')}`,
    };
  if (answer.plain('data', 'derived') === true)
    return { reason: 'refused', problem: 'the key is one for derivation, of which none is used' };
  return undefined;
}

/** What a status means, and whether a ciphertext is of another key or was changed. */
export interface VaultExplanation extends Explanation {
  readonly isOfAnotherKey: boolean;
}

/** Explains a status other than 200. @param body `{"errors": [text, …]}`, or anything */
export function explainAnswer(status: number, body: Uint8Array): VaultExplanation {
  const errors = errorsIn(body);
  const said = errors === '' ? `it answers ${status}` : `it answers ${status}: ${printable(errors, MAX_SHOWN)}`;
  const explained = (reason: Explanation['reason'], problem: string) => ({ reason, problem, isOfAnotherKey: false });
  if (status === 401 || status === 403) return explained('denied', said);
  if (status === 404) return explained('absent', 'it has no such key, or no transit engine there');
  if (status === 503 && /sealed/i.test(errors)) return explained('refused', 'it is sealed');
  if (status !== 400) return explained('refused', said);
  if (/not found/i.test(errors)) return explained('absent', 'it has no such key');
  if (/disallowed by policy|too old|deleted/i.test(errors)) return explained('revoked', said);
  return { reason: 'refused', problem: said, isOfAnotherKey: /authentication failed|invalid ciphertext/i.test(errors) };
}

function errorsIn(body: Uint8Array): string {
  try {
    return HiddenJson.parse(body).texts('errors').join('; ').replace(/\s+/g, ' ').trim();
  } catch (error) {
    if (error instanceof MalformedError) return '';
    throw error;
  }
}
