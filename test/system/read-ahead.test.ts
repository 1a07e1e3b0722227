// Goal: what is decrypted ahead of a direct reader is right, is never sent when it is damaged, and does not stay.
// Method: clients that criu cannot be told from read a mounted image step by step; its daemon's memory is searched.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { SERVED_BEFORE_THREADS } from '../../src/base/tuning.ts';
import { foundInMemory } from '../support/memory.ts';
import { endOf } from './support/children.ts';
import {
  clear,
  type Encrypted,
  encryptInto,
  isAlive,
  logOf,
  type Mounted,
  mountOn,
  statusOf,
  until,
} from './support/mounts.ts';
import { inTime } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const MIB = 1 << 20;
const BLOCK = 1 << 18;
const SIZE = 32 * MIB;
const MOST_TRIES = 100;
const nonce = randomBytes(16).toString('hex');

/** Reads as many mebibytes as each line of its input says, and prints the digest of all, or where reading failed. */
const CLIENT = `
import hashlib, os, sys
open('/proc/self/comm', 'w').write('criu-client')
fd = os.open(sys.argv[1], os.O_RDONLY)
at, digest = 0, hashlib.sha256()
for line in sys.stdin:
    failed = []
    for _ in range(int(line)):
        try:
            digest.update(os.pread(fd, 1 << 20, at))
        except OSError as error:
            failed.append((error.errno, at))
        at += 1 << 20
    print(digest.hexdigest(), *(f'{errno}:{offset}' for errno, offset in failed), flush=True)
`;

/** Returns what each block of the file has in each of its lines, and no other block has. */
function labelOf(block: number): string {
  return `${nonce} block ${String(block).padStart(5, '0')}`;
}

class Client {
  readonly process: ChildProcess;
  readonly #lines: Interface;
  readonly #closed: Promise<unknown[]>;

