import { CkptfsError } from '../../base/errors.ts';
import { keyUnavailable } from './faults.ts';
import { publicPartIn, publicPartOf } from './public-part.ts';
import type { Session } from './session.ts';
import { CKA, CKK, CKO, Template } from './structures.ts';
import { PrivateTokenKey, SecretTokenKey, type TokenKey } from './token-key.ts';
import { formatId, type Pkcs11Uri } from './uri.ts';

/** The kinds of objects that are keys, as `type` names them. */
type ObjectType = Exclude<keyof typeof CKO, 'data'>;

/** Where no type is given, the keys that open images. */
const OPENING: readonly ObjectType[] = ['secret-key', 'private'];
const AES_SIZES: ReadonlySet<number | undefined> = new Set([16, 24, 32]);
/** More than one says that an attribute is missing. */
const MAX_FOUND = 8;
/** Bytes of a CKA_ID. */
const MAX_ID = 4096;

/** Returns the type that a URI names, or undefined. @throws CkptfsError `bad-argument` for data objects */
export function typeOf({ path }: Pkcs11Uri): ObjectType | undefined {
  const type = path.get('type')?.toString() as keyof typeof CKO | undefined;
  if (type !== 'data') return type;
  throw new CkptfsError('bad-argument', 'type=data names no key; keys are of type secret-key, private, public or cert');
}

/** Returns whether a URI names what can only be encrypted for. */
export function namesPublicPart(uri: Pkcs11Uri): boolean {
  return typeOf(uri) === 'public' || typeOf(uri) === 'cert';
}

/**
 * Finds the one key that a URI selects in a token.
 * @param source names the URI in messages
 * @throws CkptfsError `key-unavailable` when there is none that can be used; `bad-argument` when there are several;
 *   ModuleFault, KeyProblem, MalformedError
 */
export function findKey(session: Session, uri: Pkcs11Uri, source: string): TokenKey {
  const type = typeOf(uri);
  const types = type === undefined ? OPENING : [type];
  const named = types.flatMap((each) => objectsOf(session, each, selectors(uri)));
  const found = named.length > 0 || !types.includes('private') ? named : privateKeysOfCertificate(session, uri);
  const [first] = found;
  if (first === undefined) {
    throw keyUnavailable(
      'absent',
      `${source}: the token has no such key${type === undefined ? '' : ` (type=${type})`}`,
    );
  }
  if (found.length > 1) {
    const names = found.map(({ type: each, object }) => {
      const id = idOf(session, object);
      return `type=${each}${id.length === 0 ? '' : `;${formatId(id)}`}`;
    });
    throw new CkptfsError('bad-argument', `${source} fits several keys: ${names.slice(0, 4).join(', ')}`);
  }
  const key = keyIn(session, first.object, first.type);
  if (key !== undefined) return key;
  throw keyUnavailable('refused', `${source} is ${useless[first.type]}`);
}

const useless: Readonly<Record<ObjectType, string>> = {
  'secret-key': 'a secret key, but not one of AES',
  private: 'a private key of neither RSA nor a curve of NIST, or the token does not have its public key',
  public: 'a public key of neither RSA nor a curve of NIST',
  cert: 'a certificate without its contents',
};

function keyIn(session: Session, object: number, type: ObjectType): TokenKey | undefined {
  if (type === 'secret-key') {
    if (session.numberAttribute(object, CKA.keyType) !== CKK.aes) return undefined;
    const size = session.numberAttribute(object, CKA.valueLength);
    if (size === undefined || !AES_SIZES.has(size)) return undefined;
    return { kind: 'secret', key: new SecretTokenKey(session, object, size) };
  }
  if (type === 'private') {
    const publicJwk = publicPartOf(session, object);
    return publicJwk && { kind: 'private', key: new PrivateTokenKey(session, object, publicJwk) };
  }
  const publicJwk = publicPartIn(session, object, CKO[type]);
  return publicJwk && { kind: 'public', publicJwk };
}

interface FoundObject {
  readonly type: ObjectType;
  readonly object: number;
}

type Selectors = readonly (readonly [type: number, value: Uint8Array])[];

function objectsOf(session: Session, type: ObjectType, wanted: Selectors): FoundObject[] {
  const found = session.find(new Template([[CKA.class, CKO[type]], ...wanted]), MAX_FOUND);
  return found.map((object) => ({ type, object }));
}

function selectors({ path }: Pkcs11Uri): Selectors {
  const [label, id] = [path.get('object'), path.get('id')];
  return [
    ...(label === undefined ? [] : [[CKA.label, label] as const]),
    ...(id === undefined ? [] : [[CKA.id, id] as const]),
  ];
}

/** Some tokens, such as that of NSS, label a certificate but not its private key, which has the same id. */
function privateKeysOfCertificate(session: Session, uri: Pkcs11Uri): FoundObject[] {
  if (!uri.path.has('object')) return [];
  const certificates = objectsOf(session, 'cert', selectors(uri));
  const ids = certificates.map(({ object }) => idOf(session, object)).filter((id) => id.length > 0);
  const distinct = ids.filter((id, at) => ids.findIndex((other) => other.equals(id)) === at);
  return distinct.flatMap((id) => objectsOf(session, 'private', [[CKA.id, id]]));
}

function idOf(session: Session, object: number): Buffer {
  return session.attribute(object, CKA.id, MAX_ID) ?? Buffer.alloc(0);
}
