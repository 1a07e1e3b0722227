// ckptfs as the action script of criu, and as hooks of a container runtime.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { runCkptfs } from './support/ckptfs.ts';
import { type Bundle, makeBundle, runc } from './support/containers.ts';
import { buildFixture, readState, waitForState } from './support/fixtures.ts';
import { ckptfsProgram, until } from './support/mounts.ts';
import { type CommandResult, type Namespace, openNamespace } from './support/namespace.ts';
import { Podman } from './support/podman.ts';
import { describeIf, systemTest } from './support/requirements.ts';

let base: string;
const at = (...names: string[]): string => join(base, ...names);

beforeAll(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-hooks-')));
  runCkptfs('keygen', '-o', at('k'));
  runCkptfs('keygen', '-o', at('other'));
  for (const name of ['layers', 'plain', 'work']) fs.mkdirSync(at(name));
});
afterAll(() => fs.rmSync(base, { recursive: true }));

/** Runs a line of shell inside, in {@link base}. */
function type(namespace: Namespace, line: string): CommandResult {
  return namespace.run('sh', '-c', `cd ${base} && PATH=${join(ckptfsProgram, '..')}:$PATH && ${line}`);
}

/** Mounts a directory `plain` that is not in memory, whatever the host has at this place. */
const PLAIN =
  'mount -t tmpfs tmpfs layers && mkdir layers/lower layers/upper layers/work && ' +
  'mount -t overlay overlay plain -o lowerdir=layers/lower,upperdir=layers/upper,workdir=layers/work';

const KILL_DAEMON = `kill -9 $(ckptfs status --json | grep -Eo '"pid": *[0-9]+' | grep -Eo '[0-9]+')`;

describeIf(['root', 'fuse', 'namespaces', 'criu', 'gcc'], 'as the action script of criu', () => {
  systemTest([], 'lets criu dump and restore on mounts alone, and refuses before anything is written', async () => {
    const script = `--action-script ${ckptfsProgram}`;
    const stateFile = at('state');
    const command = buildFixture('counter', { directory: base, stateFile, mebibytes: 1 });
    const first = await openNamespace();
    try {
      const pid = first.launch(...command);
      await waitForState(stateFile, (state) => state.passes >= 1);
      const dump = (directory: string) => `criu dump -t ${pid} -D ${directory} -W work -o dump.log ${script}`;
      const refused = type(first, `${PLAIN} && ${dump('plain')} || ls plain`);
      expect(refused).toMatchObject({ status: 0, stdout: '' });
      expect(fs.readFileSync(at('work/dump.log'), 'utf8')).toContain(
        `ckptfs: the dump is refused: criu's directory of images, ${at('plain')}, is neither on a mount of ckptfs nor in memory.\n`,
      );
      expect(type(first, `ckptfs exec --write enc -k k -q -- ${dump('{}')}`)).toMatchObject({ status: 0 });
    } finally {
      await first.close();
    }
    const { passes } = readState(stateFile) ?? { passes: 0 };
    const second = await openNamespace();
    try {
      type(second, 'echo 1000 > /proc/sys/kernel/ns_last_pid');
      const restore = (directory: string) => `criu restore -d -D ${directory} -W work -o restore.log ${script}`;
      const decrypted = `${PLAIN} && ckptfs decrypt enc plain/images -k k -q`;
      expect(type(second, `${decrypted} && ${restore('plain/images')}`).status).not.toBe(0);
      expect(fs.readFileSync(at('work/restore.log'), 'utf8')).toContain('ckptfs: the restore is refused: ');
      expect(type(second, `mkdir mnt && ckptfs mount enc mnt -k k && ${restore('mnt')}`)).toMatchObject({ status: 0 });
      await waitForState(stateFile, (now) => now.passes >= passes + 2);
      // The pid is taken now.
      expect(type(second, `ckptfs exec enc -k k -q -- ${restore('{}')}`).status).not.toBe(0);
      const left = JSON.parse(type(second, 'ckptfs status --json').stdout) as { mountPoint: string }[];
      expect(left.map(({ mountPoint }) => mountPoint)).toEqual([at('mnt')]);
    } finally {
      await second.close();
    }
  });
});

