import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Directory } from '../../../../src/base/linux/directory.ts';
import { controlNames } from '../../../../src/serve/control/control-names.ts';

test('a socket is named by the device of its mount and the pid of its daemon, and a bounded number is listed', () => {
  const path = fs.mkdtempSync(join(tmpdir(), 'ckptfs-control-names-'));
  const directory = Directory.open(path);
  try {
    const names = ['0:57', '0:57.sock', '0-1.sock', 'x:1-1.sock', '0:57-1.sock.new', '0:57-.sock', '0:57-8.sock'];
    for (const name of names) fs.writeFileSync(join(path, name), '');
    expect(controlNames(directory)).toEqual([{ directory, name: '0:57-8.sock', device: '0:57' }]);
    for (let minor = 1000; minor < 1300; minor++) {
      fs.linkSync(join(path, '0:57-8.sock'), join(path, `0:${minor}-1.sock`));
    }
    expect(controlNames(directory).length).toBeLessThanOrEqual(256);
  } finally {
    directory.close();
    fs.rmSync(path, { recursive: true });
  }
});
