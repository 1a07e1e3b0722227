// Goal: what CRIU encrypted itself is served, checked and converted like an image of ours, and restored by any criu.
// Method: directories of the real program, by the built command; real processes, encrypted as that program does it.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { CRIU_FIXTURES, criuCase, criuCases } from '../support/criu-fixtures.ts';
import { filesIn } from '../support/criu-trees.ts';
import { dumpProcess, restoreProcess } from './support/checkpoints.ts';
import { ckptfs, isMounted, runCkptfs } from './support/ckptfs.ts';
import { encryptDump } from './support/criu-dumps.ts';
import { buildFixture, waitForState } from './support/fixtures.ts';
import { clear, statusOf, until, untilThreadsServe } from './support/mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { testedTransports, usualTransport } from './support/transports.ts';

/** Git gives each file to all users to read, and ckptfs warns of a key that is. */
const keyDirectory = mkdtempSync(join(tmpdir(), 'ckptfs-criu-keys-'));
afterAll(() => rmSync(keyDirectory, { recursive: true }));

function ownKey(name: string): string {
  const copy = join(keyDirectory, name);
  writeFileSync(copy, readFileSync(join(CRIU_FIXTURES, 'keys', name)), { mode: 0o600 });
  return copy;
}

const key = ownKey('rsa2048-key.pem');
const certificate = join(CRIU_FIXTURES, 'keys', 'rsa2048-cert.pem');
const otherKey = ownKey('rsa3072-key.pem');

/** Images that are raw bytes, which crit does not decode in a plain directory either. */
const RAW = /^(pages-|nftables|ifaddr|route|rule|iptables|ip6tables|tmpfs|netns-ct|netns-exp|stats-)/;

