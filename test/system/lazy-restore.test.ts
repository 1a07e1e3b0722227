// Goal: a process runs while its memory is still being decrypted, and never with memory that is not its own.
// Method: a real process is restored by criu lazy-pages from mounts that serve, fail and go away, and compares its
// memory.
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect } from 'vitest';
import { type Checkpoint, dumpProcess } from './support/checkpoints.ts';
import { ckptfs } from './support/ckptfs.ts';
import { buildFixture, readState, waitForState } from './support/fixtures.ts';
import { ckptfsProgram, until } from './support/mounts.ts';
import { type CommandResult, type Namespace, openNamespace } from './support/namespace.ts';
import { describeIf, findProgram, systemTest } from './support/requirements.ts';
import { indentedBlocks } from './support/typed.ts';

const MEBIBYTES = 192;

describeIf(['root', 'fuse', 'criu', 'namespaces', 'gcc', 'userfaultfd'], 'criu restores lazily', () => {
  const base = mkdtempSync(join(tmpdir(), 'ckptfs-lazy-'));
  const inBase = (name: string): string => join(base, name);
  const stateFile = inBase('state');
  const damaged = inBase('damaged');
  let checkpoint: Checkpoint;
  let work: string;
  let turn = 0;

  beforeAll(async () => {
    const command = buildFixture('counter', { directory: base, stateFile, mebibytes: MEBIBYTES });
    checkpoint = await dumpProcess(command, { images: inBase('images'), work: inBase('dump'), stateFile });
    ckptfs('keygen', '-o', inBase('k'));
    ckptfs('encrypt', inBase('images'), inBase('enc'), '--key-file', inBase('k'));
    cpSync(inBase('enc'), damaged, { recursive: true });
    damageLateMemory(damaged);
  });
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  /** Calls a function with a namespace of its own, a new work directory, and the state file as it was at the dump. */
  async function inNamespace(body: (namespace: Namespace) => Promise<void> | void): Promise<void> {
    work = inBase(`work-${turn++}`);
    mkdirSync(work);
    const { count, passes } = checkpoint.atDump;
    writeFileSync(stateFile, `count=${count} passes=${passes} memory=ok pid=${checkpoint.pid}\n`);
    const namespace = await openNamespace({ hideFuse: true });
    try {
      // What a test starts inside must not take the pid that the process will have.
      namespace.run('sh', '-c', `echo ${checkpoint.pid + 1000} > /proc/sys/kernel/ns_last_pid`);
      await body(namespace);
    } finally {
      await namespace.close();
    }
  }

  const restore = (images: string, directory = work): string[] => {
    return ['criu', 'restore', '-d', '--lazy-pages', '-D', images, '-W', directory, '-o', 'restore.log'];
  };
  const lazily = (image: string, ...command: readonly string[]): string[] => {
    return [ckptfsProgram, 'exec', image, '--key-file', inBase('k'), '--lazy-pages', work, '--', ...command];
  };
  /** Starts a command inside; its standard error and exit code go to files. */
  function started(namespace: Namespace, ...words: readonly string[]): { ended: Promise<CommandResult> } {
    const line = '"$@" >"$0/out" 2>"$0/err"; echo $? >"$0/status.new"; mv "$0/status.new" "$0/status"';
    const text = (name: string): string => readFileSync(join(work, name), 'utf8');
    namespace.launch('bash', '-c', line, work, ...words);
    const ended = until('the command has ended', () => existsSync(join(work, 'status'))).then(() => {
      return { status: Number(text('status')), stdout: text('out'), stderr: text('err') };
    });
    return { ended };
  }
  const pidsOf = (namespace: Namespace, pattern: string): string[] => {
    return namespace.run('pgrep', '-f', pattern).stdout.split('\n').filter(Boolean);
  };
  const isRunning = (namespace: Namespace): boolean => namespace.run('kill', '-0', `${checkpoint.pid}`).status === 0;
  const logOf = (image: string): string => {
    const { imageId } = JSON.parse(ckptfs('info', image, '--json')) as { imageId: string };
    return readFileSync(`/var/log/ckptfs/${imageId}.log`, 'utf8');
  };
  async function comparesItsMemory(): Promise<void> {
    const now = readState(stateFile) ?? checkpoint.atDump;
    const state = await waitForState(stateFile, ({ passes }) => passes >= now.passes + 2);
    expect(state.damaged).toEqual([]);
  }

  systemTest([], 'in one command, which ends when all memory is there and leaves nothing', async () => {
    await inNamespace(async (namespace) => {
      const { ended } = started(namespace, ...lazily(inBase('enc'), ...restore('{}')));
      await until('it runs', () => isRunning(namespace));
      expect(await ended).toEqual({ status: 0, stdout: '', stderr: '' });
      await until('the daemon has ended', () => pidsOf(namespace, `daemon.js ${inBase('enc')}`).length === 0);
      expect(pidsOf(namespace, 'lazy-pages --daemon')).toEqual([]);
      expect(readdirSync(work).filter((name) => /socket|pid/.test(name))).toEqual([]);
      await comparesItsMemory();
    });
  });

  systemTest([], 'by two commands from a mount, which is in use until criu lazy-pages ends', async () => {
    await inNamespace(async (namespace) => {
      const mountPoint = inBase('mnt');
      mkdirSync(mountPoint);
      const done = (...words: readonly string[]): CommandResult => {
        const result = namespace.run(words[0] ?? '', ...words.slice(1));
        expect(result, words.join(' ')).toMatchObject({ status: 0 });
        return result;
      };
      done(ckptfsProgram, 'mount', inBase('enc'), mountPoint, '--key-file', inBase('k'));
      const where = ['-D', mountPoint, '-W', work, '-o', 'lazy-pages.log', '--pidfile', join(work, 'pid')];
      done('criu', 'lazy-pages', '--daemon', ...where);
      const pid = readFileSync(join(work, 'pid'), 'utf8');
      done(...restore(mountPoint));
      // Held, so that it has not ended before the mount is looked at.
      done('kill', '-STOP', pid);
      expect(namespace.run(ckptfsProgram, 'umount', mountPoint).stderr).toMatch(/is in use by .* \(pid \d+\)/);
      done('kill', '-CONT', pid);
      await until('criu lazy-pages has ended', () => namespace.run('kill', '-0', pid).status !== 0);
      done(ckptfsProgram, 'umount', mountPoint);
      await comparesItsMemory();
    });
  });

  for (const [which, block] of [
    ['one command', 0],
    ['two commands', 2],
  ] as const) {
    systemTest([], `by the lines of docs/engines.md, in ${which}`, async () => {
      const engines = readFileSync(fileURLToPath(new URL('../../docs/engines.md', import.meta.url)), 'utf8');
      const typed = indentedBlocks(engines, '## Restoring in the background')[block] ?? '';
      expect(typed).toContain('criu restore -d --lazy-pages');
      await inNamespace(async (namespace) => {
        for (const name of ['enc', 'k']) cpSync(inBase(name), join(work, name), { recursive: true });
        const line = `PATH='${dirname(ckptfsProgram)}':$PATH; cd '${work}'; set -e; ${typed}`;
        const { status } = namespace.run('bash', '-c', `{ ${line}\n} >/dev/null 2>${work}/err </dev/null`);
        expect(status, readFileSync(join(work, 'err'), 'utf8')).toBe(0);
        await comparesItsMemory();
      });
    });
  }

  systemTest([], 'and kills the process when a chunk of its memory is damaged', async () => {
    await inNamespace(async (namespace) => {
      const { ended } = started(namespace, ...lazily(damaged, ...restore('{}')));
      const { status, stderr } = await ended;
      expect(status).toBe(125);
      expect(stderr).toMatch(/the process that waited for memory had to be killed: .*Input\/output error/);
      expect(isRunning(namespace)).toBe(false);
      expect(readState(stateFile)?.damaged).toEqual([]);
      expect(logOf(damaged)).toMatch(
        /cannot read "pages-1\.img": object [0-9a-f]{32}, chunk \d+: its tag does not match/,
      );
    });
  });

  for (const [what, pattern, reason] of [
    ['the mount goes away', 'daemon.js', /Transport endpoint|Software caused|Error/],
    ['criu lazy-pages is killed', 'lazy-pages --daemon', /criu lazy-pages ended with exit code 137/],
  ] as const) {
    systemTest([], `and kills the process when ${what}`, async () => {
      await inNamespace(async (namespace) => {
        const thenSay = ['sh', '-c', '"$@" && touch "$0"', join(work, 'restored')];
        const { ended } = started(namespace, ...lazily(inBase('enc'), ...thenSay, ...restore('{}')));
        await until('it runs', () => existsSync(join(work, 'restored')) || existsSync(join(work, 'status')));
        const [pid = ''] = pidsOf(namespace, pattern);
        expect(namespace.run('kill', '-KILL', pid).status).toBe(0);
        const { status, stderr } = await ended;
        expect(status, `${stderr}${readFileSync(join(work, 'restore.log'), 'utf8')}`).toBe(125);
        expect(stderr).toMatch(reason);
        expect(isRunning(namespace)).toBe(false);
        expect(readState(stateFile)?.damaged).toEqual([]);
      });
    });
  }

  /**
   * Restores in the background by exec, and stops criu lazy-pages while it has memory to bring. The command then waits
   * for the file `go` in the work directory.
   */
  async function stopped(
    namespace: Namespace,
  ): Promise<{ ended: Promise<CommandResult>; server: string; exec: string }> {
    const line =
      '"$@" && pkill -STOP -f "[l]azy-pages --daemon" && touch "$0/stopped"; until [ -e "$0/go" ]; do sleep 0.05; done';
    const { ended } = started(namespace, ...lazily(inBase('enc'), 'sh', '-c', line, work, ...restore('{}')));
    await until('it is stopped', () => existsSync(join(work, 'stopped')) || existsSync(join(work, 'status')));
    const [server = ''] = pidsOf(namespace, 'lazy-pages --daemon');
    return { ended, server, exec: namespace.run('ps', '-o', 'ppid=', '-p', server).stdout.trim() };
  }
  const commandHasEnded = (namespace: Namespace, exec: string): boolean => {
    return namespace.run('pgrep', '-P', exec, '-f', 'until').stdout === '';
  };
  const goOn = (): void => writeFileSync(join(work, 'go'), '');
  /** Sends a signal that a process handles, and waits until the kernel has handed it over. */
  async function handedOver(namespace: Namespace, signal: number, pid: string): Promise<void> {
    namespace.run('kill', `-${signal}`, pid);
    const isPending = (): boolean => {
      const [, mask = '0'] = /^ShdPnd:\s*(\w+)/m.exec(namespace.run('cat', `/proc/${pid}/status`).stdout) ?? [];
      return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
    };
    await until('the signal has come', () => !isPending());
  }
  const [SIGHUP, SIGINT, SIGTERM] = [1, 2, 15];

  for (const [what, signals, status, reason] of [
    ['SIGTERM ends exec', [SIGHUP, SIGTERM], 143, 'interrupted by SIGTERM, 1 process killed'],
    ['a second SIGINT ends exec', [SIGINT, SIGINT], 130, 'interrupted by SIGINT, 1 process killed'],
  ] as const) {
    systemTest([], `and kills the process when ${what}`, async () => {
      await inNamespace(async (namespace) => {
        const { ended, exec, server } = await stopped(namespace);
        goOn();
        await until('the command has ended', () => commandHasEnded(namespace, exec));
        const [first, last] = signals;
        await handedOver(namespace, first, exec);
        expect(namespace.run('kill', '-0', server).status).toBe(0);
        expect(isRunning(namespace)).toBe(true);
        await handedOver(namespace, last, exec);
        expect(await ended).toEqual({ status, stdout: '', stderr: `ckptfs: ${reason}.\n` });
        expect(isRunning(namespace)).toBe(false);
        expect(pidsOf(namespace, 'lazy-pages --daemon')).toEqual([]);
        expect(readState(stateFile)?.damaged).toEqual([]);
      });
    });
  }

  systemTest(
    [],
    'and kills the process when SIGTERM comes before the command has ended, whose failure counts',
    async () => {
      await inNamespace(async (namespace) => {
        const { ended, exec } = await stopped(namespace);
        namespace.run('kill', '-TERM', exec);
        const { status, stderr } = await ended;
        expect({ status, stderr }).toEqual({
          status: 143,
          stderr: 'ckptfs: interrupted by SIGTERM, 1 process killed.\n',
        });
        expect(isRunning(namespace)).toBe(false);
        expect(readState(stateFile)?.damaged).toEqual([]);
      });
    },
  );

  systemTest([], 'by a command that goes on after criu lazy-pages has ended', async () => {
    await inNamespace(async (namespace) => {
      const { ended, server } = await stopped(namespace);
      namespace.run('kill', '-CONT', server);
      await until('criu lazy-pages has ended', () => !namespace.run('ps', '-p', server).stdout.includes(server));
      goOn();
      expect(await ended).toEqual({ status: 0, stdout: '', stderr: '' });
      await comparesItsMemory();
    });
  });

  systemTest([], 'and brings all memory of a process that is no descendant', async () => {
    await inNamespace(async (namespace) => {
      const line = 'touch "$0/started"; until [ -e "$0/go" ]; do sleep 0.05; done';
      const { ended } = started(namespace, ...lazily(inBase('enc'), 'sh', '-c', line, work));
      await until('the command runs', () => existsSync(join(work, 'started')));
      const [server = ''] = pidsOf(namespace, 'lazy-pages --daemon');
      const exec = namespace.run('ps', '-o', 'ppid=', '-p', server).stdout.trim();
      const restored = ['sh', '-c', '"$@" && kill -STOP "$0"', server, ...restore(inBase('images'))];
      expect(namespace.run('env', ...restored)).toMatchObject({ status: 0 });
      goOn();
      await until('the command has ended', () => commandHasEnded(namespace, exec));
      namespace.run('kill', '-CONT', server);
      expect(await ended).toEqual({ status: 0, stdout: '', stderr: '' });
      await comparesItsMemory();
    });
  });

  /** Makes a `criu` that does more when `criu lazy-pages` has started. Returns the words that put it first in PATH. */
  function withCriu(shell: string): string[] {
    const directory = join(work, 'bin');
    mkdirSync(directory);
    const real = findProgram('criu') ?? '';
    writeFileSync(join(directory, 'criu'), `#!/bin/bash\n'${real}' "$@" || exit\n${shell}\n`);
    chmodSync(join(directory, 'criu'), 0o755);
    return ['bash', '-c', 'PATH="$0:$PATH" exec "$@"', directory];
  }

  systemTest(['strace'], 'and leaves no criu lazy-pages when it cannot be traced', async () => {
    await inNamespace(async (namespace) => {
      const tracing = `grep -q '^TracerPid:[[:space:]]*[1-9]' /proc/$pid/status`;
      const shell = [
        'pid=$(pgrep -P "$PPID" -f "lazy-pages --daemon" | grep -vx $$)',
        'setsid strace -o /dev/null -p "$pid" </dev/null >/dev/null 2>&1 &',
        `until ${tracing}; do sleep 0.01; done`,
      ].join('\n');
      const { status, stderr } = await started(namespace, ...withCriu(shell), ...lazily(inBase('enc'), 'true')).ended;
      expect(stderr).toBe('ckptfs: cannot trace criu lazy-pages: operation not permitted.\n');
      expect(status).toBe(125);
      await until('it is gone', () => pidsOf(namespace, 'lazy-pages --daemon').length === 0);
      await until('the daemon has ended', () => pidsOf(namespace, `daemon.js ${inBase('enc')}`).length === 0);
    });
  });

  systemTest([], 'and leaves no criu lazy-pages when SIGTERM comes while it starts', async () => {
    await inNamespace(async (namespace) => {
      const criu = withCriu(`echo $PPID >'${work}/exec'; mv '${work}/exec' '${work}/pid'; exec sleep 1000`);
      const { ended } = started(namespace, ...criu, ...lazily(inBase('enc'), 'true'));
      await until('criu lazy-pages has started', () => existsSync(join(work, 'pid')));
      namespace.run('kill', '-TERM', readFileSync(join(work, 'pid'), 'utf8').trim());
      expect(await ended).toEqual({ status: 143, stdout: '', stderr: 'ckptfs: interrupted by SIGTERM.\n' });
      await until('it is gone', () => pidsOf(namespace, 'lazy-pages --daemon').length === 0);
      expect(pidsOf(namespace, 'sleep 1000')).toEqual([]);
      await until('the daemon has ended', () => pidsOf(namespace, `daemon.js ${inBase('enc')}`).length === 0);
    });
  });

  systemTest([], 'without ckptfs exec, and lets the process go on with zeros when a chunk is damaged', async () => {
    // Not a wish: what criu and the kernel do, and docs/engines.md says so.
    await inNamespace(async (namespace) => {
      const line = 'criu lazy-pages --daemon -D "$1" -W "$2" -o lazy-pages.log && shift 2 && exec "$@"';
      const command = ['sh', '-c', line, 'sh', '{}', work, ...restore('{}')];
      const exec = [ckptfsProgram, 'exec', damaged, '--key-file', inBase('k'), '--', ...command];
      expect(namespace.run(exec[0] ?? '', ...exec.slice(1))).toMatchObject({ status: 0 });
      const state = await waitForState(stateFile, (now) => now.damaged.length > 0);
      expect(state.damaged).toEqual(['memory']);
    });
  });

  systemTest([], 'and ends criu lazy-pages when the restore fails, or does not want it', async () => {
    await inNamespace(async (namespace) => {
      const failing = namespace.run(
        'env',
        ...lazily(inBase('enc'), 'criu', 'restore', '-D', join(base, 'none'), '-W', work),
      );
      expect(failing.status).toBe(1);
      expect(pidsOf(namespace, 'lazy-pages --daemon')).toEqual([]);
      expect(namespace.run('env', ...lazily(inBase('enc'), 'true'))).toEqual({ status: 0, stdout: '', stderr: '' });
      const eager = restore('{}').filter((word) => word !== '--lazy-pages');
      expect(namespace.run('env', ...lazily(inBase('enc'), ...eager))).toMatchObject({ status: 0 });
      expect(pidsOf(namespace, 'lazy-pages --daemon')).toEqual([]);
      await comparesItsMemory();
    });
  });
});

/** Overwrites a few bytes of what comes late in the memory of the process. */
function damageLateMemory(image: string): void {
  const objects = readdirSync(join(image, 'objects'), { recursive: true, encoding: 'utf8' });
  const files = objects.map((name) => join(image, 'objects', name)).filter((path) => statSync(path).isFile());
  const largest = files.reduce((one, other) => (statSync(other).size > statSync(one).size ? other : one));
  const file = openSync(largest, 'r+');
  writeSync(file, 'tampered', Math.floor(statSync(largest).size * 0.95));
  closeSync(file);
}
