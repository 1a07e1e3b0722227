// Goal: an image that is damaged or cannot be served is refused before anything is mounted.
// Method: the real command mounts a copy of an image that was changed in one place.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { ckptfs, isMounted, runCkptfs } from './support/ckptfs.ts';
import { clear, type Encrypted, encryptInto, logOf, mountOn, statusOf } from './support/mounts.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { isOverRing, testedTransports } from './support/transports.ts';

const chunkSize = 16384;
const sectorSize = 4096;
const pages = Buffer.alloc(1 << 20, 'memory of a process ');

describeIf(['root', 'fuse'], 'what cannot be mounted', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-faults-')));
  const mountPoint = join(base, 'mnt');
  let encrypted: Encrypted;

  beforeAll(() => {
    fs.mkdirSync(join(base, 'source'));
    fs.writeFileSync(join(base, 'source', 'pages-1.img'), pages);
    fs.writeFileSync(join(base, 'source', 'core-1.img'), 'core');
    encrypted = encryptInto(base, join(base, 'source'));
    fs.mkdirSync(mountPoint);
  });
  afterEach(() => clear(mountPoint));
  afterAll(() => fs.rmSync(base, { recursive: true }));

  /** A copy of the image, changed. */
  const changed = (change: (image: string) => void): string => {
    const image = join(base, 'changed');
    fs.rmSync(image, { recursive: true, force: true });
    fs.cpSync(encrypted.image, image, { recursive: true });
    change(image);
    return image;
  };
  const flip = (path: string, offset: number): void => {
    const bytes = fs.readFileSync(path);
    bytes[offset] = (bytes[offset] ?? 0) ^ 1;
    fs.writeFileSync(path, bytes);
  };
  const refused = (reason: RegExp, image: string, at = mountPoint, keyFile = encrypted.keyFile): void => {
    const result = runCkptfs('mount', image, at, '--key-file', keyFile);
    expect(result.stderr).toMatch(reason);
    expect(result.status).not.toBe(0);
    expect(isMounted(at)).toBe(false);
  };
  /** The object that holds nothing but pages-1.img, and its path. */
  const largestObject = (image: string): { id: string; path: string } => {
    const paths = fs.readdirSync(join(image, 'objects'), { recursive: true, encoding: 'utf8' });
    const files = paths.map((name) => join(image, 'objects', name)).filter((path) => fs.statSync(path).isFile());
    const path = files.sort((a, b) => fs.statSync(b).size - fs.statSync(a).size)[0] as string;
    return { id: path.slice(-32), path };
  };

  systemTest([], 'a mount point that is not there, or no directory', () => {
    refused(/nowhere does not exist/, encrypted.image, join(base, 'nowhere'));
    refused(/is not a directory/, encrypted.image, encrypted.keyFile);
  });

  systemTest([], 'a mount point that has a mount already', () => {
    mountOn(mountPoint, encrypted);
    const again = runCkptfs('mount', encrypted.image, mountPoint, '--key-file', encrypted.keyFile);
    expect(again.status).not.toBe(0);
    expect(again.stderr).toMatch(/has a mount of ckptfs already/);
    ckptfs('umount', mountPoint);
    expect(isMounted(mountPoint)).toBe(false);
  });

  // Where root has switched it on, io-uring.test.ts has what can keep a mount from it.
  if (!isOverRing) {
    systemTest([], 'the transport io-uring where root has not switched it on, or the kernel has none', () => {
      const words = [encrypted.image, mountPoint, '--key-file', encrypted.keyFile, '--transport', 'io-uring'];
      const { status, stderr } = runCkptfs('mount', ...words);
      expect(status).toBe(33);
      expect(stderr).toMatch(/FUSE over io_uring is switched off.*echo Y > |this kernel has no FUSE over io_uring/s);
      expect(isMounted(mountPoint)).toBe(false);
    });
  }

  systemTest([], 'an image on itself', () => refused(/would hide its own image/, encrypted.image, encrypted.image));

  systemTest([], 'an image with the wrong key', () => {
    const wrong = join(base, 'wrong-key');
    ckptfs('keygen', '-o', wrong);
    refused(/does not open/, encrypted.image, mountPoint, wrong);
  });

  systemTest([], 'an image that was never finished, or is none', () => {
    refused(
      /unfinished/,
      changed((image) => fs.rmSync(join(image, 'manifest'))),
    );
    refused(/not a ckptfs image/, join(base, 'source'));
  });

  systemTest([], 'an image whose header or manifest was tampered with', () => {
    refused(
      /manifest fails authentication/,
      changed((image) => flip(join(image, 'manifest'), 2000)),
    );
    const shorter = changed((image) => fs.truncateSync(join(image, 'manifest'), 4096));
    refused(/changed: manifest /, shorter);
  });

  systemTest([], 'a path that is no mount, for umount', () => {
    for (const path of [mountPoint, '/proc', join(base, 'nowhere')]) {
      const result = runCkptfs('umount', path);
      expect(result.status).not.toBe(0);
      expect(result.stderr).toMatch(/not a mount of ckptfs/);
    }
  });

  systemTest([], 'what is damaged is EIO, and one line of the log says where', () => {
    const damagedChunk = 40;
    const damagedSector = (damagedChunk * chunkSize) / sectorSize + 1;
    const image = changed((copy) => {
      const { path } = largestObject(copy);
      flip(path, 8192 + damagedSector * sectorSize + 900);
    });
    const { id } = largestObject(image);
    const mounted = mountOn(mountPoint, { ...encrypted, image });
    const fd = fs.openSync(join(mountPoint, 'pages-1.img'), 'r');
    const readSector = (sector: number): Buffer => {
      const bytes = Buffer.alloc(sectorSize);
      expect(fs.readSync(fd, bytes, 0, sectorSize, sector * sectorSize)).toBe(sectorSize);
      return bytes;
    };
    for (let repetition = 0; repetition < 3; repetition++) expect(() => readSector(damagedSector)).toThrow('EIO');
    // All others of the chunk can still be read.
    for (let sector = 0; sector < pages.length / sectorSize; sector++) {
      if (sector === damagedSector) continue;
      const expected = pages.subarray(sector * sectorSize, (sector + 1) * sectorSize);
      expect(readSector(sector).equals(expected), `sector ${sector}`).toBe(true);
    }
    fs.closeSync(fd);
    expect(fs.readFileSync(join(mountPoint, 'core-1.img'), 'utf8')).toBe('core');
    expect(statusOf(mountPoint)?.daemon?.counters.authenticationFailures).toBeGreaterThan(0);
    ckptfs('umount', mountPoint);
    const errors = logOf(mounted).filter((line) => line.includes(': error: '));
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain(
      `cannot read "pages-1.img": object ${id}, chunk ${damagedChunk}: its tag does not match`,
    );
  });

  systemTest([], 'what is missing is EIO, by the other transports too', () => {
    const image = changed((copy) => fs.rmSync(largestObject(copy).path));
    for (const { transport } of testedTransports) {
      const mounted = mountOn(mountPoint, { ...encrypted, image }, '--transport', transport);
      expect(() => fs.readFileSync(join(mountPoint, 'pages-1.img'))).toThrow('EIO');
      expect(fs.readFileSync(join(mountPoint, 'core-1.img'), 'utf8')).toBe('core');
      // Threads tell the log by way of the main one: after the unmount it has all of it.
      ckptfs('umount', mountPoint);
      expect(
        logOf(mounted).filter((line) => /cannot read "pages-1.img": object \S+ is missing/.test(line)),
      ).toHaveLength(1);
    }
  });
});
