// Goal: the walk of docs/fleet.md, hosts with a key management system, can be copied.
// Method: its commands run as they are written, one after the other, against PyKMIP, and print what is written there.
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { PyKmip } from './support/kmip.ts';
import { clear } from './support/mounts.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { walk } from './support/walk.ts';

const base = realpathSync(mkdtempSync(join(tmpdir(), 'ckptfs-fleet-')));
const directory = join(base, 'walk');

describeIf(['root', 'fuse', 'pykmip'], 'a fleet with a key management system', () => {
  let server: PyKmip | undefined;

  afterAll(async () => {
    for (const name of ['mnt', 'other']) clear(join(directory, name));
    await server?.remove();
    rmSync(base, { recursive: true });
  });

  systemTest([], 'the walk of docs/fleet.md can be typed, and prints what it says', async () => {
    server = await PyKmip.start();
    mkdirSync(directory);
    const { caFile, certFile, certKeyFile } = server.client;
    copyFileSync(caFile, join(directory, 'kms-ca.pem'));
    copyFileSync(certFile, join(directory, 'host.pem'));
    copyFileSync(certKeyFile, join(directory, 'host.key'));
    const names = { 'kmip://kms.example': server.address };
    walk({ page: 'fleet.md', directory, config: join(base, 'config'), names });
  });
});
