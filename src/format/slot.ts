import { MalformedError } from '../base/bytes.ts';
import { membersOf } from './members.ts';
import { parseSlotDescription, type SlotDescription } from './slot-description.ts';

/** The part of a key slot that a key opens: a flattened JWE without its unprotected header (format.md §3). */
export interface SlotJwe {
  readonly protected: string;
  readonly encrypted_key: string;
  readonly iv: string;
  readonly ciphertext: string;
  readonly tag: string;
}

/** A key slot: the image key wrapped for one recipient, as a flattened JWE (format.md §3, RFC 7516 §7.2.2). */
export interface Slot extends SlotJwe {
  readonly header?: SlotDescription;
}

/** The members of a slot that are text in base64url. */
const textMembers = ['protected', 'encrypted_key', 'iv', 'ciphertext', 'tag'] as const;

/** How every slot encrypts the image key, and the parameter that says of which image. */
const CONTENT_ENCRYPTION = 'A256GCM';
const IMAGE_PARAMETER = 'ckptfs';

/** Far above what any algorithm needs, post-quantum ones included. */
const MAX_MEMBER_LENGTH = 8192;

/**
 * Checks the form of one slot: exactly the known members, each text 1 to 8192 characters of canonical base64url. Does
 * not check that a key opens it.
 * @param value from `JSON.parse`
 * @throws MalformedError
 */
export function parseSlot(value: unknown): Slot {
  const members = membersOf(value, 'a key slot');
  for (const name of members.keys()) {
    if (name !== 'header' && !(textMembers as readonly string[]).includes(name))
      throw new MalformedError('a key slot has an unknown member');
  }
  const member = (name: keyof SlotJwe): string => {
    const text = members.get(name);
    if (typeof text !== 'string') throw new MalformedError(`a key slot has no text ${name}`);
    if (text.length === 0 || text.length > MAX_MEMBER_LENGTH) {
      throw new MalformedError(`${name} of a key slot has ${text.length} characters`);
    }
    if (!isBase64Url(text)) throw new MalformedError(`${name} of a key slot is not unpadded base64url`);
    return text;
  };
  // The members are in the order that they have in the header of an image.
  return {
    protected: member('protected'),
    ...(members.has('header') ? { header: parseSlotDescription(members.get('header')) } : {}),
    encrypted_key: member('encrypted_key'),
    iv: member('iv'),
    ciphertext: member('ciphertext'),
    tag: member('tag'),
  };
}

/**
 * Returns the parameters in a slot's protected header, or undefined when it is not a JSON object. They are
 * authenticated only once the slot has been opened.
 */
export function slotParameters(slot: SlotJwe): ReadonlyMap<string, unknown> | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(slot.protected, 'base64url'));
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return new Map(Object.entries(value));
  } catch {
    return undefined;
  }
}

/**
 * Returns the parameters of a slot that belongs to an image and has exactly the parameters of its algorithm: `alg`,
 * `enc`, `ckptfs` and `others`. Returns undefined for any other slot, as a further parameter would change what the slot
 * means. The parameters are authentic once the slot is open.
 * @param imageId 16 bytes
 * @param others the further parameters of the algorithm (format.md §3)
 */
export function parametersFor(
  slot: SlotJwe,
  imageId: Uint8Array,
  algorithm: string,
  others: readonly string[] = [],
): ReadonlyMap<string, unknown> | undefined {
  const parameters = slotParameters(slot);
  if (parameters?.size !== 3 + others.length) return undefined;
  const isRight =
    parameters.get('alg') === algorithm &&
    parameters.get('enc') === CONTENT_ENCRYPTION &&
    parameters.get(IMAGE_PARAMETER) === Buffer.from(imageId).toString('hex') &&
    others.every((name) => parameters.has(name));
  return isRight ? parameters : undefined;
}

/**
 * Returns whether a slot names another image than this one. A slot that names none, which this version may not know, is
 * not of another image.
 * @param imageId 16 bytes
 */
export function isOfOtherImage(slot: SlotJwe, imageId: Uint8Array): boolean {
  const named = slotParameters(slot)?.get(IMAGE_PARAMETER);
  return named !== undefined && named !== Buffer.from(imageId).toString('hex');
}

/** Returns the protected parameters that every slot has, in the order in which ckptfs writes them. */
export function commonParameters<Algorithm extends string>(algorithm: Algorithm, imageId: Uint8Array) {
  return { alg: algorithm, enc: CONTENT_ENCRYPTION, [IMAGE_PARAMETER]: Buffer.from(imageId).toString('hex') };
}

/** Returns the `alg` of a slot, such as `A256KW`, or undefined without one. It is not authenticated. */
export function slotAlgorithm(slot: SlotJwe): string | undefined {
  const algorithm = slotParameters(slot)?.get('alg');
  return typeof algorithm === 'string' ? algorithm : undefined;
}

/**
 * Returns the JWK thumbprint of the public key that a slot says it is for; undefined for a slot of another kind, such
 * as of a service, whose `kid` names a key of its own. It is not authenticated.
 */
export function slotThumbprint(slot: SlotJwe): string | undefined {
  const thumbprint = slotParameters(slot)?.get('kid');
  const isPublicKey = /^(?:RSA|ECDH)-/.test(slotAlgorithm(slot) ?? '');
  return isPublicKey && typeof thumbprint === 'string' ? thumbprint : undefined;
}

/** Returns whether text is base64url (RFC 4648 §5) without padding and without set bits that decoding would drop. */
function isBase64Url(text: string): boolean {
  return /^[A-Za-z0-9_-]+$/.test(text) && Buffer.from(text, 'base64url').toString('base64url') === text;
}
