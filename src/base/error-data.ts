/**
 * The facts that errors carry, by code: a list has the words of which a fact is one, `text` is any text, `flag` true or
 * false. A fact whose name ends in `?` may be missing. The words are an interface, like the codes.
 */
export const errorFacts = {
  'bad-argument': {
    'reason?': [
      'relative-path',
      'mount-option',
      'inside-source',
      'key-slot',
      'private-key',
      'no-recipient',
      'configuration',
      'suite',
      'transport',
      'image-id',
    ],
  },
  /** The name of the errno that a system call failed with: `ENOSPC`. */
  io: { 'errno?': 'text', 'reason?': ['hard-links'] },
  exists: {
    reason: [
      'not-empty',
      'not-a-directory',
      'not-own',
      'writable-by-others',
      'file',
      'not-vouched-for',
      're-encryption',
      'other-image',
    ],
  },
  /** `malformed-archive`: it is none, is truncated, or its parts contradict each other. `unsafe-member`: it would be
   * outside of the tree, below what is no directory, or in the place of another member. */
  'unsupported-source': { reason: ['device', 'too-large', 'unrepresentable', 'malformed-archive', 'unsafe-member'] },
  /** `subject`: of the certificate. `since`: when it expired or was revoked, by ISO 8601. */
  untrusted: {
    reason: [
      'not-a-certificate',
      'unsupported-key',
      'weak',
      'wrong-usage',
      'not-yet-valid',
      'expired',
      'unknown-issuer',
      'invalid-chain',
      'revoked',
      'revocation-unknown',
      'responder-unreachable',
      'unsigned',
      'foreign',
      'altered',
      'too-old',
      'replaced',
    ],
    'subject?': 'text',
    'since?': 'text',
  },
  /** `policy-file`: the policy itself is wrong, so that nothing is allowed. */
  'forbidden-by-policy': {
    reason: ['policy-file', 'suite', 'fips-provider', 'cipher', 'key-source', 'force', 'recipient', 'writing'],
  },
  'bad-key-file': {
    reason: [
      'missing',
      'unreadable',
      'too-large',
      'not-a-key',
      'absent',
      'expired',
      'revoked',
      'no-terminal',
      'not-a-passphrase',
      'mismatch',
      'not-a-private-key',
      'not-a-recipient',
      'unsupported',
      'passphrase-needed',
      'wrong-passphrase',
    ],
  },
  /**
   * `denied`: this caller may not use the key. `revoked`: no caller may any more, or it is destroyed. `absent`:
   * there is no such key. `wrong-pin` and `pin-locked`: of a token.
   */
  'key-unavailable': {
    reason: [
      'unreachable',
      'timeout',
      'refused',
      'certificate',
      'command-failed',
      'garbage',
      'denied',
      'revoked',
      'absent',
      'wrong-pin',
      'pin-locked',
    ],
  },
  /** `absent`: there is no such bucket, repository or image. */
  'store-unavailable': {
    reason: ['unreachable', 'timeout', 'refused', 'certificate', 'garbage', 'denied', 'absent'],
  },
  /** What opens its first slot. */
  'no-key': { needs: ['key', 'passphrase', 'private-key', 'key-service', 'rsa-key'] },
  /** `untried`: slots were left out, for which too much would have to be computed. */
  'wrong-key': { 'reason?': ['untried'] },
  'not-an-image': { reason: ['not-a-directory', 'no-header', 'other-header', 'not-empty', 'shredded', 'ephemeral'] },
  /** `source`: where the image was when it was mounted. */
  unsealed: { reason: ['written-or-interrupted', 'losses', 'daemon-killed'], 'source?': 'text' },
  locked: { holder: ['writer', 'readers', 'slot-change', 're-encryption', 'watch'], wanted: ['reading', 'writing'] },
  'unsupported-format': { reason: ['version', 'suite', 'cipher', 'compression'] },
  'wrong-image': { reason: ['other-id', 'replaced'] },
  busy: { reason: ['in-use', 'left-running', 'other-namespace'] },
  'no-answer': {
    reason: ['mount', 'helper', 'trial', 'daemon-stopped', 'daemon-slow', 'daemon-hidden'],
    'write?': 'flag',
    'source?': 'text',
  },
  'missing-feature': {
    feature: [
      'libzstd',
      'liblz4',
      'fuse-device',
      'fuse-device-access',
      'fuse-protocol',
      'fuse-native',
      'fuse-io-uring',
      'fuse-io-uring-switch',
      'io-uring',
      'fusermount',
      'fusermount-start',
      'user-allow-other',
      'mount-namespace',
      'mount-namespace-right',
      'root',
      'daemon-status',
      'getrandom',
      'userfaultfd',
      'openssl',
      'fips-provider',
      'keyring',
      'pkcs11',
      'exchange',
      'leases',
      'zstd',
    ],
  },
  /** `signal`: the one that ended it, if it is known. */
  interrupted: { 'signal?': ['SIGTERM', 'SIGINT', 'SIGHUP'] },
  internal: { 'logFile?': 'text' },
} as const;

/** What a failed operation leaves behind, whatever the error is. */
export const aftermathFacts = {
  state: ['unsealed', 'sealed-not-mounted', 'not-mounted'],
  /** Its directory. */
  'image?': 'text',
  'mountPoint?': 'text',
  /** Whether contents of the unsealed image are lost. */
  'lossy?': 'flag',
} as const;

type FactType = 'text' | 'flag' | readonly string[];
type Facts = Readonly<Record<string, FactType>>;
type ValueOf<T> = T extends readonly (infer Word)[] ? Word : T extends 'flag' ? boolean : string;

/** The values of facts. */
type DataOf<F> = {
  readonly [Name in keyof F as Name extends `${string}?` ? never : Name]: ValueOf<F[Name]>;
} & {
  readonly [Name in keyof F as Name extends `${infer Short}?` ? Short : never]?: ValueOf<F[Name]>;
};

/** The data of an error with one of these codes; `never` where the code has none. */
export type ErrorData<Code extends string> = Code extends keyof typeof errorFacts
  ? DataOf<(typeof errorFacts)[Code]>
  : never;

export type Aftermath = DataOf<typeof aftermathFacts>;

/** Returns the data of an error that came from another process; undefined for what is not the data of its code. */
export function readErrorData(code: string, value: unknown): object | undefined {
  return isKnownCode(code) ? readFacts(errorFacts[code], value) : undefined;
}

/** Returns the aftermath of an error that came from another process; undefined for anything else. */
export function readAftermath(value: unknown): Aftermath | undefined {
  return readFacts(aftermathFacts, value) as Aftermath | undefined;
}

function isKnownCode(code: string): code is keyof typeof errorFacts {
  return Object.hasOwn(errorFacts, code);
}

/** Returns the facts of a value if they have the types that they should, without what else it has. */
function readFacts(facts: Facts, value: unknown): Readonly<Record<string, string | boolean>> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const found: Record<string, string | boolean> = {};
  for (const [name, type] of Object.entries(facts)) {
    const short = name.replace('?', '');
    const given: unknown = Object.hasOwn(value, short) ? Reflect.get(value, short) : undefined;
    if (given === undefined && short !== name) continue;
    if (!isOfType(given, type)) return undefined;
    found[short] = given;
  }
  return found;
}

function isOfType(value: unknown, type: FactType): value is string | boolean {
  if (type === 'flag') return typeof value === 'boolean';
  return typeof value === 'string' && (type === 'text' || type.includes(value));
}
