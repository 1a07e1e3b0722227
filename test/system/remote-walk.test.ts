// Goal: the walk of docs/remote.md, an image pushed, mounted where it is, and pulled, can be copied.
// Method: its commands run as they are written, one after the other, against docker-registry and Swift's API of S3.
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { clear } from './support/mounts.ts';
import { Registry, Swift } from './support/remote-servers.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { walk } from './support/walk.ts';

const base = realpathSync(mkdtempSync(join(tmpdir(), 'ckptfs-remote-walk-')));
const directory = join(base, 'walk');

describeIf(['root', 'fuse', 'dockerRegistry', 'swift'], 'a registry and a bucket', () => {
  const servers: { remove(): Promise<void> }[] = [];

  afterAll(async () => {
    clear(join(directory, 'mnt'));
    for (const server of servers) await server.remove();
    rmSync(base, { recursive: true });
  });

  systemTest([], 'the walk of docs/remote.md can be typed, and prints what it says', async () => {
    const registry = await Registry.start();
    servers.push(registry);
    const swift = await Swift.start();
    servers.push(swift);
    mkdirSync(directory);
    const names = { 'registry.example': registry.host };
    const environment = { ...swift.environment, AWS_EC2_METADATA_DISABLED: 'true', HOME: base };
    walk({ page: 'remote.md', directory, config: join(base, 'config'), names, environment });
  });
});
