import { CkptfsError } from '../../base/errors.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import { Secret } from '../../crypto/secret.ts';
import { primitives } from '../../crypto/select.ts';
import type { Slot } from '../../format/slot.ts';
import { type SlotDescription, slotInstant } from '../../format/slot-description.ts';
import { keyUnavailable } from '../pkcs11/faults.ts';
import { namesPublicPart } from '../pkcs11/find-key.ts';
import { pinFrom } from '../pkcs11/pin.ts';
import type { SecretTokenKey } from '../pkcs11/token-key.ts';
import { TokenUse } from '../pkcs11/token-use.ts';
import { formatPkcs11Uri, parsePkcs11Uri, queryText } from '../pkcs11/uri.ts';
import type { OpenedSlot } from '../provider.ts';
import { isForKeyOf, wrapByHolder } from '../slots/aes-key-wrap.ts';
import { openContent } from '../slots/content.ts';
import { isRecipientJwk, recipientOf, unwrapWithPrivateKey, wrapForPublicKey } from '../slots/public-key.ts';
import { MAX_ASKED, type OpenService, type ServiceProvider } from './service.ts';

const MAX_SUBJECT = 512;
const KEY_SIZES = [16, 24, 32];

/** `pkcs11:…`: a key in a token (RFC 7512). Its slots are those of any symmetric or public key. */
export const openService: OpenService = (rest, options) => {
  const uri = parsePkcs11Uri(rest);
  const isPublic = namesPublicPart(uri);
  const source = formatPkcs11Uri(uri, 'path');
  const token = new TokenUse(uri, source, isPublic ? undefined : pinFrom(queryText(uri, 'pin-source'), options));
  const description = (): SlotDescription => ({
    kind: 'pkcs11',
    ...(source.length <= MAX_SUBJECT ? { subject: source } : {}),
    created: slotInstant(new Date()),
  });
  const wrap = (imageKey: Secret, imageId: Buffer): Promise<Slot> =>
    token.use((key) => {
      if (key.kind === 'secret') {
        const wrapContent = (contentKey: Secret) => key.key.wrap(contentKey);
        return wrapByHolder(imageKey, imageId, key.key.size, wrapContent, description());
      }
      const jwk = key.kind === 'public' ? key.publicJwk : key.key.publicJwk;
      if (!isRecipientJwk(jwk)) throw new KeyProblem('unsupported', 'is a key for signatures');
      return wrapForPublicKey(imageKey, imageId, jwk, description());
    });
  const unwrap = (slots: readonly Slot[], imageId: Buffer): Promise<OpenedSlot | undefined> =>
    token.use((key) => {
      if (key.kind === 'secret') return unwrapWithSecretKey(slots, imageId, key.key);
      return key.kind === 'private' ? unwrapWithPrivateKey(slots, imageId, key.key, source) : undefined;
    });
  let prepared: Promise<void> | undefined;
  return {
    source,
    isPublicKey: isPublic,
    prepare: () => {
      prepared ??= tryOut(wrap, isPublic ? undefined : unwrap, source);
      return prepared;
    },
    wrap,
    unwrap: async (slots, imageId) => {
      if (isPublic) throw new CkptfsError('bad-argument', `${source} is a public key, which opens nothing`);
      return slots.some((slot) => mayBeOpened(slot, imageId)) ? unwrap(slots, imageId) : undefined;
    },
    destroyKeyOf: (slots, imageId) => destroySecretKey(token, slots, imageId, source),
    wipe: () => token.close(),
  } satisfies ServiceProvider;
};

/** Returns whether some key of a token may open a slot, so that a PIN is not asked for in vain. */
function mayBeOpened(slot: Slot, imageId: Buffer): boolean {
  return recipientOf(slot, imageId) !== undefined || KEY_SIZES.some((size) => isForKeyOf(size, slot, imageId));
}

/** Opens the first slot that the key opens. Those that say that a token made them come first. */
function unwrapWithSecretKey(slots: readonly Slot[], imageId: Buffer, key: SecretTokenKey): OpenedSlot | undefined {
  const fitting = [...slots.entries()].filter(([, slot]) => isForKeyOf(key.size, slot, imageId));
  const ofTokens = fitting.filter(([, { header }]) => header?.kind === 'pkcs11');
  const others = fitting.filter(([, { header }]) => header?.kind !== 'pkcs11');
  for (const [index, slot] of [...ofTokens, ...others].slice(0, MAX_ASKED)) {
    const imageKey = unwrapSlot(slot, key);
    if (imageKey !== undefined) return { imageKey, slot: index };
  }
  return undefined;
}

function unwrapSlot(slot: Slot, key: SecretTokenKey): Secret | undefined {
  const contentKey = key.unwrap(Buffer.from(slot.encrypted_key, 'base64url'));
  try {
    return contentKey && openContent(slot, contentKey, primitives());
  } finally {
    contentKey?.wipe();
  }
}

/** Destroys a key of AES, unless that was done: then the slots count that name the URI. As `destroyKeyOf` has it. */
async function destroySecretKey(
  token: TokenUse,
  slots: readonly Slot[],
  imageId: Buffer,
  source: string,
): Promise<readonly number[]> {
  const refused = (why: string): CkptfsError => new CkptfsError('bad-argument', `${source} ${why}`);
  try {
    return await token.use(async (key) => {
      if (key.kind !== 'secret') throw refused('is no key of AES, and no other is destroyed');
      const own = indexesOf(slots, (slot) => {
        const imageKey = isForKeyOf(key.key.size, slot, imageId) ? unwrapSlot(slot, key.key) : undefined;
        imageKey?.wipe();
        return imageKey !== undefined;
      });
      if (own.length === 0) throw refused('opens no key slot of this image, so it is not destroyed');
      await token.destroy(key.key);
      return own;
    });
  } catch (error) {
    const isAbsent =
      error instanceof CkptfsError && error.code === 'key-unavailable' && error.data?.reason === 'absent';
    const named = indexesOf(slots, ({ header }) => header?.kind === 'pkcs11' && header.subject === source);
    if (isAbsent && named.length > 0) return named;
    throw error;
  }
}

function indexesOf(slots: readonly Slot[], isWanted: (slot: Slot) => boolean): number[] {
  return slots.flatMap((slot, index) => (isWanted(slot) ? [index] : []));
}

/**
 * Makes a slot and opens it, so that no image is made that its key would not open.
 * @param unwrap undefined for a key that only makes slots
 * @throws CkptfsError
 */
async function tryOut(
  wrap: ServiceProvider['wrap'],
  unwrap: ServiceProvider['unwrap'] | undefined,
  source: string,
): Promise<void> {
  const [imageKey, imageId] = [Secret.random(32), Buffer.alloc(16)];
  let opened: OpenedSlot | undefined;
  try {
    const slot = await wrap(imageKey, imageId);
    if (unwrap === undefined) return;
    opened = await unwrap([slot], imageId).catch((error: unknown) => {
      if (error instanceof CkptfsError && error.code === 'damaged') return undefined;
      throw error;
    });
    if (opened !== undefined && primitives().isEqual(opened.imageKey.bytes, imageKey.bytes)) return;
    throw keyUnavailable('refused', `${source}: its token does not open what is made for the key`);
  } finally {
    imageKey.wipe();
    opened?.imageKey.wipe();
  }
}
