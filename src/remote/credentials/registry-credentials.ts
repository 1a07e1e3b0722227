import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { CkptfsError } from '../../base/errors.ts';
import { wipe } from '../../base/wipe.ts';
import type { OciAddress } from '../shared/remote-address.ts';
import { runForCredentials } from './run-for-credentials.ts';
import { readSmallFile } from './small-file.ts';

/** What a registry knows a user by. Strings, since fields of HTTP are. */
export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
  /** A token that a token server takes in place of a password. */
  readonly identityToken?: string;
}

const MAX_HELPER_BYTES = 65_536;
/** How helpers call a user that is a token. */
const TOKEN_USER = '<token>';
/** How docker calls its own registry in these files. */
const DOCKER_HUB_KEY = 'https://index.docker.io/v1/';
/** What podman and docker log in to a registry with, and where they keep it. */
interface AuthFile {
  readonly auths: Readonly<Record<string, unknown>>;
  readonly credHelpers: Readonly<Record<string, unknown>>;
  readonly credsStore: unknown;
}

/**
 * Finds the credentials for a registry in the files of podman and docker. The first file that has some for it counts;
 * in a file, a name of the repository or a part of it before that of the host, as podman writes them.
 * @returns undefined where there are none
 * @throws CkptfsError `bad-key-file`, `store-unavailable` for a helper that fails, `interrupted`
 */
export async function registryCredentials(
  { host, repository }: Pick<OciAddress, 'host' | 'repository'>,
  environment: NodeJS.ProcessEnv,
  timeoutSeconds: number,
): Promise<RegistryCredentials | undefined> {
  for (const path of authFiles(environment)) {
    const file = readAuthFile(path);
    if (file === undefined) continue;
    const helper = Object.hasOwn(file.credHelpers, host) ? file.credHelpers[host] : undefined;
    const found =
      (helper === undefined ? undefined : await fromHelper(helper, host, path, timeoutSeconds)) ??
      fromAuths(file, host, repository, path) ??
      (file.credsStore === undefined ? undefined : await fromHelper(file.credsStore, host, path, timeoutSeconds));
    if (found !== undefined) return found;
  }
  return undefined;
}

function authFiles(environment: NodeJS.ProcessEnv): string[] {
  const value = (name: string): string | undefined => environment[name] || undefined;
  const home = value('HOME') ?? homedir();
  const directory = (name: string, otherwise: string | undefined): string | undefined => {
    const configured = value(name);
    return configured !== undefined && isAbsolute(configured) ? configured : otherwise;
  };
  const runtime = directory('XDG_RUNTIME_DIR', undefined);
  const named = value('REGISTRY_AUTH_FILE');
  if (named !== undefined) return [named];
  return [
    ...(runtime === undefined ? [] : [join(runtime, 'containers', 'auth.json')]),
    join(directory('XDG_CONFIG_HOME', undefined) ?? join(home, '.config'), 'containers', 'auth.json'),
    join(value('DOCKER_CONFIG') ?? join(home, '.docker'), 'config.json'),
  ];
}

function readAuthFile(path: string): AuthFile | undefined {
  const text = readSmallFile(path);
  if (text === undefined || text.trim() === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The error of JSON.parse quotes what it read.
    throw notUsable(path, 'it is not JSON');
  }
  if (!isRecord(value)) throw notUsable(path, 'it is not an object of JSON');
  const members = (name: string): Readonly<Record<string, unknown>> => {
    const found = value[name];
    return isRecord(found) ? found : {};
  };
  return { auths: members('auths'), credHelpers: members('credHelpers'), credsStore: value['credsStore'] || undefined };
}

function fromAuths(
  { auths }: AuthFile,
  host: string,
  repository: string,
  path: string,
): RegistryCredentials | undefined {
  const parts = repository.split('/');
  const places = [...parts.keys()].map((count) => `${host}/${parts.slice(0, parts.length - count).join('/')}`);
  const hosts = [host, `https://${host}`, `https://${host}/v1/`, `https://${host}/v2/`];
  const hub = host === 'docker.io' ? ['index.docker.io', DOCKER_HUB_KEY] : [];
  for (const key of [...places, ...hosts, ...hub]) {
    const entry = Object.hasOwn(auths, key) ? auths[key] : undefined;
    const found = isRecord(entry) ? entryCredentials(entry, key, path) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function entryCredentials(
  { auth, identitytoken }: Record<string, unknown>,
  key: string,
  path: string,
): RegistryCredentials | undefined {
  const token = typeof identitytoken === 'string' && identitytoken !== '' ? { identityToken: identitytoken } : {};
  if (typeof auth !== 'string' || auth === '')
    return 'identityToken' in token ? { username: TOKEN_USER, password: '', ...token } : undefined;
  const text = Buffer.from(auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 1) throw notUsable(path, `its entry ${key} is not a user and a password in base64`);
  return { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, ''), ...token };
}

async function fromHelper(
  name: unknown,
  host: string,
  path: string,
  timeoutSeconds: number,
): Promise<RegistryCredentials | undefined> {
  // A name with a slash would be another program than one of PATH.
  if (typeof name !== 'string' || !/^[\w.-]+$/.test(name)) throw notUsable(path, 'it names no credential helper');
  const server = host === 'docker.io' ? DOCKER_HUB_KEY : host;
  const output = Buffer.alloc(MAX_HELPER_BYTES);
  try {
    const program = `docker-credential-${name}`;
    const input = Buffer.from(server);
    const length = await runForCredentials(program, [program, 'get'], output, { timeoutSeconds, input }).catch(
      (error: unknown) => {
        // A helper that has no credentials says so by its exit code, and what it says differs.
        if (error instanceof CkptfsError && /exit code 1$/.test(error.message)) return 0;
        throw error;
      },
    );
    return length === 0 ? undefined : helperCredentials(output.toString('utf8', 0, length), program);
  } finally {
    wipe(output);
  }
}

function helperCredentials(text: string, program: string): RegistryCredentials {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const { Username: username, Secret: secret } = isRecord(value) ? value : {};
  if (typeof username !== 'string' || typeof secret !== 'string') {
    throw new CkptfsError('bad-key-file', `${program}: it answers no user and secret`, {
      data: { reason: 'not-a-key' },
    });
  }
  if (username === TOKEN_USER) return { username, password: '', identityToken: secret };
  return { username, password: secret };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function notUsable(path: string, problem: string): CkptfsError {
  return new CkptfsError('bad-key-file', `${path}: ${problem}`, { path, data: { reason: 'not-a-key' } });
}
