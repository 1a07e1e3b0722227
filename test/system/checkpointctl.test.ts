// Goal: tools read an archive of a checkpoint on a mount, or exported from an image of it, as they read it elsewhere.
// Method: the real checkpointctl reads the dump of a real process, in the form that podman gives it.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { type Checkpoint, dumpProcess } from './support/checkpoints.ts';
import { ckptfs, isMounted, withMount } from './support/ckptfs.ts';
import { buildFixture } from './support/fixtures.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const needs = ['root', 'fuse', 'criu', 'checkpointctl', 'namespaces', 'gcc', 'tar'] as const;

describeIf(needs, 'checkpointctl reads an archive on a mount', () => {
  const base = mkdtempSync(join(tmpdir(), 'ckptfs-checkpointctl-'));
  const inBase = (name: string) => join(base, name);
  const canary = `canary-of-the-archive-${process.pid}`;
  const container = { name: 'counting', id: '0123456789abcdef'.repeat(4) };
  const source = inBase('source');
  const archive = join(source, 'checkpoint.tar');
  const exported = inBase('exported.tar');
  let checkpoint: Checkpoint;

  /** What podman puts into an archive, as far as checkpointctl asks for it, around the dump of a real process. */
  beforeAll(async () => {
    const stateFile = inBase('state');
    const command = buildFixture('counter', { directory: base, stateFile, mebibytes: 16, canary });
    const parts = inBase('parts');
    checkpoint = await dumpProcess(command, { images: join(parts, 'checkpoint'), work: inBase('work'), stateFile });
    cpSync(join(inBase('work'), 'stats-dump'), join(parts, 'stats-dump'));
    const config = {
      ...container,
      rootfsImageName: 'localhost/counter:latest',
      runtime: 'runc',
      createdTime: '2026-05-04T10:11:12Z',
      checkpointedTime: '2026-05-04T10:12:13Z',
    };
    const spec = { ociVersion: '1.0.0', annotations: { 'io.container.manager': 'libpod' } };
    writeFileSync(join(parts, 'config.dump'), JSON.stringify(config));
    writeFileSync(join(parts, 'spec.dump'), JSON.stringify(spec));
    mkdirSync(source);
    runProgram('tar', '-C', parts, '-cf', archive, 'config.dump', 'spec.dump', 'stats-dump', 'checkpoint');
    ckptfs('keygen', '-o', inBase('key'));
    ckptfs('encrypt', source, inBase('enc'), '--key-file', inBase('key'));
    ckptfs('encrypt', archive, inBase('members'), '--key-file', inBase('key'));
    ckptfs('export', inBase('members'), '-o', exported, '--compress', 'gzip', '--key-file', inBase('key'));
  });
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  systemTest([], 'show, inspect and memparse say what they say of the plain archive', async () => {
    await withMount(inBase('enc'), inBase('mnt'), inBase('key'), [], async () => {
      const mounted = join(inBase('mnt'), 'checkpoint.tar');
      const output = (...words: string[]): string => {
        const [plain = '', ...others] = [archive, mounted, exported].map((path) =>
          runProgram('checkpointctl', ...words, path).replaceAll(path, 'IT'),
        );
        for (const other of others) expect(other, words.join(' ')).toBe(plain);
        return plain;
      };
      expect(output('show')).toContain(container.name);
      const details = output('inspect', '--metadata', '--ps-tree-cmd', '--files', '--stats');
      expect(details).toContain(container.id);
      expect(details).toContain(`[${checkpoint.pid}]  ${inBase('counter')}`);
      expect(output('memparse')).toMatch(new RegExp(`\\b${checkpoint.pid}\\b.*counter`));
      const search = (text: string): string => output('memparse', '--pid', `${checkpoint.pid}`, '--search', text);
      expect(search(canary)).toMatch(new RegExp(`^\\|.*\\b${canary}`, 'm'));
      expect(search('canary-of-nothing')).toMatch(/^No matches/);
      expect(readFileSync(mounted).equals(readFileSync(archive))).toBe(true);
    });
    expect(isMounted(inBase('mnt'))).toBe(false);
  });
});
