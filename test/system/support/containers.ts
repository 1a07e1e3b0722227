import { spawnSync } from 'node:child_process';
import { lchownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildFixture } from './fixtures.ts';
import type { CommandResult, Namespace } from './namespace.ts';
import { toolEnvironment } from './requirements.ts';

/** A minimal OCI bundle: a root file system with one static program that counts. */
export interface Bundle {
  readonly directory: string;
  /** The program's state file, as seen from outside the container. */
  readonly stateFile: string;
}

/**
 * Makes a bundle whose only process is the fixture `counter`.
 *
 * The container has no network namespace: a checkpoint of one needs iptables inside CRIU, which is not the matter here.
 *
 * @param firstId makes it a container with a user namespace, whose ids from 0 are those from `firstId` outside
 */
export function makeBundle(directory: string, mebibytes: number, firstId?: number): Bundle {
  const root = join(directory, 'rootfs');
  for (const folder of ['state', 'proc', 'dev', 'sys']) mkdirSync(join(root, folder), { recursive: true });
  buildFixture('counter', { directory: root, stateFile: '/state/count' });
  const spec = spawnSync('runc', ['spec'], { cwd: directory, env: toolEnvironment, encoding: 'utf8' });
  if (spec.status !== 0) throw new Error(`runc spec: ${spec.stderr}`);
  const configFile = join(directory, 'config.json');
  const config = JSON.parse(readFileSync(configFile, 'utf8'));
  config.process.terminal = false;
  config.process.args = ['/counter', '/state/count', String(mebibytes)];
  config.root.readonly = false;
  config.linux.namespaces = config.linux.namespaces.filter((one: { type: string }) => one.type !== 'network');
  if (firstId !== undefined) addUserNamespace(config, root, firstId);
  writeFileSync(configFile, JSON.stringify(config));
  return { directory, stateFile: join(root, 'state', 'count') };
}

interface Config {
  mounts: { destination: string }[];
  readonly linux: { namespaces: { type: string }[]; uidMappings?: object; gidMappings?: object };
}

function addUserNamespace(config: Config, root: string, firstId: number): void {
  config.linux.namespaces.push({ type: 'user' });
  config.linux.uidMappings = [{ containerID: 0, hostID: firstId, size: 65_536 }];
  config.linux.gidMappings = config.linux.uidMappings;
  // Who is root in a user namespace alone may not mount these.
  config.mounts = config.mounts.filter(({ destination }) => !['/sys', '/dev/mqueue'].includes(destination));
  for (const name of ['', ...readdirSync(root)]) lchownSync(join(root, name), firstId, firstId);
}

/** Programs that run bundles, with one command line. */
export type Runtime = 'runc' | 'crun';

/**
 * Runs a command of a runtime inside a namespace. Its stdio, which a detached container inherits, is /dev/null: a
 * checkpoint cannot hold a pipe whose other end is outside. So its messages come from its log.
 *
 * @param directory where the runtime keeps its state and its log
 * @throws Error with its log when it fails
 */
export function runRuntime(
  runtime: Runtime,
  namespace: Namespace,
  directory: string,
  ...args: readonly string[]
): void {
  const log = join(directory, `${runtime}.log`);
  const quiet = 'exec "$0" "$@" </dev/null >/dev/null 2>&1';
  const base = ['--root', join(directory, runtime), '--log', log];
  const result: CommandResult = namespace.run('bash', '-c', quiet, runtime, ...base, ...args);
  if (result.status !== 0)
    throw new Error(`${runtime} ${args.join(' ')} (${result.status}): ${readFileSync(log, 'utf8')}`);
}

/** {@link runRuntime} for runc. */
export function runc(namespace: Namespace, directory: string, ...args: readonly string[]): void {
  runRuntime('runc', namespace, directory, ...args);
}
