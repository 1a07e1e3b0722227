// Goal: "ckptfs reencrypt" ends with one whole image, wherever it is killed, and says what it did not do.
// Method: the built CLI, killed by strace before single system calls; a mount that reads meanwhile; small file systems.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest';
import { ckptfs, runCkptfs, withMount } from './support/ckptfs.ts';
import { PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest, toolEnvironment } from './support/requirements.ts';

const base = mkdtempSync(join(tmpdir(), 'ckptfs-reencrypt-cli-'));
const original = join(base, 'original');
const oldKey = join(base, 'old.key');
const newKey = join(base, 'new.key');
const big = Buffer.alloc((2 << 20) + 5, 'big contents ');
let directory: string;
let image: string;

beforeAll(() => {
  for (const key of [oldKey, newKey]) ckptfs('keygen', '-o', key);
  const source = join(base, 'source');
  mkdirSync(source);
  writeFileSync(join(source, 'big'), big);
  writeFileSync(join(source, 'small'), 'small contents');
  // Two objects in one directory by chance would make fewer system calls than the tests count.
  do {
    rmSync(original, { recursive: true, force: true });
    ckptfs('encrypt', source, original, '-k', oldKey);
  } while (sharesDirectory(join(original, 'objects')));
});
afterAll(() => rmSync(base, { recursive: true }));
beforeEach(() => {
  directory = mkdtempSync(join(base, 'case-'));
  image = join(directory, 'enc');
  cpSync(original, image, { recursive: true });
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Tells whether one of the directories of objects has more than one. */
const sharesDirectory = (objects: string): boolean =>
  readdirSync(objects, { recursive: true }).length > 2 * readdirSync(objects).length;

const command = (...more: readonly string[]): string[] => [
  'reencrypt',
  image,
  '-k',
  oldKey,
  '-r',
  `file:${newKey}`,
  ...more,
];
const imageId = (at: string): string => JSON.parse(readFileSync(join(at, 'ckptfs.json'), 'utf8')).image;
const program = join(import.meta.dirname, '../../bin/ckptfs');
const contents = (at: string, ...keys: readonly string[]): string =>
  runProgram(program, 'cat', at, 'big', ...keys.flatMap((key) => ['-k', key]));

/** Makes a key pair, of which the private part is host.pem. */
function publicKeyOf(at: string): string {
  runProgram('openssl', 'genpkey', '-algorithm', 'x25519', '-out', join(at, 'host.pem'));
  runProgram('openssl', 'pkey', '-in', join(at, 'host.pem'), '-pubout', '-out', join(at, 'host.pub'));
  return join(at, 'host.pub');
}

/** Runs the command under strace, which sends a signal to it before one of its system calls. */
const signalAt = (call: string, count: number, name: 'KILL' | 'TERM', ...more: readonly string[]) =>
  signal(call, count, name, command(...more));

function signal(call: string, count: number, signal: 'KILL' | 'TERM', words: readonly string[]) {
  const inject = `inject=${call}:signal=${signal}:when=${count}`;
  const options = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`, '-e', inject];
  return spawnSync('strace', [...options, program, ...words], {
    env: toolEnvironment,
    encoding: 'utf8',
    timeout: PATIENCE,
  });
}

describeIf([], 'ckptfs reencrypt', () => {
  systemTest([], 'replaces the image, and says that copies still open with the old key', () => {
    const id = imageId(image);
    const { status, stdout, stderr } = runCkptfs(...command('--cipher', 'aes-256-gcm', '--chunk-size', '64K'));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.split('\n')).toEqual([
      `image ${imageId(image)}: 2 files, 2.0 MiB, under a new key, in ${image}`,
      `image ${id}: the old one is removed; every copy of it still opens with the old keys`,
      'Removing a key slot would not have done this: who has had the image key can read what it encrypted.',
      '',
    ]);
    expect(contents(image, newKey)).toBe(big.toString());
    expect(runCkptfs('cat', image, 'big', '-k', oldKey).status).toBe(12);
    expect(JSON.parse(ckptfs('info', image, '--json', '-k', newKey))).toMatchObject({
      cipher: 'aes-256-gcm',
      chunkSize: 65536,
      epoch: 2,
      files: 2,
    });
    expect(readdirSync(directory)).toEqual(['enc']);
  });

  systemTest([], 'refuses to work without a recipient', () => {
    const { status, stderr } = runCkptfs('reencrypt', image, '-k', oldKey);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^ckptfs: no recipient is given for the new key slot\. Name it with --recipient:/);
  });

  systemTest(
    ['root'],
    'leaves a mount that reads the old image alone, and removes that when it is run again',
    async () => {
      const mountPoint = join(directory, 'mnt');
      const id = imageId(image);
      await withMount(image, mountPoint, oldKey, [], async () => {
        const { status, stdout, stderr } = runCkptfs(...command('--json'));
        expect(status).toBe(0);
        expect(JSON.parse(stdout)).toEqual({
          imageId: imageId(image),
          previousImageId: id,
          files: 2,
          fileBytes: big.length + 14,
          location: image,
          oldImage: `${image}.reencrypt`,
        });
        expect(JSON.parse(stderr).warning.message).toContain(`image ${id} is still read`);
        expect(readFileSync(join(mountPoint, 'big')).equals(big)).toBe(true);
        expect(contents(image, newKey)).toBe(big.toString());
      });
      expect(ckptfs(...command())).toContain(`image ${id}: the old one is removed`);
      expect(readdirSync(directory).sort()).toEqual(['enc', 'mnt']);
      ckptfs('verify', image, '-k', newKey, '--strict');
    },
  );

  systemTest([], 'a mark that the storage made does not stand for the work', () => {
    writeFileSync(join(image, 'replaces'), '00112233445566778899aabbccddeeff in-place\n');
    expect(runCkptfs(...command())).toMatchObject({ status: 0, stderr: '' });
    expect(runCkptfs('cat', image, 'big', '-k', oldKey).status).toBe(12);
    expect(contents(image, newKey)).toBe(big.toString());
    expect(readdirSync(image).sort()).toEqual(['ckptfs.json', 'manifest', 'objects']);
  });

  systemTest([], 'nor does it where the new recipient could open the image before', () => {
    const id = imageId(image);
    writeFileSync(join(image, 'replaces'), `00112233445566778899aabbccddeeff in-place\n${'A'.repeat(43)}\n`);
    const same = ['reencrypt', image, '-k', oldKey, '-r', `file:${oldKey}`];
    expect(runCkptfs(...same)).toMatchObject({ status: 0, stderr: '' });
    expect(imageId(image)).not.toBe(id);
    expect(readdirSync(image).sort()).toEqual(['ckptfs.json', 'manifest', 'objects']);
  });

  systemTest([], 'a mark that the storage made does not let another image be removed', () => {
    cpSync(image, `${image}.reencrypt`, { recursive: true });
    writeFileSync(join(image, 'replaces'), `${imageId(image)} in-place\n`);
    expect(runCkptfs(...command()).status).toBe(4);
    expect(contents(`${image}.reencrypt`, oldKey)).toBe(big.toString());
    expect(contents(image, oldKey)).toBe(big.toString());
  });

  systemTest([], 'a mark of any kind in the old image does not keep it from being removed', () => {
    writeFileSync(join(image, 'replaces'), '');
    expect(runCkptfs(...command())).toMatchObject({ status: 0, stderr: '' });
    expect(readdirSync(directory)).toEqual(['enc']);
  });

  // The calls are those of this version, in their order; each leaves another state of format.md §10.
  for (const [call, count, what] of [
    ['renameat', 1, 'the header of the new image'],
    ['pwrite64', 2, 'its objects'],
    ['renameat', 2, 'its manifest'],
    ['renameat2', 2, 'the swap'],
    ['unlinkat', 5, 'the removal of the old manifest'],
    ['unlinkat', 14, 'the removal of old objects'],
    ['unlinkat', 22, 'the removal of the mark'],
  ] as const) {
    systemTest(['strace'], `killed before ${what}: the image is whole, and the same command completes it`, () => {
      expect(signalAt(call, count, 'KILL', '--label', 'new').signal).toBe('SIGKILL');
      expect(contents(image, oldKey, newKey)).toBe(big.toString());
      const begun = existsSync(join(`${image}.reencrypt`, 'manifest')) && imageId(`${image}.reencrypt`);
      expect(runCkptfs(...command('--label', 'new'))).toMatchObject({ status: 0, stderr: '' });
      if (call === 'renameat2') expect(imageId(image)).toBe(begun);
      ckptfs('verify', image, '-k', newKey, '--strict');
      expect(contents(image, newKey)).toBe(big.toString());
      expect(readdirSync(directory)).toEqual(['enc']);
      expect(readdirSync(image).sort()).toEqual(['ckptfs.json', 'manifest', 'objects']);
    });
  }

  systemTest(['strace'], 'killed after the swap: a demand of a signature keeps the old image, and is told of', () => {
    const signer = join(directory, 'signer.pem');
    runProgram('openssl', 'genpkey', '-algorithm', 'ed25519', '-out', signer);
    runProgram('openssl', 'pkey', '-in', signer, '-pubout', '-out', `${signer}.pub`);
    ckptfs('sign', image, '-k', oldKey, '--sign', signer);
    const demand = ['--require-signature', '--trusted', `${signer}.pub`];
    const id = imageId(image);
    expect(signalAt('unlinkat', 5, 'KILL', ...demand).signal).toBe('SIGKILL');
    expect(imageId(image)).not.toBe(id);
    const { status, stderr } = runCkptfs(...command(...demand));
    expect(status).toBe(4);
    expect(stderr).toContain(`${image}.reencrypt is image ${id}, and it is not certain what took its place.`);
    expect(stderr).toContain('without --require-signature');
    expect(imageId(`${image}.reencrypt`)).toBe(id);
    expect(runCkptfs(...command())).toMatchObject({ status: 0, stderr: '' });
    expect(existsSync(`${image}.reencrypt`)).toBe(false);
  });

  systemTest([], 'signs the new image, and demands a signature of the old one', () => {
    const signer = join(directory, 'signer.pem');
    const publicKey = join(directory, 'signer.pub');
    runProgram('openssl', 'genpkey', '-algorithm', 'ed25519', '-out', signer);
    runProgram('openssl', 'pkey', '-in', signer, '-pubout', '-out', publicKey);
    const demand = ['--require-signature', '--trusted', publicKey];
    expect(runCkptfs(...command(...demand)).status).toBe(13);
    ckptfs('sign', image, '-k', oldKey, '--sign', signer);
    ckptfs(...command(...demand, '--sign', signer));
    ckptfs('verify', image, '-k', newKey, '--strict', ...demand);
    ckptfs('reencrypt', image, '-k', newKey, '-r', publicKeyOf(directory), '--label', 'host');
    expect(runCkptfs('verify', image, '--signature-only', '--trusted', publicKey).status).toBe(13);
    ckptfs('verify', image, '-i', join(directory, 'host.pem'), '--strict');
  });

  describe('for a public key alone', () => {
    const forHost = (...more: readonly string[]): string[] => [
      ...['reencrypt', image, '-k', oldKey, '-r', join(directory, 'host.pub'), '--label', 'host'],
      ...more,
    ];
    const isWhole = (): void => {
      ckptfs('verify', image, '-i', join(directory, 'host.pem'), '--strict');
      expect(readdirSync(directory).filter((name) => name.startsWith('enc'))).toEqual(['enc']);
      expect(readdirSync(image)).not.toContain('replaces');
    };
    const kill = (call: string, count: number, ...more: readonly string[]) =>
      expect(signal(call, count, 'KILL', forHost(...more)).signal).toBe('SIGKILL');
    beforeEach(() => publicKeyOf(directory));

    for (const [count, what] of [
      [5, 'the removal of the old manifest'],
      [14, 'the removal of old objects'],
      [19, 'the removal of the old header'],
      [21, 'the removal of the directory of the old image'],
    ] as const) {
      systemTest(['strace'], `killed before ${what}: the old key vouches for what is done`, () => {
        const id = imageId(image);
        kill('unlinkat', count);
        const begun = imageId(image);
        expect(begun).not.toBe(id);
        if (existsSync(join(`${image}.reencrypt`, 'ckptfs.json'))) {
          expect(runCkptfs(...forHost())).toMatchObject({ status: 0, stderr: '' });
          expect(imageId(image)).toBe(begun);
          isWhole();
          return;
        }
        const { status, stderr } = runCkptfs(...forHost());
        expect(status).toBe(12);
        expect(stderr).toContain(`it may be what took the place of image ${id}, which is gone.`);
        expect(imageId(image)).toBe(begun);
      });
    }

    systemTest(['strace'], 'killed when nothing is left of the old image: the signature tells that it is done', () => {
      const signer = join(directory, 'signer.pem');
      runProgram('openssl', 'genpkey', '-algorithm', 'ed25519', '-out', signer);
      kill('unlinkat', 23, '--sign', signer);
      expect(existsSync(`${image}.reencrypt`)).toBe(false);
      const begun = imageId(image);
      expect(runCkptfs(...forHost('--sign', signer))).toMatchObject({ status: 0, stderr: '' });
      expect(imageId(image)).toBe(begun);
      isWhole();
    });

    systemTest(
      ['strace'],
      'nothing is removed for other recipients, another signer, or an image that has changed',
      () => {
        const signer = join(directory, 'signer.pem');
        runProgram('openssl', 'genpkey', '-algorithm', 'ed25519', '-out', signer);
        kill('unlinkat', 5);
        const isRefused = (words: readonly string[], code: number): void => {
          expect(runCkptfs(...words).status).toBe(code);
          expect(contents(`${image}.reencrypt`, oldKey)).toBe(big.toString());
        };
        isRefused(forHost('--sign', signer), 4);
        isRefused(['reencrypt', image, '-k', oldKey, '-r', `file:${newKey}`], 4);
        isRefused(forHost('-r', `file:${newKey}`), 4);
        isRefused(['reencrypt', image, '-k', newKey, '-r', join(directory, 'host.pub')], 12);
        const host = ['-i', join(directory, 'host.pem')];
        ckptfs('key', 'label', image, '1', 'other', ...host);
        isRefused(forHost(), 4);
        ckptfs('key', 'label', image, '1', 'host', ...host);
        const other = `${image}2`;
        ckptfs('encrypt', join(base, 'source'), other, '-r', join(directory, 'host.pub'));
        cpSync(join(image, 'replaces'), join(other, 'replaces'));
        renameSync(image, `${image}3`);
        renameSync(other, image);
        isRefused(forHost(), 4);
        rmSync(image, { recursive: true });
        renameSync(`${image}3`, image);
        expect(runCkptfs(...forHost())).toMatchObject({ status: 0, stderr: '' });
        isWhole();
      },
    );
  });

  systemTest([], 'a host that has seen the new image, signed, refuses the old one, also after another one', () => {
    const signer = join(directory, 'signer.pem');
    const publicKey = join(directory, 'signer.pub');
    runProgram('openssl', 'genpkey', '-algorithm', 'ed25519', '-out', signer);
    runProgram('openssl', 'pkey', '-in', signer, '-pubout', '-out', publicKey);
    const demand = ['--require-signature', '--trusted', publicKey, '--epoch-file', join(directory, 'epochs')];
    const cat = (at: string) => runCkptfs('cat', at, 'small', '-k', oldKey, '-k', newKey, ...demand);
    ckptfs('sign', image, '-k', oldKey, '--sign', signer);
    const [first, second, third] = [`${image}1`, `${image}2`, `${image}3`];
    cpSync(image, first, { recursive: true });
    ckptfs(...command());
    expect(cat(first)).toMatchObject({ status: 0 });
    expect(cat(image)).toMatchObject({ status: 13 }); // it is not signed
    expect(cat(first)).toMatchObject({ status: 0 });
    ckptfs('sign', image, '-k', newKey, '--sign', signer);
    cpSync(image, second, { recursive: true });
    ckptfs('reencrypt', image, '-k', newKey, '-r', `file:${newKey}`, '--sign', signer);
    expect(cat(image)).toMatchObject({ status: 0 });
    for (const old of [first, second]) {
      const { status, stdout, stderr } = cat(old);
      expect({ status, stdout }).toEqual({ status: 13, stdout: '' });
      expect(stderr).toContain(
        `is image ${imageId(old)}, which this host has seen replaced by image ${imageId(image)}`,
      );
    }
    const verify = (...more: string[]) => ckptfs('verify', image, '--signature-only', '--trusted', publicKey, ...more);
    expect(JSON.parse(verify('--json')).replaces).toEqual([imageId(second), imageId(first)]);
    expect(verify()).toContain(`\nin the place of image ${imageId(second)}, image ${imageId(first)}\n`);
    ckptfs('reencrypt', image, third, '-k', newKey, '-r', `file:${newKey}`, '--sign', signer);
    expect([cat(third), cat(image)]).toMatchObject([{ status: 0 }, { status: 0 }]);
    rmSync(third, { recursive: true });
    ckptfs('reencrypt', image, third, '-k', newKey, '-r', `file:${newKey}`, '--sign', signer, '--retire');
    expect([cat(third), cat(image)]).toMatchObject([{ status: 0 }, { status: 13 }]);
    expect(JSON.parse(ckptfs('info', third, '--json')).replaces).toHaveLength(3);
  });

  systemTest(['root'], 'what an image takes the place of is still signed after it was written', () => {
    const id = imageId(image);
    ckptfs(...command());
    ckptfs('exec', image, '--write', '-k', newKey, '--', 'sh', '-c', 'echo more > "$1/more"', 'sh', '{}');
    expect(JSON.parse(ckptfs('info', image, '--json')).replaces).toEqual([id]);
  });

  systemTest(['strace'], 'SIGTERM ends it, and it says how to go on', () => {
    const { status, stderr } = signalAt('pwrite64', 1, 'TERM', '--jobs', '1');
    expect(status).toBe(143);
    expect(stderr).toBe(
      `ckptfs: interrupted by SIGTERM. ${image} is as it was; run the same command again to go on.\n`,
    );
    expect(contents(image, oldKey)).toBe(big.toString());
  });

  systemTest(['strace', 'root'], 'an image that was written since the interruption is encrypted as it is now', () => {
    signalAt('renameat2', 2, 'KILL');
    ckptfs('exec', image, '--write', '-k', oldKey, '--', 'sh', '-c', 'echo changed > "$1/small"', 'sh', '{}');
    ckptfs(...command());
    expect(ckptfs('cat', image, 'small', '-k', newKey)).toBe('changed\n');
    ckptfs('verify', image, '-k', newKey, '--strict');
  });
});

describeIf(['root'], 'on a small file system', () => {
  beforeEach(() => {
    rmSync(image, { recursive: true });
    runProgram('mount', '-t', 'tmpfs', '-o', 'size=4M', 'ckptfs-test', directory);
    cpSync(original, image, { recursive: true });
  });
  afterEach(() => runProgram('umount', directory));

  systemTest([], 'there is no room for a second copy: refused at once; another disk takes it', () => {
    const { status, stderr } = runCkptfs(...command());
    expect(status).toBe(3);
    expect(stderr).toMatch(/enc\.reencrypt needs room for 3 MiB, and \d MiB are free\.\n$/);
    expect(contents(image, oldKey)).toBe(big.toString());
    const destination = join(base, 'elsewhere');
    const moved = ['reencrypt', image, destination, '-k', oldKey, '-r', `file:${newKey}`];
    expect(ckptfs(...moved)).toContain(`the old one is in ${image}`);
    expect(contents(destination, newKey)).toBe(big.toString());
    expect(contents(image, oldKey)).toBe(big.toString());
  });

  systemTest([], 'a mount point is not replaced', () => {
    for (const name of readdirSync(image)) renameSync(join(image, name), join(directory, name));
    const { status, stderr } = runCkptfs('reencrypt', directory, '-k', oldKey, '-r', `file:${newKey}`);
    expect(status).toBe(33);
    expect(stderr).toContain('it is a mount point. Name another directory for the new image:');
  });
});
