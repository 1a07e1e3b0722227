import { CkptfsError } from '../../base/errors.ts';
import type { Primitives } from '../../crypto/primitives.ts';
import { Secret } from '../../crypto/secret.ts';
import { primitives } from '../../crypto/select.ts';
import { randomBytes } from '../../crypto/system-random.ts';
import { MAX_ITERATIONS_OF_IMAGE } from '../../format/header.ts';
import { commonParameters, parametersFor, type Slot, type SlotJwe } from '../../format/slot.ts';
import type { SlotDescription } from '../../format/slot-description.ts';
import { openWrapped, sealContent, wrapWithKey } from './content.ts';

const ALGORITHM = 'PBES2-HS512+A256KW';
const WRAPPING_KEY_SIZE = 32;
const NEW_SALT_SIZE = 16;
const SALT_SIZES = { min: 16, max: 64 } as const;
/** Bounds of what a slot may ask of a reader, and the least that a writer may ask (format.md §3). */
const READ_ITERATIONS = { min: 1000, max: 4_000_000 } as const;
const MIN_WRITTEN_ITERATIONS = 210_000;
/** Well above what OWASP's password storage cheat sheet says for PBKDF2 with HMAC-SHA-512: 210,000. */
export const DEFAULT_ITERATIONS = 600_000;

/** How the wrapping key of a slot is derived from a passphrase: `p2s` and `p2c` of RFC 7518 §4.8.1. */
export interface Derivation {
  readonly salt: Uint8Array;
  readonly iterations: number;
}

/** Counts the iterations for one image, so that hostile slots cannot keep a reader busy for long. */
export class IterationBudget {
  readonly #spent = new Map<string, number>();

  /** Returns whether so many more may be computed for an image, and counts them. */
  spend(imageId: Uint8Array, iterations: number): boolean {
    const image = Buffer.from(imageId).toString('hex');
    const spent = (this.#spent.get(image) ?? 0) + iterations;
    if (spent > MAX_ITERATIONS_OF_IMAGE) return false;
    this.#spent.set(image, spent);
    return true;
  }

  /** Begins anew for an image that was opened. */
  reset(imageId: Uint8Array): void {
    this.#spent.delete(Buffer.from(imageId).toString('hex'));
  }
}

/**
 * Returns how a slot derives its wrapping key. Returns undefined when it is of another image, or for anything but a
 * passphrase, or asks for what no reader gives.
 * @param imageId 16 bytes
 */
export function derivationOf(slot: SlotJwe, imageId: Uint8Array): Derivation | undefined {
  const parameters = parametersFor(slot, imageId, ALGORITHM, ['p2s', 'p2c']);
  const [p2s, iterations] = [parameters?.get('p2s'), parameters?.get('p2c')];
  if (typeof p2s !== 'string' || typeof iterations !== 'number' || !Number.isInteger(iterations)) return undefined;
  if (iterations < READ_ITERATIONS.min || iterations > READ_ITERATIONS.max) return undefined;
  const salt = Buffer.from(p2s, 'base64url');
  const isRight = salt.length >= SALT_SIZES.min && salt.length <= SALT_SIZES.max;
  return isRight && salt.toString('base64url') === p2s ? { salt, iterations } : undefined;
}

/**
 * Wraps the image key of an image under a passphrase, without a copy of either on the heap.
 * @param imageId 16 bytes
 * @throws CkptfsError `internal` for fewer iterations than a writer may ask for
 */
export async function wrapByPassphrase(
  imageKey: Secret,
  imageId: Uint8Array,
  passphrase: Secret,
  description: SlotDescription = {},
  iterations: number = DEFAULT_ITERATIONS,
  p: Primitives = primitives(),
): Promise<Slot> {
  if (!(iterations >= MIN_WRITTEN_ITERATIONS && iterations <= READ_ITERATIONS.max))
    throw new CkptfsError('internal', `a slot of ${iterations} iterations`);
  const salt = randomBytes(NEW_SALT_SIZE);
  const parameters = { ...commonParameters(ALGORITHM, imageId), p2s: salt.toString('base64url'), p2c: iterations };
  const wrappingKey = await derived(passphrase, { salt, iterations }, p);
  try {
    return await sealContent(imageKey, parameters, description, wrapWithKey(wrappingKey, p), p);
  } finally {
    wrappingKey.wipe();
  }
}

/**
 * Unwraps the image key of a slot. Returns undefined when it was made with another passphrase, is damaged, or holds no
 * image key.
 */
export async function unwrapByPassphrase(
  slot: SlotJwe,
  derivation: Derivation,
  passphrase: Secret,
  p: Primitives = primitives(),
): Promise<Secret | undefined> {
  const wrappingKey = await derived(passphrase, derivation, p);
  try {
    return openWrapped(slot, wrappingKey, p);
  } finally {
    wrappingKey.wipe();
  }
}

/** Derives a wrapping key (RFC 7518 §4.8.1.1): the salt is the algorithm, a zero byte, and that of the slot. */
async function derived(passphrase: Secret, { salt, iterations }: Derivation, p: Primitives): Promise<Secret> {
  const wrappingKey = Secret.zeros(WRAPPING_KEY_SIZE);
  try {
    const wholeSalt = Buffer.concat([Buffer.from(`${ALGORITHM}\0`), salt]);
    await p.pbkdf2Sha512(passphrase.bytes, wholeSalt, iterations, wrappingKey.bytes);
    return wrappingKey;
  } catch (error) {
    wrappingKey.wipe();
    throw error;
  }
}
