import { MalformedError } from '../../base/bytes.ts';
import { Secret } from '../../crypto/secret.ts';
import { isIdentifier } from './address.ts';
import {
  askedAttributes,
  type KeyAttributes,
  newKeyAttributes,
  readAttributes,
  templateItem,
  wantedAttributes,
  wantedItems,
} from './attributes.ts';
import { bytes, enumeration, integer, OperationFailure, optional, required, structure, text } from './messages.ts';
import type { Session } from './session.ts';
import {
  AES,
  GCM,
  type OperationName,
  RAW_KEY,
  type RevocationReason,
  resultReason,
  revocationReasons,
  SYMMETRIC_KEY,
  tag,
} from './tags.ts';
import type { Ttlv } from './ttlv.ts';

/** Objects that are listed at most. */
const MAX_LISTED = 256;
const IV_SIZE = 12;
const TAG_SIZE = 16;

/** Tells whether a server encrypts and decrypts with additional data, which KMIP has from version 1.4 on. */
export async function canEncrypt(session: Session, signal: AbortSignal): Promise<boolean> {
  if (session.version === '1.2' || session.version === '1.3') return false;
  return session.has(['encrypt', 'decrypt'], signal);
}

/**
 * Returns the identifiers of the keys that a text names. It is taken for an identifier first, and for a name only where
 * it is none: other clients of a server choose names, but not identifiers.
 * @throws OperationFailure when there is no such key
 */
export async function find(session: Session, key: string, signal: AbortSignal): Promise<readonly string[]> {
  const failure = fitsSlot(key) ? await attributes(session, key, signal).then(() => undefined, refusalOf) : ABSENT;
  if (failure === undefined) return [key];
  if (isIdentifier(key) || OF_A_KEY.includes(failure.reason)) throw failure;
  const named = await locate(session, key, signal);
  if (named.length === 0) throw failure;
  return named;
}

/** Returns the identifiers of symmetric keys that have a name, or of all. */
export function locate(session: Session, name: string | undefined, signal: AbortSignal): Promise<readonly string[]> {
  const wanted = wantedItems(session.version, wantedAttributes(name));
  return session.ask('locate', [integer(tag.maximumItems, MAX_LISTED), ...wanted], signal, (answer) =>
    answer.flatMap((item) => (item.tag === tag.uniqueIdentifier ? [identifier([item])] : [])),
  );
}

export function attributes(session: Session, id: string, signal: AbortSignal): Promise<KeyAttributes> {
  // KMIP 2.0 has another way to ask for some of them; without it a server returns all.
  const names = session.version === '2.0' ? [] : askedAttributes.map((name) => text(tag.attributeName, name));
  return askOf(session, 'getAttributes', id, names, signal, (answer) => readAttributes(session.version, answer));
}

/** Returns the vector ‖ the ciphertext ‖ the tag. */
export function encrypt(
  session: Session,
  { id, data, iv, context }: { id: string; data: Uint8Array; iv: Uint8Array; context: Uint8Array },
  signal: AbortSignal,
): Promise<Buffer> {
  const payload = [
    gcm(),
    bytes(tag.data, data),
    bytes(tag.ivCounterNonce, iv),
    bytes(tag.authenticatedEncryptionAdditionalData, context),
  ];
  return askOf(session, 'encrypt', id, payload, signal, (answer) => {
    // A server may take a vector of its own.
    const used = optional(answer, tag.ivCounterNonce, 'bytes') ?? iv;
    const ciphertext = required(answer, tag.data, 'bytes');
    const mac = required(answer, tag.authenticatedEncryptionTag, 'bytes');
    if (used.length !== IV_SIZE || ciphertext.length !== data.length || mac.length !== TAG_SIZE)
      throw new MalformedError('what it has encrypted is not of the right size');
    return Buffer.concat([used, ciphertext, mac]);
  });
}

/** Returns undefined when the server says that it is not authentic. @param sealed as {@link encrypt} returns it */
export async function decrypt(
  session: Session,
  { id, sealed, context }: { id: string; sealed: Uint8Array; context: Uint8Array },
  signal: AbortSignal,
): Promise<Secret | undefined> {
  const size = sealed.length - IV_SIZE - TAG_SIZE;
  if (size < 1) return undefined;
  const payload = [
    gcm(),
    bytes(tag.data, sealed.subarray(IV_SIZE, IV_SIZE + size)),
    bytes(tag.ivCounterNonce, sealed.subarray(0, IV_SIZE)),
    bytes(tag.authenticatedEncryptionAdditionalData, context),
    bytes(tag.authenticatedEncryptionTag, sealed.subarray(IV_SIZE + size)),
  ];
  try {
    return await askOf(session, 'decrypt', id, payload, signal, (answer) => {
      const data = required(answer, tag.data, 'bytes');
      if (data.length !== size) throw new MalformedError('what it has decrypted is not of the right size');
      return Secret.copy(data);
    });
  } catch (error) {
    if (error instanceof OperationFailure && error.reason === resultReason.cryptographicFailure) return undefined;
    throw error;
  }
}