  constructor(file: string) {
    this.process = spawn('python3', ['-c', CLIENT, file], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.process.stdout as NodeJS.ReadableStream });
    this.#closed = once(this.#lines, 'close');
  }

  /** Reads on, and returns the digest of all that was read, and the failures. */
  async read(mebibytes: number): Promise<string> {
    const answer = once(this.#lines, 'line');
    this.process.stdin?.write(`${mebibytes}\n`);
    const [line] = await inTime('the answer of a client', Promise.race([answer, this.#closed]));
    if (line === undefined) throw new Error('the client ended without an answer');
    return line as string;
  }

  async end(signal?: NodeJS.Signals): Promise<void> {
    if (signal === undefined) this.process.stdin?.end();
    else this.process.kill(signal);
    await endOf(this.process);
  }
}

describeIf(['root', 'fuse', 'python'], 'what is decrypted ahead', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-read-ahead-')));
  const mountPoint = join(base, 'mnt');
  const lines = (block: number) => Buffer.alloc(BLOCK, `${labelOf(block)}\n`.padEnd(64, '.'));
  const content = Buffer.concat(Array.from({ length: SIZE / BLOCK }, (_, block) => lines(block)));
  const clients: Client[] = [];
  let encrypted: Encrypted;
  let mounted: Mounted;

  beforeAll(() => {
    fs.mkdirSync(join(base, 'source'));
    fs.writeFileSync(join(base, 'source', 'pages-1.img'), content);
    fs.writeFileSync(join(base, 'source', 'pages-2.img'), randomBytes(SERVED_BEFORE_THREADS));
    encrypted = encryptInto(base, join(base, 'source'));
  });
  afterEach(async () => {
    for (const { process } of clients.splice(0)) process.kill('SIGKILL');
    clear(mountPoint);
    await until('the daemon has ended', () => !isAlive(mounted.pid));
  });
  afterAll(() => fs.rmSync(base, { recursive: true }));

  function open(name = 'pages-1.img'): Client {
    const client = new Client(join(mountPoint, name));
    clients.push(client);
    return client;
  }

  function servedAhead(): number {
    return statusOf(mountPoint)?.daemon?.counters.bytesServedAhead ?? 0;
  }

  /**
   * Mounts, and waits until the threads serve that read ahead. Until then another file is read, since buffers keep what
   * is read in the ordinary way.
   */
  async function mount(image = encrypted): Promise<void> {
    mounted = mountOn(mountPoint, image);
    for (let tries = 0; tries < MOST_TRIES && servedAhead() === 0; tries++) {
      const client = open('pages-2.img');
      await client.read(SERVED_BEFORE_THREADS / MIB);
      await client.end();
    }
    expect(servedAhead()).toBeGreaterThan(0);
  }

  function digest(mebibytes: number): string {
    return createHash('sha256')
      .update(content.subarray(0, mebibytes * MIB))
      .digest('hex');
  }

  /** Finds which of the next blocks after `mebibytes` of the file are in the daemon's memory. */
  function blocksInMemory(mebibytes: number): string[] {
    const blocks = [0, 1, 2, 3].map((index) => (mebibytes * MIB) / BLOCK + index);
    const needles = Object.fromEntries(blocks.map((block) => [`block ${block}`, Buffer.from(labelOf(block))]));
    return foundInMemory(mounted.pid, needles);
  }

  /** Whether the ring has memory. It has none when all of it is wiped, and no process has read for a while. */
  function hasRing(): boolean {
    const status = fs.readFileSync(`/proc/${mounted.pid}/status`, 'utf8');
    return Number(/^VmLck:\s+(\d+)/m.exec(status)?.[1]) > 1024;
  }

  /** Lets a new client read until there is a ring. Returns it, and how many mebibytes it has read. */
  async function readPart(): Promise<[Client, number]> {
    const client = open();
    for (let read = 1; read < SIZE / MIB; read++) {
      expect(await client.read(1)).toBe(digest(read));
      if (read > 4 && hasRing()) return [client, read];
    }
    throw new Error('nothing was read ahead');
  }

  systemTest([], 'is what readers get, several at once and apart, and the right bytes', async () => {
    await mount();
    const before = servedAhead();
    const readers = Array.from({ length: 4 }, open);
    await readers[0]?.read(10);
    const rest = readers.map((reader, index) => reader.read(index === 0 ? 22 : 32));
    expect(await Promise.all(rest)).toEqual(readers.map(() => digest(32)));
    expect(servedAhead() - before).toBeGreaterThan(SIZE);
  });

  systemTest([], 'is not given to anyone when it is damaged: the read of it fails, and no other', async () => {
    const image = join(base, 'damaged');
    fs.cpSync(encrypted.image, image, { recursive: true });
    const names = fs.readdirSync(join(image, 'objects'), { recursive: true, encoding: 'utf8' });
    const paths = names.map((name) => join(image, 'objects', name));
    const object = paths.find((path) => fs.statSync(path).isFile() && fs.statSync(path).size > SIZE) as string;
    const fd = fs.openSync(object, 'r+');
    fs.writeSync(fd, Buffer.from('damage'), 0, 6, 20 * MIB + 9);
    fs.closeSync(fd);
    await mount({ ...encrypted, image });
    const [, ...failures] = (await open().read(32)).split(' ');
    expect(failures).toEqual([expect.stringMatching(/^5:(20|19)\d{6}$/)]);
    expect(statusOf(mountPoint)?.daemon?.counters.authenticationFailures).toBeGreaterThan(0);
    expect(await open().read(15)).toBe(digest(15));
  });

  systemTest([], 'is wiped when its reader is killed, and others read on', async () => {
    await mount();
    const [client, read] = await readPart();
    await client.end('SIGKILL');
    await until('all is wiped', () => !hasRing());
    expect(blocksInMemory(read)).toEqual([]);
    const before = servedAhead();
    expect(await open().read(32)).toBe(digest(32));
    expect(servedAhead()).toBeGreaterThan(before);
  });

  systemTest([], 'is wiped, and its memory given back, when its reader does not read on', async () => {
    await mount();
    const [client, read] = await readPart();
    await until('all is wiped', () => !hasRing());
    expect(blocksInMemory(read)).toEqual([]);
    expect(await client.read(SIZE / MIB - read)).toBe(digest(32));
  });

  systemTest([], 'is there for readers of a mount that was detached, and wiped after them', async () => {
    await mount();
    const [client, read] = await readPart();
    runProgram('umount', '--lazy', mountPoint);
    expect(await client.read(SIZE / MIB - read)).toBe(digest(32));
    await client.end();
    await until('the daemon has ended', () => !isAlive(mounted.pid));
    expect(logOf(mounted).join('\n')).toContain('keys and cached plaintext are wiped');
  });
});
