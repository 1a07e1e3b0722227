import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { absolutePath } from '../../base/current-directory.ts';
import { CkptfsError } from '../../base/errors.ts';
import { withoutInheritance } from '../../base/linux/descriptors.ts';
import { programUrl } from '../../base/program-url.ts';
import {
  type FetcherOrder,
  type FetcherReady,
  MAX_ORDER_SIZE,
  parseFetcherReport,
} from '../../remote/lazy/fetcher-order.ts';

const PROGRAM = fileURLToPath(programUrl('fetcher'));
/** Variables that name a file or a directory, which may be relative to where the command was given. */
const PATHS = [
  'AWS_CA_BUNDLE',
  'AWS_CONFIG_FILE',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'DOCKER_CONFIG',
  'REGISTRY_AUTH_FILE',
];

type Child = ChildProcessByStdio<Writable, Readable, null>;

/**
 * Does something with an image in a remote store while a process fetches of it what is read. That process has the
 * environment of this one, for the sake of credentials. It stays as long as this function runs, or a daemon is
 * connected to it, whichever is longer: also when this process is killed.
 * @throws what the process fails with before it serves; CkptfsError `internal` when it dies; what `work` throws
 */
export async function withFetcher<T>(order: FetcherOrder, work: (ready: FetcherReady) => Promise<T>): Promise<T> {
  const child = withoutInheritance(() =>
    spawn(process.execPath, [PROGRAM], {
      cwd: '/',
      env: withAbsolutePaths(process.env),
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
    }),
  );
  // It may have ended before it read anything.
  child.stdin.on('error', () => undefined);
  child.unref();
  try {
    child.stdin.write(`${JSON.stringify(order)}\n`);
    return await work(parseFetcherReport(await reportOf(child)));
  } finally {
    child.stdin.destroy();
    child.stdout.destroy();
  }
}

/** Returns variables that mean the same in another directory. @throws CkptfsError `bad-argument` where that is gone */
export function withAbsolutePaths(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const named = PATHS.flatMap((name) => {
    const path = environment[name];
    return path ? [[name, absolutePath(path)] as const] : [];
  });
  return { ...environment, ...Object.fromEntries(named) };
}

/** Waits for the only line that it writes. @throws CkptfsError `internal` when it ends without one */
function reportOf(child: Child): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const died = (): void => reject(new CkptfsError('internal', 'the process that fetches ended before it served'));
    child.once('error', died);
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.length > MAX_ORDER_SIZE) child.stdout.destroy();
    });
    child.stdout.once('error', died).once('close', () => (text.endsWith('\n') ? resolve(text) : died()));
  });
}
