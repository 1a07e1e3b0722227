// Goal: the walk of docs/containers.md can be copied: the image is built, and ckptfs works in containers of it, also in
// those of docs/kubernetes.
// Method: its commands run as they are written with real podman, on bases that are made of this host's programs. Of
// pods, podman starts the containers as a kubelet would, one after the other.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { IDaemonSet } from 'kubernetes-models/apps/v1/DaemonSet';
import type { IJob } from 'kubernetes-models/batch/v1/Job';
import type { IConfigMap } from 'kubernetes-models/v1/ConfigMap';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import { afterAll, beforeAll, expect } from 'vitest';
import { objectsIn } from '../support/kubernetes.ts';
import { TlsAuthority } from '../support/tls-authority.ts';
import { buildWords, importBases, makeTypedPodman, packInto } from './support/container-image.ts';
import { type Node, podmanRun } from './support/kubelet.ts';
import { type Namespace, openNamespace } from './support/namespace.ts';
import { Podman } from './support/podman.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { walk } from './support/walk.ts';

const documents = fileURLToPath(new URL('../../docs/container/', import.meta.url));

/** The type of a file system on which the driver overlay cannot be. */
const OVERLAYFS = 0x794c7630;

describeIf(['root', 'fuse', 'namespaces', 'runc', 'podman', 'npm', 'tar'], 'containers', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-containers-')));
  const at = (name: string): string => join(base, name);
  let namespace: Namespace;
  let podman: Podman;

  beforeAll(async () => {
    namespace = await openNamespace();
    for (const name of ['bases', 'programs', 'walk']) fs.mkdirSync(at(name));
    for (const name of fs.readdirSync(documents)) fs.copyFileSync(join(documents, name), at(`walk/${name}`));
    const isOverlay = fs.statfsSync(base).type === OVERLAYFS;
    podman = new Podman(base, { driver: isOverlay ? 'vfs' : 'overlay' });
    importBases(podman, namespace, at('bases'));
    packInto(at('walk'));
    makeTypedPodman(podman, at('programs'), buildWords(podman, base));
  });
  afterAll(async () => {
    await namespace.close();
    fs.rmSync(base, { recursive: true });
  });

  systemTest([], 'the walk of docs/containers.md can be typed, and prints what it says', () => {
    walk({ page: 'containers.md', directory: at('walk'), config: at('config'), programs: at('programs'), namespace });
  });

  const secret = 'the memory of a process';
  const checkpoints = at('host/var/lib/kubelet/checkpoints');
  const images = at('host/var/lib/ckptfs/images');
  const restored = at('host/run/ckptfs-restore/checkpoint.tar');

  /** Runs a line of sh in the namespace, and returns what it prints. */
  function sh(line: string, ...words: readonly string[]): string {
    const { status, stdout, stderr } = namespace.run('sh', '-c', line, 'sh', ...words);
    expect([status, stderr], line).toEqual([0, '']);
    return stdout.trimEnd();
  }

  /** Runs words of podman in the namespace until they succeed. */
  const untilPodman = (...words: readonly string[]): string =>
    sh('until "$@" > /dev/null 2>&1; do sleep 0.2; done', ...podman.words(...words));

  /** Starts the container of a pod, in the background unless it is to be waited for. */
  function start(pod: IPodSpec | undefined, how: string, environment: Node['environment'] = { NODE: 'node-1' }): void {
    if (pod === undefined) throw new Error('no pod');
    const node: Node = { host: at('host'), files: at('files'), image: 'localhost/ckptfs', environment };
    podman.run(namespace, 'run', how, '--name', 'node', ...podmanRun(pod, node));
  }

  /** Runs the job of a restoring node, and returns what is in its archive. */
  function restore(image: string, file: string): Buffer {
    const [job] = objectsIn('restore.yaml') as unknown as [IJob];
    start(job.spec?.template.spec, '--rm', { IMAGE: image, FILE: file });
    const archive = fs.readFileSync(restored);
    fs.rmSync(restored);
    return archive;
  }

  /** Makes a host with the directories of a node, and the files of its ConfigMap and Secret. */
  function prepareNode(): void {
    const [, configuration] = objectsIn('node.yaml') as unknown as [unknown, IConfigMap];
    const authority = new TlsAuthority();
    const { certFile, keyFile } = authority.issue('restore', 'DNS:restore');
    fs.mkdirSync(at('files'));
    fs.copyFileSync(authority.caFile, at('files/ca.crt'));
    fs.copyFileSync(certFile, at('files/restore.crt'));
    fs.copyFileSync(keyFile, at('files/restore.key'));
    fs.writeFileSync(at('files/policy.json'), configuration.data?.['policy.json'] ?? '');
    authority.remove();
    for (const name of ['var/lib/kubelet', 'var/lib/ckptfs/images', 'run/ckptfs-restore']) {
      fs.mkdirSync(at(`host/${name}`), { recursive: true });
    }
    sh('mount --bind "$1" "$1" && mount --make-shared "$1"', at('host'));
  }

  systemTest([], 'a node encrypts what the kubelet writes, outlives a kill, and a job on another node reads it', () => {
    prepareNode();
    const pod = (objectsIn('node.yaml') as unknown as [unknown, unknown, IDaemonSet])[2].spec?.template.spec;
    const probe = pod?.containers[0]?.startupProbe?.exec?.command ?? [];
    const write = (name: string): string => sh('printf %s "$2" > "$1"', join(checkpoints, name), secret);

    start(pod, '-d');
    untilPodman('exec', 'node', ...probe);
    write('lost.tar');
    const encrypt = 'ckptfs keygen -o /run/k -q && ckptfs encrypt /etc/ckptfs /images/own -k /run/k';
    const forbidden = podman.words('exec', 'node', 'sh', '-c', encrypt);
    expect(namespace.run('env', ...forbidden.slice(1))).toMatchObject({ status: 14 });
    podman.run(namespace, 'kill', '--signal', 'KILL', 'node');
    podman.run(namespace, 'wait', 'node');
    podman.run(namespace, 'rm', 'node');

    start(pod, '-d');
    untilPodman('exec', 'node', ...probe);
    write('checkpoint.tar');
    podman.run(namespace, 'stop', '--time', '600', 'node');
    expect(podman.run(namespace, 'inspect', '--format', '{{.State.ExitCode}}', 'node')).toBe('0');
    podman.run(namespace, 'rm', 'node');
    expect(sh('ls "$1"', checkpoints)).toBe('');
    const [killed, sealed = '', ...others] = sh('ls -v "$1"', images).split('\n');
    expect([killed, sealed, others]).toEqual([
      expect.stringMatching(/^node-1\.\d/),
      expect.stringMatching(/^node-1\.\d/),
      [],
    ]);
    expect(sh(`grep -r '${secret}' "$1" || echo "exit code $?"`, images)).toBe('exit code 1');
    expect(restore(sealed, 'checkpoint.tar').toString()).toBe(secret);
  });

  systemTest([], 'a node without privileges encrypts each archive, and a job makes it again', () => {
    const [daemonSet] = objectsIn('node-watch.yaml') as unknown as [IDaemonSet];
    start(daemonSet.spec?.template.spec, '-d');
    sh('printf %s "$3" > "$1/page" && tar -C "$1" -cf "$2/checkpoint.tar" page', base, checkpoints, secret);
    sh(
      'until [ -d "$1" ] && ! [ -e "$2" ]; do sleep 0.1; done',
      join(images, 'checkpoint'),
      `${checkpoints}/checkpoint.tar`,
    );
    podman.run(namespace, 'stop', '--time', '60', 'node');
    expect(podman.run(namespace, 'inspect', '--format', '{{.State.ExitCode}}', 'node')).toBe('0');
    podman.run(namespace, 'rm', 'node');
    expect(restore('checkpoint', '').includes(secret)).toBe(true);
  });
});