describeIf(['root', 'fuse'], 'a directory that CRIU encrypted', () => {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'ckptfs-criu-encrypted-')));
  const at = (...names: readonly string[]): string => join(base, ...names);
  const mountPoint = at('mnt');
  beforeAll(() => mkdirSync(mountPoint));
  afterAll(() => {
    clear(mountPoint);
    rmSync(base, { recursive: true, force: true });
  });

  function mounted<T>(directory: string, options: readonly string[], body: (log: string) => T): T {
    const log = at('log');
    rmSync(log, { force: true });
    ckptfs('mount', directory, mountPoint, '-i', key, '--log-file', log, '-q', ...options);
    try {
      return body(log);
    } finally {
      ckptfs('umount', mountPoint);
    }
  }

  /** Copies a case, and changes one byte of one of its files. */
  function damaged(name: string, file: string, offset: number): string {
    const copy = at(`damaged-${name}-${file}`);
    cpSync(criuCase(name).encrypted, copy, { recursive: true, verbatimSymlinks: true });
    const bytes = readFileSync(join(copy, file));
    bytes[offset] = (bytes[offset] ?? 0) ^ 1;
    writeFileSync(join(copy, file), bytes);
    return copy;
  }

  describe('shows its plain twin', () => {
    for (const { name, encrypted, plain } of criuCases) {
      systemTest([], `through a mount, and decrypted: ${name}`, () => {
        mounted(encrypted, [], () => {
          expect(filesIn(mountPoint)).toEqual(filesIn(plain));
          expect(runProgram('diff', '--recursive', '--no-dereference', plain, mountPoint)).toBe('');
        });
        ckptfs('decrypt', encrypted, at(name), '-i', key, '-q');
        expect(runProgram('diff', '--recursive', '--no-dereference', plain, at(name))).toBe('');
      });
    }

    for (const { transport, needs } of testedTransports.filter((each) => each.transport !== usualTransport)) {
      systemTest(needs, `by the transport ${transport}`, () => {
        mounted(criuCase('rich').encrypted, ['--transport', transport], () => {
          expect(filesIn(mountPoint)).toEqual(filesIn(criuCase('rich').plain));
        });
      });
    }

    systemTest([], 'to many readers at once, at any offset', async () => {
      ckptfs(
        'mount',
        criuCase('rich').encrypted,
        mountPoint,
        '-i',
        key,
        '-q',
        '--transport',
        'kernel',
        '--workers',
        '2',
      );
      try {
        const pages = join(mountPoint, 'pages-1.img');
        await untilThreadsServe(statusOf(mountPoint)?.pid ?? 0, pages);
        const script = `for i in $(seq 8); do
          (cmp '${pages}' '${criuCase('rich').plain}/pages-1.img' && dd if='${pages}' bs=777 skip=$i count=3 status=none |
            cmp - <(dd if='${criuCase('rich').plain}/pages-1.img' bs=777 skip=$i count=3 status=none)) & pids+=($!)
          done; for pid in "\${pids[@]}"; do wait $pid || exit 1; done`;
        expect(runProgram('bash', '-c', script)).toBe('');
      } finally {
        ckptfs('umount', mountPoint);
      }
    });

    systemTest(['crit'], 'to crit, which decodes images of every kind through the mount', () => {
      const seen = new Set<string>();
      for (const { encrypted, plain } of criuCases) {
        // Other images of a kind differ from their plain twins no more than this one (see above).
        const images = [...filesIn(plain).keys()].filter((name) => {
          const kind = basename(name).replaceAll(/-?\d+/g, '');
          return name.endsWith('.img') && !RAW.test(basename(name)) && !seen.has(kind) && seen.add(kind);
        });
        if (images.length === 0) continue;
        mounted(encrypted, [], () => {
          writeFileSync(at('list'), images.map((image) => `${join(mountPoint, image)}\n`).join(''));
          runProgram('bash', '-c', `xargs -a '${at('list')}' -d '\\n' -P 2 -n 1 sh -c 'crit show "$0" > /dev/null'`);
        });
      }
      expect(seen.size).toBeGreaterThan(25);
    });

    systemTest(['namespaces'], 'to a command, and in the foreground', () => {
      const { encrypted, plain } = criuCase('parent');
      const exec = runCkptfs(
        'exec',
        encrypted,
        '-i',
        key,
        '--verify',
        '--',
        'diff',
        '-r',
        '--no-dereference',
        '{}/.',
        plain,
      );
      expect(exec.status, exec.stderr).toBe(0);
      expect(exec.stdout).toBe('');
      expect(exec.stderr.split('\n')).toEqual([expect.stringContaining('ckptfs encrypt --from'), '']);
      const script = `ckptfs mount -f '${encrypted}' '${mountPoint}' -i '${key}' 2> '${at('errors')}' & pid=$!
        until mountpoint -q '${mountPoint}'; do kill -0 $pid || exit 9; sleep 0.05; done
        diff -r --no-dereference '${mountPoint}' '${plain}' && umount '${mountPoint}' && wait $pid`;
      const path = `PATH='${join(import.meta.dirname, '..', '..', 'bin')}':$PATH`;
      expect(runProgram('bash', '-c', `${path}\n${script}`)).toBe('');
      expect(readFileSync(at('errors'), 'utf8')).toContain('encrypted by CRIU, known here as');
    });
  });

  describe('damage', () => {
    systemTest([], 'of an image is EIO for that image, and named in the log and by verify', () => {
      const directory = damaged('loop', 'files.img', 50);
      mounted(directory, [], (log) => {
        expect(() => readFileSync(join(mountPoint, 'files.img'))).toThrow('EIO');
        expect(readFileSync(join(mountPoint, 'mm-20.img'))).toEqual(
          readFileSync(join(criuCase('loop').plain, 'mm-20.img')),
        );
        expect(readFileSync(log, 'utf8')).toMatch(/cannot read "files\.img": .*tag/);
        expect(statusOf(mountPoint)?.daemon).toMatchObject({
          format: 'criu',
          counters: { authenticationFailures: expect.any(Number) },
        });
      });
      const verify = runCkptfs('verify', directory, '-i', key);
      expect(verify).toMatchObject({ status: 23, stdout: expect.stringMatching(/^files\.img: .*tag/) });
    });

    systemTest([], 'of memory is found by --verify and by verify, and nothing is mounted or converted then', () => {
      const directory = damaged('rich', 'pages-1.img', 5000);
      const refused = runCkptfs('mount', directory, mountPoint, '-i', key, '--verify');
      expect(refused).toMatchObject({ status: 23, stderr: expect.stringContaining('digest') });
      expect(isMounted(mountPoint)).toBe(false);
      expect(runCkptfs('verify', directory, '-i', key, '--json')).toMatchObject({ status: 23 });
      const converted = runCkptfs('encrypt', '--from', directory, at('never'), '-i', key);
      expect(converted).toMatchObject({ status: 23, stdout: '' });
      expect(existsSync(at('never'))).toBe(false);
      mounted(criuCase('rich').encrypted, ['--verify'], () => undefined);
    });
  });

  systemTest([], 'warns of memory and directories that are put in clear in place of encrypted ones', () => {
    const directory = at('in-clear');
    cpSync(criuCase('parent').encrypted, directory, { recursive: true, verbatimSymlinks: true });
    const plain = criuCase('parent').plain;
    rmSync(join(directory, '1'), { recursive: true });
    cpSync(join(plain, '1'), join(directory, '1'), { recursive: true });
    for (const { name } of readdirSync(join(plain, '2'), { withFileTypes: true }))
      if (/^page/.test(name)) cpSync(join(plain, '2', name), join(directory, '2', name));
    const cipher = join(directory, '2', 'cipher.img');
    writeFileSync(cipher, Buffer.concat([readFileSync(cipher).subarray(0, -32), Buffer.alloc(32)]));
    const { status, stderr } = runCkptfs('mount', directory, mountPoint, '-i', key, '--verify');
    try {
      expect(status).toBe(0);
      expect(stderr).toContain('warning: "1" is served as it is: it has no cipher.img');
      expect(stderr).toContain('warning: memory in "2" is not encrypted');
      expect(stderr).toContain(`pages of memory of ${directory}/2 cannot be checked`);
    } finally {
      ckptfs('umount', mountPoint);
    }
    const exec = runCkptfs('exec', directory, '-i', key, '--', 'true');
    expect(exec.stderr).toContain('warning: memory in "2" is not encrypted');
  });

  systemTest([], 'is converted into an image for another key', () => {
    const { encrypted, plain } = criuCase('rich');
    ckptfs('keygen', '-o', at('k'), '-q');
    for (const inVain of [['--jobs', '2'], ['--skip-special']]) {
      const refused = runCkptfs('encrypt', '--from', encrypted, at('enc'), '-i', key, '-k', at('k'), ...inVain);
      expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining(inVain[0] ?? '') });
    }
    for (const reading of [['verify'], ['decrypt', at('never')]]) {
      const [command = '', ...rest] = reading;
      const refused = runCkptfs(command, encrypted, ...rest, '-i', key, '--jobs', '2');
      expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining('--jobs is for images')]);
    }
    const made = ckptfs('encrypt', '--from', encrypted, at('enc'), '-i', key, '-k', at('k'), '--json');
    expect(JSON.parse(made)).toMatchObject({ files: filesIn(plain).size, losses: [] });
    expect(runCkptfs('verify', at('enc'), '-k', at('k'))).toMatchObject({ status: 0 });
    mkdirSync(at('converted'));
    ckptfs('mount', at('enc'), at('converted'), '-k', at('k'), '--verify');
    try {
      expect(runProgram('diff', '--recursive', plain, at('converted'))).toBe('');
    } finally {
      ckptfs('umount', at('converted'));
    }
  });

  systemTest([], 'is unmounted when its lease finds that the private key is gone', async () => {
    const [lent, log] = [at('lent.pem'), at('lease-log')];
    writeFileSync(lent, readFileSync(key), { mode: 0o600 });
    const { encrypted } = criuCase('loop');
    ckptfs('mount', encrypted, mountPoint, '-i', lent, '--key-lease', '1s', '--log-file', log, '-q');
    await until('it is renewed', () => statusOf(mountPoint)?.daemon?.key.lease?.renewal?.result === 'ok');
    rmSync(lent);
    await until('it is unmounted', () => !isMounted(mountPoint));
    expect(readFileSync(log, 'utf8')).toContain('the key may not be used any more');
  });

  describe('is refused', () => {
    const { encrypted } = criuCase('loop');
    const attempts: readonly [string, readonly string[], number, string][] = [
      ['without a key', [], 11, 'no private key'],
      ['with another key', ['-i', otherKey], 12, 'none is the RSA key'],
      ['with a key file', ['-k', 'k'], 11, 'no private key'],
      ['to be written', ['-i', key, '--write'], 2, 'only read'],
      ['with a time for its keys', ['-i', key, '--key-ttl', '5m'], 2, 'cannot be locked'],
      ['with a lease that locks', ['-i', key, '--key-lease', '1h', '--on-revoked', 'lock'], 2, 'cannot be locked'],
      ['with another id', ['-i', key, '--image-id', '0'.repeat(32)], 24, 'known as'],
      [
        'where a signature is demanded',
        ['-i', key, '--require-signature', '--trusted', certificate],
        13,
        'no signatures',
      ],
    ];
    for (const [what, options, status, message] of attempts) {
      systemTest([], what, () => {
        if (!existsSync(at('k'))) ckptfs('keygen', '-o', at('k'), '-q');
        const words = options.map((word) => (word === 'k' ? at('k') : word));
        const result = runCkptfs('mount', encrypted, mountPoint, ...words);
        expect(result).toMatchObject({ status, stderr: expect.stringContaining(message) });
        expect(isMounted(mountPoint)).toBe(false);
      });
    }

    systemTest([], 'where one of its directories has a key that is missing', () => {
      const directory = at('two-keys');
      mkdirSync(directory);
      encryptDump(join(criuCase('parent').plain, '1'), join(directory, '1'), otherKey);
      cpSync(join(criuCase('parent').encrypted, '2'), join(directory, '2'), {
        recursive: true,
        verbatimSymlinks: true,
      });
      const one = runCkptfs('mount', directory, mountPoint, '-i', key);
      expect(one).toMatchObject({ status: 12, stderr: expect.stringContaining(`${directory}/1`) });
      mounted(directory, ['-i', otherKey], () => {
        expect(filesIn(mountPoint)).toEqual(filesIn(criuCase('parent').plain));
      });
    });
  });
});

