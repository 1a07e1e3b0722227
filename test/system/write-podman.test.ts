import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { WritableMount } from '../support/writable-mount.ts';
import { buildFixture, readState, waitForState, whileAtRest } from './support/fixtures.ts';
import { type Namespace, openNamespace } from './support/namespace.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

let base: string;
let mount: WritableMount;
const at = (...names: string[]): string => join(base, ...names);

beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-podman-')));
  mount = new WritableMount(base);
  mount.mount();
});
afterEach(() => {
  mount.discard();
  fs.rmSync(base, { recursive: true });
});

/** Runs podman with storage and configuration of its own. @throws Error with what it said when it fails */
function podman(namespace: Namespace, ...args: readonly string[]): void {
  const storage = ['--root', at('store'), '--runroot', at('run'), '--tmpdir', at('tmp'), '--storage-driver', 'vfs'];
  const options = [...storage, '--cgroup-manager', 'cgroupfs', '--runtime', 'runc'];
  const command = ['env', `CONTAINERS_CONF=${at('containers.conf')}`, 'podman', ...options, ...args] as const;
  const { status, stdout, stderr } = namespace.run(...command);
  if (status !== 0) throw new Error(`podman ${args.join(' ')} (${status}): ${stdout}${stderr}`);
}

/** An image with one static program that counts. */
function makeContainerImage(namespace: Namespace): void {
  for (const name of ['fs', 'state']) fs.mkdirSync(at(name));
  buildFixture('counter', { directory: at('fs'), stateFile: '/state/count' });
  runProgram('tar', '-C', at('fs'), '-cf', at('fs.tar'), '.');
  fs.writeFileSync(at('containers.conf'), '[engine]\nevents_logger="none"\n');
  fs.writeFileSync(at('policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
  podman(namespace, 'import', '--signature-policy', at('policy.json'), at('fs.tar'), 'localhost/counter');
}

describeIf(['root', 'fuse', 'criu', 'runc', 'namespaces', 'gcc', 'tar', 'podman'], 'podman', () => {
  systemTest([], 'exports a checkpoint to a mount that can be written, and restores from it', async () => {
    const state = at('state', 'count');
    const archive = join(mount.mountPoint, 'checkpoint.tar.gz');
    const first = await openNamespace();
    try {
      makeContainerImage(first);
      // A network of its own needs iptables inside criu, which is not the matter here; nor are limits beyond this machine's.
      const plain = ['--network', 'host', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
      const how = [...plain, '--security-opt', 'seccomp=unconfined', '-v', `${at('state')}:/state`];
      podman(first, 'run', '-d', '--name', 'one', ...how, 'localhost/counter', '/counter', '/state/count', '16');
      await waitForState(state, (now) => now.passes >= 1);
      const checkpoint = ['container', 'checkpoint', '--compress=gzip', `--export=${archive}`, 'one'];
      await whileAtRest(state, () => podman(first, ...checkpoint));
      podman(first, 'rm', '-f', 'one');
    } finally {
      await first.close();
    }
    const { passes } = readState(state) ?? { passes: 0 };
    mount.unmount();
    mount.run('verify');
    mount.mount();
    expect(runProgram('tar', '-tzf', archive)).toContain('checkpoint/pages-1.img\n');
    const second = await openNamespace();
    try {
      podman(second, 'container', 'restore', `--import=${archive}`);
      expect((await waitForState(state, (now) => now.passes >= passes + 2)).damaged).toEqual([]);
      podman(second, 'rm', '-f', '-t', '0', 'one');
    } finally {
      await second.close();
    }
  });
});
