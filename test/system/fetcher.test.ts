// Goal: fetchers of one cache get each byte of an image once, and the right ones, whatever is killed, garbled or away;
// and none outlives those that need it. Method: the built program against docker-registry, by a proxy that counts.
import { hash } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { settleable } from '../../src/base/settleable.ts';
import { encodeAccessProfile } from '../../src/format/access-profile.ts';
import { BlockTable } from '../../src/format/block-table.ts';
import { parseRemoteIndex } from '../../src/format/remote-index.ts';
import type { FetcherOrder, Prefetch } from '../../src/remote/lazy/fetcher-order.ts';
import { endOf } from './support/children.ts';
import { CountingProxy } from './support/counting-proxy.ts';
import { type Answer, Fetcher } from './support/fetcher.ts';
import { until } from './support/mounts.ts';
import { Registry } from './support/remote-servers.ts';
import { describeIf } from './support/requirements.ts';
import { Terminal } from './support/transcript.ts';

const SIZE = 6_000_000;

describeIf(['dockerRegistry'], 'fetchers', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-fetchers-')));
  const at = (...names: string[]): string => join(base, ...names);
  const cache = at('cache');
  let registry: Registry;
  let proxy: CountingProxy;
  let table: BlockTable;
  let indexDigest: string;
  let stored: number[];

  beforeAll(async () => {
    registry = await Registry.start();
    proxy = await CountingProxy.start(registry.host);
    const terminal = new Terminal(base);
    Object.assign(terminal.environment, { HOME: base });
    fs.mkdirSync(at('src'));
    fs.writeFileSync(at('src/pages-1.img'), Buffer.alloc(SIZE, 'pages'));
    const url = `oci://${registry.host}/web:1`;
    for (const words of [
      ['keygen', '-o', 'k'],
      ['encrypt', 'src', 'enc', '-k', 'k'],
      ['push', 'enc', url],
    ])
      expect(terminal.run(...words, '-q').stderr).toBe('');
  });
  afterAll(async () => {
    proxy.close();
    await registry.remove();
    fs.rmSync(base, { recursive: true });
  });
  beforeEach(() => {
    proxy.ranges.length = 0;
    fs.rmSync(cache, { recursive: true, force: true });
  });

  const order = (prefetch: Prefetch = { kind: 'none' }): FetcherOrder => ({
    url: `oci://${proxy.host}/web:1`,
    remote: { jobs: 4, timeoutSeconds: 600 },
    cache: { directory: cache, size: 1_000_000_000 },
    prefetch,
  });

  /** Starts one, and reads its stub. */
  async function started(given = order(), before: readonly string[] = []): Promise<Fetcher> {
    const fetcher = await Fetcher.start(given, before);
    const stub = join(fetcher.ready.image, '..');
    const index = fs.readFileSync(join(stub, 'index'));
    table = new BlockTable(fs.readFileSync(join(stub, 'blocks')), parseRemoteIndex(index));
    expect(fetcher.ready.blocks).toBe(table.count);
    indexDigest = hash('sha256', index, 'hex');
    stored = Array.from({ length: table.count }, (_, block) => block).filter((block) => table.pagesOf(block) > 0);
    expect(stored.length).toBeGreaterThan(20);
    proxy.ranges.length = 0;
    return fetcher;
  }

  /** Takes an answer for the right block, or fails. */
  function expectBlock(block: number, answer: Answer): void {
    const { digest, packedSize } = table.placeOf(block);
    expect(answer).toHaveProperty('packed');
    if (!('packed' in answer)) return;
    expect(answer.packed).toHaveLength(packedSize);
    expect(hash('sha256', answer.packed, 'hex')).toMatch(new RegExp(`^${digest}`));
  }

  async function readAll(fetcher: Fetcher, blocks: readonly number[] = stored): Promise<void> {
    const thread = await fetcher.thread();
    for (const block of blocks) expectBlock(block, await thread.want(block));
    thread.close();
  }

  /** Bytes that were asked for; fails if one was twice. */
  function bytesAskedOnce(): number {
    const sorted = proxy.ranges.toSorted((one, other) =>
      one.path === other.path ? one.start - other.start : one.path < other.path ? -1 : 1,
    );
    for (const [number, { path, start }] of sorted.entries()) {
      const before = sorted[number - 1];
      if (before?.path === path) expect(start).toBeGreaterThanOrEqual(before.end);
    }
    return sorted.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  test('two of one cache fetch each byte once, and nothing again', async () => {
    const [one, other] = [await started(), await started()];
    await Promise.all([
      readAll(one),
      readAll(other),
      readAll(one, stored.toReversed()),
      readAll(other, stored.toReversed()),
    ]);
    const bytes = stored.reduce((sum, block) => sum + table.placeOf(block).packedSize, 0);
    expect(bytesAskedOnce()).toBe(bytes);
    expect(await Promise.all([one.end(), other.end()])).toEqual([0, 0]);
    expect(fs.readdirSync(join(cache, 'sockets'))).toEqual([]);

    proxy.ranges.length = 0;
    const third = await Fetcher.start(order());
    await readAll(third);
    expect(await third.ask({ ask: 'status' })).toMatchObject({
      status: { touchedBlocks: stored.length, fetchedBlocks: 0, requests: 0, cacheHits: stored.length },
    });
    // The stub was there as well.
    expect(proxy.ranges).toEqual([]);
    await third.end();
  });

  test('one that is killed while it fetches holds up no other one', async () => {
    const [one, other] = [await started(), await started()];
    const gate = settleable<void>();
    proxy.gate = gate.promise;
    const first = await one.thread();
    first.want(0).catch(() => undefined);
    await until('a range is asked for', () => proxy.ranges.length === 1);
    const second = await other.thread();
    const answered = second.want(0);
    // Connections are served one after the other, so the want was heard.
    await other.ask({ ask: 'status' });
    expect(proxy.ranges).toHaveLength(1);
    await one.kill();
    await until('it is asked for again', () => proxy.ranges.length === 2);
    gate.resolve();
    expectBlock(0, await answered);
    second.close();
    expect(fs.readdirSync(join(cache, 'sockets'))).toHaveLength(2);
    const third = await started();
    expect(fs.readdirSync(join(cache, 'sockets'))).toHaveLength(2);
    await Promise.all([other.end(), third.end()]);
  });

  test('one that is killed while it fills the cache leaves no block that is not right', async () => {
    const blocks = (): string[] =>
      fs
        .readdirSync(join(cache, 'blocks'), { recursive: true, encoding: 'utf8' })
        .filter((name) => /\/[0-9a-f]{32}$/.test(name));
    for (const count of [1, 5, 12]) {
      const filling = await started(order({ kind: 'all' }));
      await until('some blocks are there', () => blocks().length >= count);
      await filling.kill();
      for (const name of blocks())
        expect(hash('sha256', fs.readFileSync(join(cache, 'blocks', name)))).toMatch(new RegExp(`^${name.slice(3)}`));
    }
    const last = await started();
    await readAll(last);
    await last.end();
  });

  test('garbage in the cache is replaced', async () => {
    const fetcher = await started();
    await readAll(fetcher);
    await fetcher.end();
    for (const name of fs.readdirSync(cache, { recursive: true, encoding: 'utf8' })) {
      const file = join(cache, name);
      if (fs.statSync(file).isFile()) fs.writeFileSync(file, Buffer.alloc(fs.statSync(file).size, 'x'));
    }
    const again = await started();
    await readAll(again);
    expect(await again.ask({ ask: 'status' })).toMatchObject({ status: { cacheHits: 0 } });
    await again.end();
  });

  test('a store that is away is an error, and one that is back is not', async () => {
    const fetcher = await started({ ...order(), remote: { jobs: 4, timeoutSeconds: 1 } });
    const thread = await fetcher.thread();
    proxy.isGone = true;
    expect(await thread.want(0)).toMatchObject({ status: 1, message: expect.stringContaining('oci://') });
    proxy.isGone = false;
    // A store that let a request wait is not asked again at once.
    let answer = await thread.want(0);
    while (!('packed' in answer)) answer = await thread.want(0);
    expectBlock(0, answer);
    // What is no request ends the connection, and nothing else.
    thread.touched(0xffffffff);
    await expect(thread.want(0)).rejects.toThrow(/closed the connection|EPIPE|ECONNRESET/);
    await readAll(fetcher, stored.slice(0, 2));
    await fetcher.end();
  });

  test('what is to be fetched in advance is fetched, in its order', async () => {
    const fetcher = await started();
    const blocks = [3, 4, 17, 9];
    await readAll(fetcher, blocks);
    const said = await fetcher.ask({ ask: 'profile' });
    await fetcher.end();
    const profile = 'profile' in said ? said.profile : '';
    const { imageId } = fetcher.ready;
    const expected = {
      imageId,
      index: indexDigest,
      blocks: [
        [3, 2],
        [17, 1],
        [9, 1],
      ] as const,
    };
    expect(profile).toBe(encodeAccessProfile(expected).toString());

    fs.writeFileSync(at('profile'), profile);
    fs.rmSync(cache, { recursive: true });
    const again = await Fetcher.start(order({ kind: 'file', path: at('profile') }));
    const isThere = (block: number): boolean => {
      const { digest } = table.placeOf(block);
      return fs.existsSync(join(cache, 'blocks', digest.slice(0, 2), digest));
    };
    await until('the blocks of the profile are there', () => blocks.every(isThere));
    expect(stored.filter(isThere)).toEqual(blocks.toSorted((one, other) => one - other));
    await again.end();

    const all = await Fetcher.start(order({ kind: 'all' }));
    await until('all blocks are there', () => stored.every(isThere));
    proxy.isGone = true;
    await readAll(all);
    proxy.isGone = false;
    await all.end();
  });

  test('it ends when the command and all clients are gone, and says why it does not serve', async () => {
    const fetcher = await started();
    const thread = await fetcher.thread();
    fetcher.letGo();
    // As a service manager does that ends all processes of a mount.
    fetcher.child.kill('SIGTERM');
    expectBlock(0, await thread.want(0));
    expect(fetcher.child.exitCode).toBeNull();
    thread.close();
    expect(await endOf(fetcher.child)).toEqual([0, null]);
    await expect(Fetcher.start({ ...order(), imageId: '0'.repeat(32) })).rejects.toMatchObject({ code: 'wrong-image' });
    const absent = { ...order(), url: `oci://${proxy.host}/web:absent` };
    await expect(Fetcher.start(absent)).rejects.toMatchObject({ code: 'store-unavailable' });
  });

  test('it is not the last one in a mount namespace', async () => {
    const fetcher = await started(order(), ['unshare', '--mount']);
    const thread = await fetcher.thread();
    expect(await endOf(fetcher.child)).toEqual([0, null]);
    thread.close();
  });
});
