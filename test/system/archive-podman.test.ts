// Goal: what podman exports goes through a pipe into an image, and comes back as an archive that podman restores.
// Method: a real container, the built command, and archives compared member by member.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { kill } from './support/children.ts';
import { ckptfs, withMount } from './support/ckptfs.ts';
import { readState, waitForState, whileAtRest } from './support/fixtures.ts';
import { start, until } from './support/mounts.ts';
import { type Namespace, openNamespace } from './support/namespace.ts';
import { Podman } from './support/podman.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const program = fileURLToPath(new URL('../../bin/ckptfs', import.meta.url));

/** Runs podman as docs/engines.md says, and keeps a copy of the archive. */
const PIPE = '"$@" 3>&1 >/dev/null | tee "$COPY" | "$CKPTFS" encrypt - "$ENC" --key-file "$KEY"';

const needs = ['root', 'fuse', 'criu', 'runc', 'namespaces', 'gcc', 'tar', 'zstd', 'podman'] as const;

/** Returns what tar says of each member, in order of their names. */
function listing(archive: string): string[] {
  const lines = runProgram('tar', '--list', '--verbose', '--numeric-owner', '--full-time', '-f', archive).split('\n');
  return lines.sort();
}

/** Has podman export the container `one` into a watched directory, as docs/engines.md says. */
async function exportWatched(podman: Podman, namespace: Namespace, at: (name: string) => string): Promise<void> {
  mkdirSync(at('archives'));
  const watch = ['watch', at('archives'), '--into', at('images'), '--key-file', at('key')];
  const watching = start(at('watch.log'), program, ...watch);
  try {
    podman.run(namespace, 'container', 'checkpoint', `--export=${at('archives/one.tar.gz')}`, 'one');
    await until('the archive is taken', () => readdirSync(at('archives')).length === 0 && existsSync(at('images/one')));
  } finally {
    await kill(watching);
  }
  const files = ckptfs('ls', at('images/one'), '--recursive', '--key-file', at('key'));
  for (const name of ['config.dump', 'checkpoint/pages-1.img']) expect(files).toContain(name);
}

describeIf(needs, 'podman', () => {
  systemTest(
    [],
    'exports into a pipe to ckptfs, restores from what ckptfs exports, and exports into a watched directory',
    async () => {
      const base = realpathSync(mkdtempSync(join(tmpdir(), 'ckptfs-archive-podman-')));
      const at = (name: string): string => join(base, name);
      const podman = new Podman(base);
      try {
        ckptfs('keygen', '-o', at('key'));
        const first = await openNamespace();
        let state: string;
        try {
          podman.makeImage(first);
          state = podman.start(first, 'one');
          await waitForState(state, (now) => now.passes >= 1);
          const words = podman.words('container', 'checkpoint', '--export=/dev/fd/3', 'one');
          const settings = [`CKPTFS=${program}`, `ENC=${at('enc')}`, `KEY=${at('key')}`, `COPY=${at('copy.tar')}`];
          const piped = await whileAtRest(state, () => first.run('env', ...settings, 'sh', '-c', PIPE, 'sh', ...words));
          expect(piped).toMatchObject({ status: 0, stderr: '' });
          podman.run(first, 'rm', '-f', 'one');
        } finally {
          await first.close();
        }
        const { passes } = readState(state) ?? { passes: 0 };
        ckptfs('export', at('enc'), '-o', at('back.tar'), '--key-file', at('key'), '--compress', 'zstd');
        expect(listing(at('back.tar'))).toEqual(listing(at('copy.tar')));
        for (const name of ['copy', 'back']) {
          mkdirSync(at(name));
          runProgram('tar', '-C', at(name), '-xf', at(`${name}.tar`));
        }
        await withMount(at('enc'), at('mnt'), at('key'), [], async () => {
          for (const name of ['back', 'mnt'])
            runProgram('diff', '--recursive', '--no-dereference', at('copy'), at(name));
        });
        const second = await openNamespace();
        try {
          podman.run(second, 'container', 'restore', `--import=${at('back.tar')}`);
          expect((await waitForState(state, (now) => now.passes >= passes + 2)).damaged).toEqual([]);
          await exportWatched(podman, second, at);
          podman.run(second, 'rm', '-f', '-t', '0', 'one');
        } finally {
          await second.close();
        }
      } finally {
        rmSync(base, { recursive: true });
      }
    },
  );
});