/** Fetches the bytes of a key. */
export function get(session: Session, id: string, signal: AbortSignal): Promise<Secret> {
  return askOf(session, 'get', id, [], signal, (answer) => {
    const key = required(answer, tag.symmetricKey, 'structure');
    const block = required(key, tag.keyBlock, 'structure');
    if (required(block, tag.keyFormatType, 'enumeration') !== RAW_KEY) throw new MalformedError('the key is not raw');
    const material = required(required(block, tag.keyValue, 'structure'), tag.keyMaterial, 'bytes');
    if (![16, 24, 32].includes(material.length)) throw new MalformedError(`a key of ${material.length} bytes`);
    return Secret.copy(material);
  });
}

/** Returns for how many seconds, at least 1, a key may be used; undefined where the server gives no leases. */
export async function lease(session: Session, id: string, signal: AbortSignal): Promise<number | undefined> {
  if (!(await session.has(['obtainLease'], signal))) return undefined;
  const given = await askOf(session, 'obtainLease', id, [], signal, (answer) =>
    optional(answer, tag.leaseTime, 'interval'),
  );
  // One that is over at once is not one that never ends.
  return given === undefined ? undefined : Math.max(1, given);
}

/** Makes a key of AES-256, which is not active yet, and returns its identifier. */
export function create(session: Session, name: string, signal: AbortSignal): Promise<string> {
  const payload = [enumeration(tag.objectType, SYMMETRIC_KEY), templateItem(session.version, newKeyAttributes(name))];
  return session.ask('create', payload, signal, identifier);
}

export function activate(session: Session, id: string, signal: AbortSignal): Promise<void> {
  return askOf(session, 'activate', id, [], signal, () => undefined);
}

export function revoke(
  session: Session,
  id: string,
  { reason, message }: { readonly reason: RevocationReason; readonly message?: string | undefined },
  signal: AbortSignal,
): Promise<void> {
  const why = structure(tag.revocationReason, [
    enumeration(tag.revocationReasonCode, revocationReasons.indexOf(reason) + 1),
    ...(message === undefined ? [] : [text(tag.revocationMessage, message)]),
  ]);
  return askOf(session, 'revoke', id, [why], signal, () => undefined);
}

export function destroy(session: Session, id: string, signal: AbortSignal): Promise<void> {
  return askOf(session, 'destroy', id, [], signal, () => undefined);
}

/** Asks for an operation of one key, and believes no answer that is about another one. */
function askOf<T>(
  session: Session,
  name: OperationName,
  id: string,
  payload: readonly Ttlv[],
  signal: AbortSignal,
  use: (answer: readonly Ttlv[]) => T,
): Promise<T> {
  return session.ask(name, [text(tag.uniqueIdentifier, id), ...payload], signal, (answer) => {
    const about = optional(answer, tag.uniqueIdentifier, 'text');
    if (about !== undefined && about !== id) throw new MalformedError('it is about another key');
    return use(answer);
  });
}

function gcm(): Ttlv {
  return structure(tag.cryptographicParameters, [
    enumeration(tag.blockCipherMode, GCM),
    enumeration(tag.cryptographicAlgorithm, AES),
    integer(tag.tagLength, TAG_SIZE),
  ]);
}

/** Why a server refuses to use a key that it has, or had. */
const OF_A_KEY: readonly (number | undefined)[] = [
  resultReason.objectDestroyed,
  resultReason.permissionDenied,
  resultReason.notAuthorised,
];
const ABSENT = new OperationFailure(resultReason.itemNotFound, undefined);

/** Returns an error with which a server refuses, and throws any other. */
function refusalOf(error: unknown): OperationFailure {
  if (error instanceof OperationFailure) return error;
  throw error;
}

/** Returns whether a text can be the identifier of a key of a slot. */
function fitsSlot(key: string): boolean {
  return /^[\x21-\x7e]{1,512}$/.test(key);
}

/** Reads an identifier, which has to fit into a key slot. @throws MalformedError */
function identifier(answer: readonly Ttlv[]): string {
  const id = required(answer, tag.uniqueIdentifier, 'text');
  if (!fitsSlot(id)) throw new MalformedError('an identifier that cannot be used');
  return id;
}