describeIf(['root', 'fuse', 'namespaces', 'criu', 'runc', 'gcc'], 'as hooks of runc', () => {
  const container = `ckptfs-hooks-${process.pid}`;
  let bundle: Bundle;
  let namespace: Namespace;

  beforeAll(async () => {
    bundle = makeBundle(at('bundle'), 1);
    fs.mkdirSync(at('host'));
    expect(runCkptfs('encrypt', bundle.directory, at('k-enc'), '-k', at('k'), '-q').status).toBe(0);
    namespace = await openNamespace({ hideFuse: true });
    expect(type(namespace, 'mount -t tmpfs tmpfs host && mount --make-shared host && mkdir host/volume').status).toBe(
      0,
    );
  });
  afterAll(() => namespace.close());

  /** Has the container bind the volume, by hooks that mount it with a key. */
  function configure(key: string, propagation: string, image = at('volume-enc')): void {
    const file = join(bundle.directory, 'config.json');
    const config = JSON.parse(fs.readFileSync(file, 'utf8'));
    config.mounts = config.mounts.filter(({ destination }: { destination: string }) => destination !== '/state');
    config.mounts.push({
      destination: '/state',
      source: at('host/volume'),
      type: 'bind',
      options: ['rbind', propagation],
    });
    const hook = (name: string) => {
      const args = ['ckptfs', 'run-hook', name, image, at('host/volume'), '--write', '-k', at(key)];
      return [{ path: ckptfsProgram, args }];
    };
    config.hooks = { createRuntime: hook('createRuntime'), poststop: hook('poststop') };
    fs.writeFileSync(file, JSON.stringify(config));
  }

  const run = (...words: string[]) => runc(namespace, base, ...words);
  const start = (name = container) => run('run', '--detach', '--bundle', bundle.directory, name);
  /** Runs runc with an image of its checkpoint mounted for it alone. */
  const execRunc = (options: string, ...words: string[]) => {
    const command = `runc --root ${at('runc')} --log ${at('runc.log')} ${words.join(' ')}`;
    const exec = `ckptfs exec ${options} images -k k -q -- ${command} --image-path {} --work-path work ${container}`;
    // A detached container inherits the standard streams.
    expect(type(namespace, `${exec} < /dev/null > /dev/null 2> err`).status, exec).toBe(0);
  };
  /** Reads how far the container has come, from its volume. */
  const passes = () => Number(/passes=(\d+)/.exec(type(namespace, 'cat host/volume/count').stdout)?.[1] ?? -1);
  const mounts = () =>
    type(namespace, 'cat /proc/self/mounts')
      .stdout.split('\n')
      .filter((one) => / fuse/.test(one));

  systemTest(
    [],
    'mounts a volume for a container, and leaves nothing when it stops, is checkpointed or restored',
    async () => {
      configure('k', 'rslave');
      start();
      await until('the container writes into its volume', () => passes() >= 1);
      expect(mounts()).toEqual([expect.stringContaining(`container:${container} ${at('host/volume')} fuse.ckptfs `)]);

      // Another container's hooks leave this one's volume alone, whatever they meet.
      configure('k', 'rslave', at('second-enc'));
      expect(() => start('second')).toThrow(/exit status 34/);
      expect([mounts().length, fs.existsSync(at('second-enc'))]).toEqual([1, false]);

      configure('k', 'rslave');
      // runc has criu read this file; /etc is the namespace's own. What runc writes first has no memory in it.
      const etc = 'mount -t overlay overlay /etc -o lowerdir=/etc,upperdir=layers/etc,workdir=layers/etc-work';
      const guard = `mkdir -p /etc/criu && echo "action-script ${ckptfsProgram}" > /etc/criu/runc.conf`;
      expect(type(namespace, `${PLAIN} && mkdir layers/etc layers/etc-work && ${etc} && ${guard}`).status).toBe(0);
      const plain = ['--image-path', at('plain'), '--work-path', at('work')];
      expect(() => run('checkpoint', ...plain, container)).toThrow(/criu failed/);
      expect(fs.readFileSync(at('work/dump.log'), 'utf8')).toContain('ckptfs: the dump is refused: ');
      expect(type(namespace, 'ls plain; rm /etc/criu/runc.conf').stdout).toBe('descriptors.json\n');
      const refusedAt = passes();
      await until('the container goes on', () => passes() > refusedAt);

      execRunc('--write', 'checkpoint');
      expect(mounts()).toEqual([]);
      expect(fs.readFileSync(at('runc.log'), 'utf8')).not.toContain('another mount namespace');
      const before = Number(
        /passes=(\d+)/.exec(runCkptfs('cat', at('volume-enc'), 'count', '-k', at('k')).stdout)?.[1],
      );

      execRunc('', 'restore', '--detach', '--bundle', bundle.directory);
      await until('the restored container writes into its volume', () => passes() >= before + 2);
      run('delete', '--force', container);
      expect(mounts()).toEqual([]);
      expect(runCkptfs('verify', at('volume-enc'), '-k', at('k')).status).toBe(0);
    },
  );

  systemTest([], 'refuse a container that cannot have its volume, and leave nothing mounted', () => {
    configure('other', 'rslave', at('k-enc'));
    expect(() => start()).toThrow(/exit status 12.*does not open the one key slot/);
    configure('k', 'rprivate', at('k-enc'));
    expect(() => start()).toThrow(/exit status 30.*the container does not see the mount/);
    expect([mounts(), type(namespace, 'ls host/volume').stdout]).toEqual([[], '']);
  });

  systemTest([], 'unmount what is in use lazily, and end well where nothing is mounted', () => {
    const stopped = `'{"id": "c", "status": "stopped"}'`;
    const hook = (name: string, image = 'k-enc') =>
      `echo ${stopped} | ckptfs run-hook ${name} ${image} host/volume -k k`;
    // What is there of the same container is from a start that failed.
    expect(type(namespace, `${hook('createRuntime')} && ${hook('createRuntime')}`).status).toBe(0);
    const again = type(namespace, `exec 5< host/volume/config.json && ${hook('createRuntime')}`);
    expect([again.status, mounts().length]).toEqual([32, 1]);
    expect(again.stderr).toMatch(/ is in use by /);
    const held = type(namespace, `exec 5< host/volume/config.json && ${hook('poststop')}`);
    expect(held.status).toBe(0);
    expect(held.stderr).toMatch(
      /^ckptfs: warning: \S+ is in use by .*; it is out of sight now, and its keys are wiped /,
    );
    expect(mounts()).toEqual([]);
    expect(type(namespace, hook('poststop'))).toEqual({ status: 0, stdout: '', stderr: '' });

    const killed = `${hook('createRuntime', '-w new-enc')} && ${KILL_DAEMON}`;
    const unsealed = type(namespace, `${killed} && ${hook('poststop', 'new-enc')}`);
    expect(unsealed.status).toBe(26);
    expect(unsealed.stderr).toMatch(
      /it was killed\. Run "ckptfs seal" on the image, unless it is ephemeral; when it was mounted it was new-enc\.$/m,
    );
    expect(
      type(namespace, `${killed} && ${hook('createRuntime', '-w new-enc')} && ${hook('poststop', 'new-enc')}`).status,
    ).toBe(0);

    const hostile = spawnSync(ckptfsProgram, ['run-hook', 'poststop', at('k-enc'), at('host/volume')], { input: '{' });
    expect([hostile.status, String(hostile.stderr)]).toEqual([
      2,
      'ckptfs: standard input is not the state of a container, which a runtime writes there: it is not JSON.\n',
    ]);
  });

  systemTest([], 'the mount ends after its container, where no hook unmounts it', async () => {
    const state = `{"id": "c", "status": "stopped", "pid": '$!'}`;
    const hook = 'ckptfs run-hook createRuntime k-enc host/volume -k k';
    expect(type(namespace, `{ sleep 1 > /dev/null 2>&1 & echo '${state}' | ${hook}; }`)).toMatchObject({ status: 0 });
    expect(mounts()).toHaveLength(1);
    await until('the mount is gone', () => mounts().length === 0);
  });
});