for (const name of ['counter', 'tree'] as const) {
  describeIf(['root', 'fuse', 'criu', 'namespaces', 'gcc'], `a dump of ${name} that CRIU encrypted`, () => {
    const base = realpathSync(mkdtempSync(join(tmpdir(), `ckptfs-criu-encrypted-${name}-`)));
    const [images, encrypted, mountPoint] = [join(base, 'images'), join(base, 'dump'), join(base, 'mnt')];
    const stateFile = join(base, 'state');
    afterAll(() => {
      clear(mountPoint);
      rmSync(base, { recursive: true, force: true });
    });

    systemTest([], 'is restored by a criu that cannot decrypt, and goes on', async () => {
      const command = buildFixture(name, { directory: base, stateFile, mebibytes: 8 });
      const checkpoint = await dumpProcess(command, { images, work: join(base, 'work'), stateFile });
      encryptDump(images, encrypted, key);
      mkdirSync(mountPoint);
      ckptfs('mount', encrypted, mountPoint, '-i', key, '--verify', '-q');
      const process = await restoreProcess(checkpoint, mountPoint, { work: join(base, 'restore') });
      try {
        expect((await process.countsOn()).damaged).toEqual([]);
        ckptfs('umount', mountPoint);
        if (name === 'tree') {
          writeFileSync(`${stateFile}.release`, '');
          const released = await waitForState(stateFile, ({ fields }) => fields['pending'] !== 'held');
          expect(released.fields['pending']).toBe('4242');
        }
      } finally {
        await process.kill();
      }
    });
  });
}
