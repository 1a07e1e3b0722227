import { expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { parseSlot, type Slot } from '../../../../src/format/slot.ts';
import type { SlotKind } from '../../../../src/format/slot-description.ts';
import type { ServiceProvider } from '../../../../src/keys/services/service.ts';

/** What every key service has to do, whatever it is. */
export interface ServiceUnderTest {
  readonly kind: SlotKind;
  /** Makes a provider of a key that is there. Two of them are like two processes. */
  readonly open: () => ServiceProvider | Promise<ServiceProvider>;
  /** Makes a provider of a key that is not there. */
  readonly openAbsent: () => ServiceProvider | Promise<ServiceProvider>;
  /** What no slot and no message may have: PINs, tokens. */
  readonly secrets: readonly string[];
}

/** A slot that names the key by its thumbprint, and does not open, is damaged. */
const refusals = ['key-unavailable', 'damaged'];

const imageId = Buffer.alloc(16, 0x5e);
const otherId = Buffer.alloc(16, 0x5f);

/** Declares the tests of the contract. */
export function testContract({ kind, open, openAbsent, secrets }: ServiceUnderTest): void {
  const using = async <T>(
    make: () => ServiceProvider | Promise<ServiceProvider>,
    use: (p: ServiceProvider) => T | Promise<T>,
  ) => {
    const provider = await make();
    try {
      return await use(provider);
    } finally {
      provider.wipe();
    }
  };
  const made = async (imageKey: Secret): Promise<Slot> =>
    using(open, async (provider) => {
      await provider.prepare();
      return provider.wrap(imageKey, imageId);
    });
  const opened = (slots: readonly Slot[], id = imageId): Promise<Buffer | undefined> =>
    using(open, async (provider) => {
      const found = await provider.unwrap(slots, id);
      const bytes = found && Buffer.from(found.imageKey.bytes);
      found?.imageKey.wipe();
      return bytes;
    });

  test('a slot is opened by another process, among slots of others', async () => {
    const imageKey = Secret.random(32);
    const slot = await made(imageKey);
    expect(parseSlot(JSON.parse(JSON.stringify(slot)))).toEqual(slot);
    expect(await opened([slot])).toEqual(Buffer.from(imageKey.bytes));
    const others: Slot[] = [{ ...slot, protected: Buffer.from('{"alg":"A256KW"}').toString('base64url') }];
    const found = await using(open, (provider) => provider.unwrap([...others, slot], imageId));
    expect(found?.slot).toBe(1);
  });

  test('a slot says what it is for, and no secret', async () => {
    const slot = await made(Secret.random(32));
    expect(slot.header?.kind).toBe(kind);
    expect(slot.header?.created).toBeDefined();
    const source = await using(open, (provider) => provider.source);
    for (const secret of secrets) expect(`${JSON.stringify(slot)} ${source}`).not.toContain(secret);
  });

  test('two slots of one key have nothing in common', async () => {
    const imageKey = Secret.random(32);
    const [one, two] = [await made(imageKey), await made(imageKey)];
    for (const name of ['encrypted_key', 'iv', 'ciphertext', 'tag'] as const) expect(one[name]).not.toBe(two[name]);
  });

  test('a slot of another image does not open', async () => {
    expect(await opened([await made(Secret.random(32))], otherId)).toBeUndefined();
  });

  test('a slot that was changed does not open', async () => {
    const slot = await made(Secret.random(32));
    for (const name of ['encrypted_key', 'iv', 'ciphertext', 'tag', 'protected'] as const) {
      const bytes = Buffer.from(slot[name], 'base64url');
      const places = name === 'encrypted_key' ? [0, bytes.length >> 1, bytes.length - 1] : [bytes.length - 1];
      for (const place of places) {
        const other = Buffer.from(bytes);
        other[place] = (other[place] ?? 0) ^ 1;
        const result = await opened([{ ...slot, [name]: other.toString('base64url') }]).catch((error) => error);
        if (result !== undefined) expect(refusals).toContain((result as CkptfsError).code);
      }
      const cut = { ...slot, [name]: bytes.subarray(0, Math.max(1, bytes.length - 1)).toString('base64url') };
      const result = await opened([cut]).catch((error) => error);
      if (result !== undefined) expect(refusals).toContain((result as CkptfsError).code);
    }
  });

  test('what is wrapped for one slot does not open in the place of another', async () => {
    const [one, two] = [await made(Secret.random(32)), await made(Secret.random(32))];
    const moved = { ...one, encrypted_key: two.encrypted_key };
    const result = await opened([moved]).catch((error) => error);
    if (result !== undefined) expect(refusals).toContain((result as CkptfsError).code);
  });

  test('a key that is not there is missed before anything is made', async () => {
    const error = await using(openAbsent, (provider) =>
      provider.prepare().then(
        () => undefined,
        (e: unknown) => e,
      ),
    );
    expect(error).toBeInstanceOf(CkptfsError);
    expect(['key-unavailable', 'bad-key-file', 'missing-feature']).toContain((error as CkptfsError).code);
    for (const secret of secrets) expect((error as CkptfsError).message).not.toContain(secret);
  });

  test('it may be wiped again, and before it was used', async () => {
    const provider = await open();
    provider.wipe();
    provider.wipe();
  });
}
