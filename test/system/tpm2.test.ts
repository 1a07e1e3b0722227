// Goal: an image that is sealed to a TPM opens on that TPM, in that state of its registers and with that authorization
// value alone, and what is wrong otherwise is said.
// Method: real software TPMs (swtpm), in the process of the test.

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CkptfsError } from '../../src/base/errors.ts';
import { Secret } from '../../src/crypto/secret.ts';
import type { Slot } from '../../src/format/slot.ts';
import { openKeyService } from '../../src/keys/services/registry.ts';
import { Tpm } from '../../src/keys/tpm2/tpm.ts';
import { connectTpm, parseTcti, type TpmPlace } from '../../src/keys/tpm2/transport.ts';
import { SoftwareTpm } from '../support/software-tpm.ts';
import { testContract } from '../unit/keys/services/contract.ts';
import { describeIf } from './support/requirements.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-tpm2-'));
const imageId = Buffer.alloc(16, 1);
const patient = { timeoutSeconds: 60 };
const [auth, wrong] = ['hunter2', 'hunter3'].map((text) => {
  writeFileSync(join(directory, text), `${text}\n`, { mode: 0o600 });
  return `auth-file=${join(directory, text)}`;
}) as [string, string];

describeIf(['swtpm'], 'a TPM', () => {
  let [tpm, other]: [SoftwareTpm, SoftwareTpm] = [] as never;
  beforeAll(async () => {
    [tpm, other] = [await SoftwareTpm.start(), await SoftwareTpm.start()];
  });
  afterAll(async () => {
    for (const one of [tpm, other]) await one.stop();
    rmSync(directory, { recursive: true });
  });

  const open = (fields = '', of: SoftwareTpm = tpm) => openKeyService(`tpm2:tcti=${of.tcti};${fields}`, patient);
  const wrap = async (fields?: string, of?: SoftwareTpm): Promise<Slot> => {
    const provider = await open(fields, of);
    await provider.prepare();
    return provider.wrap(Secret.random(32), imageId);
  };
  const opened = async (slots: Slot[], fields?: string, of?: SoftwareTpm) =>
    (await open(fields, of)).unwrap(slots, imageId);
  const refusal = async (work: Promise<unknown>): Promise<readonly unknown[]> => {
    const error = await work.then(
      () => {
        throw new Error('it worked');
      },
      (reason: CkptfsError) => reason,
    );
    expect(error.message).not.toContain('hunter2\n');
    return [error.code, (error.data as { reason?: string })?.reason, error.message.replace(/^.*?: (?=[a-z])/, '')];
  };

  describe('without anything else', () => {
    testContract({
      kind: 'tpm2',
      open: () => open(),
      openAbsent: () => openKeyService('tpm2:tcti=device:/absent', patient),
      secrets: ['hunter2'],
    });
  });

  describe('with registers and an authorization value', () => {
    testContract({
      kind: 'tpm2',
      open: () => open(`pcrs=sha256:0,7,23;${auth}`),
      openAbsent: () => openKeyService(`tpm2:tcti=swtpm:path=/absent;pcrs=sha256:0;${auth}`, patient),
      secrets: ['hunter2'],
    });
  });

  test('leaves nothing loaded', async () => {
    expect(await tpm.loaded()).toBe(0);
  });

  test('opens what is sealed to registers until they change', async () => {
    const slot = await wrap('pcrs=sha256:7,16');
    const free = await wrap();
    expect(slot.header?.subject).toBe('tpm2:pcrs=sha256:7,16');
    expect(await opened([slot])).toBeDefined();
    await tpm.extend(16);
    expect(await refusal(opened([slot]))).toEqual([
      'key-unavailable',
      'denied',
      'the registers (PCRs) of the TPM are not as they were when this was sealed',
    ]);
    expect(await opened([free])).toBeDefined();
    expect(await tpm.loaded()).toBe(0);
  });

  test('does not open what was sealed to another, and says so unless it is one of several', async () => {
    const [own, foreign] = [await wrap(), await wrap('', other)];
    expect(await opened([foreign, own])).toMatchObject({ slot: 1 });
    expect(await refusal(opened([foreign, foreign]))).toEqual([
      'key-unavailable',
      'absent',
      "this image was sealed to another machine's TPM, or this TPM was cleared",
    ]);
    const forged = { ...own, protected: foreign.protected, encrypted_key: own.encrypted_key };
    expect(await opened([forged], '', other)).toBeUndefined();
    expect(await opened([])).toBeUndefined();
  });

  /** Stands between a program and the TPM: keeps what goes over the bus, and changes it. */
  const onTheBus = async (
    change: (response: Buffer, commandCode: number) => void,
    use: (tcti: string) => Promise<void>,
  ) => {
    const seen: Buffer[] = [];
    const path = join(directory, 'bus');
    const server = createServer((socket) => {
      const upstream = createConnection(tpm.tcti.replace('swtpm:path=', ''));
      let code = 0;
      socket.on('data', (command) => {
        code = command.readUInt32BE(6);
        seen.push(command);
        upstream.write(command);
      });
      upstream.on('data', (response) => {
        seen.push(Buffer.from(response));
        change(response, code);
        socket.write(response);
      });
      socket.on('close', () => upstream.destroy());
    });
    server.listen(path);
    await once(server, 'listening');
    await use(`swtpm:path=${path}`).finally(() => server.close());
    return Buffer.concat(seen);
  };

  test('gives away no secret to who listens between it and the processor', async () => {
    const value = Buffer.from('an authorization value, 32 bytes');
    const secret = Buffer.from('the content key is 32 bytes long');
    const traffic = await onTheBus(
      () => undefined,
      async (tcti) => {
        for (const pcrs of [undefined, { bank: 'sha256', registers: [3] }]) {
          const { signal } = new AbortController();
          const bus = new Tpm(await connectTpm('tpm2:', parseTcti(tcti) as TpmPlace, signal), signal);
          const parent = await bus.storageKey();
          const sealed = await bus.seal(parent, secret, value, pcrs);
          const object = (await bus.load(parent, sealed)) ?? 0;
          const unsealed = await bus.unseal(parent, object, sealed.publicPart, value, pcrs);
          expect(Buffer.from(unsealed.bytes)).toEqual(secret);
          await bus.end();
        }
      },
    );
    expect(traffic.length).toBeGreaterThan(2000);
    for (const bytes of [value, secret]) expect(traffic.includes(bytes)).toBe(false);
  });

  test('is not believed where someone between answers', async () => {
    const slot = await wrap();
    const flip = (response: Buffer, code: number): void => {
      if (code === 0x15e) response[16] = (response[16] ?? 0) ^ 1;
    };
    await onTheBus(flip, async (tcti) => {
      const provider = await openKeyService(`tpm2:tcti=${tcti}`, patient);
      expect(await refusal(provider.unwrap([slot], imageId))).toEqual([
        'key-unavailable',
        'garbage',
        expect.stringContaining('not authentic'),
      ]);
    });
    // Another key in the place of the TPM's has another name, so that nothing is sealed to it.
    const lie = (response: Buffer, code: number): void => {
      if (code === 0x131) response[60] = (response[60] ?? 0) ^ 1;
    };
    await onTheBus(lie, async (tcti) => {
      const provider = await openKeyService(`tpm2:tcti=${tcti}`, patient);
      expect((await refusal(provider.unwrap([slot], imageId)))[0]).toBe('key-unavailable');
    });
  });

  test('opens what has an authorization value with that alone, and no wrong one is tried twice', async () => {
    const slots = [await wrap(auth), await wrap(auth), await wrap(`pcrs=sha256:1;${auth}`)] as Slot[];
    for (const slot of slots) expect(await opened([slot], auth)).toBeDefined();
    const before = await tpm.wrongTries();
    expect(await refusal(opened(slots))).toEqual([
      'key-unavailable',
      'wrong-pin',
      expect.stringContaining('auth-file='),
    ]);
    expect(await tpm.wrongTries()).toBe(before);
    const tried = await refusal(opened(slots, wrong));
    expect(tried.slice(0, 2)).toEqual(['key-unavailable', 'wrong-pin']);
    expect(await tpm.wrongTries()).toBe(before + 1);
    expect(await refusal(opened(slots.slice(2), wrong))).toEqual(tried);
    expect(await tpm.wrongTries()).toBe(before + 2);
    while ((await refusal(opened(slots, wrong)))[1] === 'wrong-pin');
    expect((await refusal(opened(slots, auth))).slice(1)).toEqual(['pin-locked', expect.stringContaining('locked')]);
    // What has no value is not concerned.
    expect(await opened([await wrap()])).toBeDefined();
  });

  test('opens by a slot that its registers and what was named fit, whatever slots come before it', async () => {
    const slots = [await wrap('pcrs=sha256:16'), await wrap(auth), await wrap('pcrs=sha256:2')];
    await tpm.extend(16);
    expect(await opened(slots)).toMatchObject({ slot: 2 });
    expect((await refusal(opened(slots.slice(0, 2))))[1]).toBe('denied');
    expect(await tpm.loaded()).toBe(0);
  });

  test('that is stopped, or gone, is not waited for', async () => {
    other.pause(true);
    const provider = await openKeyService(`tpm2:tcti=${other.tcti}`, { timeoutSeconds: 0.5 });
    expect((await refusal(provider.prepare()))[1]).toBe('timeout');
    other.pause(false);
    await other.stop();
    expect((await refusal((await open('', other)).prepare()))[1]).toBe('unreachable');
  });
});
