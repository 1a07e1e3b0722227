// Goal: the walk of docs/containers.md can be copied: the image is built, and ckptfs works in containers of it.
// Method: its commands run as they are written with real podman, on bases that are made of this host's programs.
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll } from 'vitest';
import { buildWords, importBases, makeTypedPodman, packInto } from './support/container-image.ts';
import { type Namespace, openNamespace } from './support/namespace.ts';
import { Podman } from './support/podman.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { walk } from './support/walk.ts';

const documents = fileURLToPath(new URL('../../docs/container/', import.meta.url));

describeIf(['root', 'fuse', 'namespaces', 'runc', 'podman', 'npm', 'tar'], 'containers', () => {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'ckptfs-containers-')));
  const at = (name: string): string => join(base, name);
  let namespace: Namespace;

  beforeAll(async () => {
    namespace = await openNamespace();
    for (const name of ['bases', 'programs', 'walk']) mkdirSync(at(name));
    for (const name of readdirSync(documents)) copyFileSync(join(documents, name), at(`walk/${name}`));
    const podman = new Podman(base, { driver: 'overlay' });
    importBases(podman, namespace, at('bases'));
    packInto(at('walk'));
    makeTypedPodman(podman, at('programs'), buildWords(podman, base));
  });
  afterAll(async () => {
    await namespace.close();
    rmSync(base, { recursive: true });
  });

  systemTest([], 'the walk of docs/containers.md can be typed, and prints what it says', () => {
    walk({ page: 'containers.md', directory: at('walk'), config: at('config'), programs: at('programs'), namespace });
  });
});