describeIf(['root', 'fuse', 'namespaces', 'podman', 'runc', 'gcc', 'tar'], 'as hooks of podman', () => {
  systemTest(
    [],
    'mounts a volume for a container with an annotation, and seals it when the container stops',
    async () => {
      for (const name of ['podman', 'hooks.d', 'volumes']) fs.mkdirSync(at(name));
      for (const stage of ['createRuntime', 'poststop']) {
        const args = ['ckptfs', 'run-hook', stage, at('podman-enc'), at('volumes/web'), '-w', '-k', at('k')];
        const when = { annotations: { '^ckptfs$': '^web$' } };
        const file = { version: '1.0.0', hook: { path: ckptfsProgram, args }, when, stages: [stage] };
        fs.writeFileSync(at('hooks.d', `${stage}.json`), JSON.stringify(file));
      }
      const podman = new Podman(at('podman'));
      const host = await openNamespace({ hideFuse: true });
      try {
        const shared = 'mount -t tmpfs tmpfs volumes && mount --make-shared volumes && mkdir volumes/web';
        expect(type(host, shared).status).toBe(0);
        podman.makeImage(host);
        const plain = ['--network', 'host', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
        const volume = ['--annotation', 'ckptfs=web', '-v', `${at('volumes/web')}:/state:rslave`];
        const counter = ['localhost/counter', '/counter', '/state/count', '1'];
        podman.run(host, '--hooks-dir', at('hooks.d'), 'run', '-d', '--name', 'web', ...plain, ...volume, ...counter);
        await until('the container writes into its volume', () => type(host, 'cat volumes/web/count').status === 0);
        podman.run(host, '--hooks-dir', at('hooks.d'), 'stop', '-t', '0', 'web');
        podman.run(host, 'rm', '-f', 'web');
        expect(type(host, 'ls volumes/web').stdout).toBe('');
      } finally {
        await host.close();
      }
      expect(runCkptfs('ls', at('podman-enc'), '-0', '-k', at('k')).stdout).toBe('count\0');
    },
  );
});
