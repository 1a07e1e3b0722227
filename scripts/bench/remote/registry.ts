import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../lib/commands.ts';

/** docker-registry on the loopback interface of this network namespace, in which no other server is. */
export class Registry {
  static readonly #host = '127.0.0.1:5000';
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** @throws Error when it does not answer within a minute */
  static async start(directory: string): Promise<Registry> {
    mkdirSync(directory);
    const storage = `storage: {filesystem: {rootdirectory: ${join(directory, 'data')}}}`;
    const log = 'log: {level: error, accesslog: {disabled: true}}';
    writeFileSync(
      join(directory, 'config.yml'),
      `version: 0.1\n${log}\n${storage}\nhttp: {addr: '${Registry.#host}'}\n`,
    );
    const child = spawn('docker-registry', ['serve', join(directory, 'config.yml')], { stdio: 'ignore' });
    child.on('error', () => undefined);
    for (let tries = 0; tries < 600; tries++) {
      const answer = await fetch(`http://${Registry.#host}/v2/`).catch(() => undefined);
      if (answer?.ok) return new Registry(child);
      await sleep(100);
    }
    throw new Error('docker-registry does not answer');
  }

  /** The address of an image of ckptfs. Names of repositories are in small letters. */
  image(name: string, tag: string): string {
    return `oci://${Registry.#host}/${name.toLowerCase()}:${tag}`;
  }

  /** Stores a file as a blob, as an archive that is a layer of an image is one. @returns where it can be fetched */
  async store(name: string, file: string): Promise<string> {
    const hash = createHash('sha256');
    for await (const piece of createReadStream(file)) hash.update(piece);
    const digest = `sha256:${hash.digest('hex')}`;
    const repository = `http://${Registry.#host}/v2/${name.toLowerCase()}/blobs`;
    const begun = await fetch(`${repository}/uploads/`, { method: 'POST' });
    const place = new URL(begun.headers.get('location') ?? '');
    place.searchParams.set('digest', digest);
    const upload = ['-H', 'Content-Type: application/octet-stream', '--upload-file', file];
    await run('curl', '--silent', '--show-error', '--fail', ...upload, place.href);
    return `${repository}/${digest}`;
  }

  async stop(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }
}
