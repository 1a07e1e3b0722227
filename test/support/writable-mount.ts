import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../bin/ckptfs', import.meta.url));

/** Runs a program to its end and returns its stdout. @throws Error with its stderr where it does not end with 0 */
function run(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000 });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} exited with ${status}: ${stderr}`);
  return stdout;
}

/** The built command. */
function ckptfs(...args: readonly string[]): string {
  return run(program, ...args);
}

/** Waits without giving anything else a turn. */
function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** One image, mounted by the built program to be written, again and again. */
export class WritableMount {
  readonly image: string;
  readonly keyFile: string;
  readonly mountPoint: string;
  readonly logFile: string;
  #daemon: number | undefined;

  /** @param base a directory of its own, for the image, its key, the daemon's log and the mount point `mnt` */
  constructor(base: string) {
    this.image = join(base, 'enc');
    this.keyFile = join(base, 'key');
    this.mountPoint = join(base, 'mnt');
    this.logFile = join(base, 'log');
    fs.mkdirSync(this.mountPoint);
    ckptfs('keygen', '-o', this.keyFile);
  }

  /** Pid of the daemon that serves it. @throws Error when it is not mounted */
  get daemon(): number {
    if (this.#daemon === undefined) throw new Error('it is not mounted');
    return this.#daemon;
  }

  get isMounted(): boolean {
    return this.#daemon !== undefined;
  }

  /** Makes the image, or goes on with it. @param options further ones of `ckptfs mount` */
  mount(...options: readonly string[]): void {
    const common = ['--key-file', this.keyFile, '--log-file', this.logFile, '--json'];
    const output = ckptfs('mount', '--write', this.image, this.mountPoint, ...common, ...options);
    this.#daemon = (JSON.parse(output) as { pid: number }).pid;
  }

  /** Unmounts, which seals the image. */
  unmount(): void {
    ckptfs('umount', this.mountPoint);
    this.#daemon = undefined;
  }

  /** Sends SIGKILL to the daemon now, and takes the dead mount away. */
  kill(): void {
    process.kill(this.daemon, 'SIGKILL');
    this.clear();
  }

  /**
   * Sends SIGKILL to the daemon some time from now, whatever this process does meanwhile; to be followed by {@link
   * clear}.
   */
  killAfter(milliseconds: number): void {
    const seconds = (milliseconds / 1000).toFixed(4);
    spawn('sh', ['-c', `sleep ${seconds}; kill -9 ${this.daemon}`], { stdio: 'ignore' });
  }

  /** Whether the daemon runs. */
  get serves(): boolean {
    try {
      const status = fs.readFileSync(`/proc/${this.daemon}/status`, 'utf8');
      return !/^State:\t[ZX]/m.test(status) || !/^Threads:\t[01]$/m.test(status);
    } catch (error) {
      if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH'))
        return false;
      throw error;
    }
  }

  /** Waits for the end of a daemon that is being killed, and takes the dead mount away. */
  clear(): void {
    this.#waitForEnd();
    // What is open on it may be so for a while.
    run('umount', '--lazy', this.mountPoint);
    this.#daemon = undefined;
  }

  /** Unmounts and ends the daemon, whatever has become of them. Nothing is promised of the image. */
  discard(): void {
    if (!this.isMounted) return;
    if (this.serves) process.kill(this.daemon, 'SIGKILL');
    this.clear();
  }

  /**
   * Unmounts and sends SIGKILL to the daemon so many milliseconds later, which may be before it has sealed the image,
   * or while it does, or after that.
   */
  killSealing(milliseconds: number): void {
    run('umount', this.mountPoint);
    sleep(milliseconds);
    if (this.serves) process.kill(this.daemon, 'SIGKILL');
    this.#waitForEnd();
    this.#daemon = undefined;
  }

  /** Runs another command on the image, which is not mounted. @throws Error where it fails */
  run(command: 'seal' | 'recover' | 'verify', ...options: readonly string[]): string {
    return ckptfs(command, this.image, '--key-file', this.keyFile, ...options);
  }

  /** Like {@link run}, or mounts the image to be written; SIGKILL ends it after so many milliseconds. */
  runKilled(command: 'seal' | 'recover' | 'mount', milliseconds: number): void {
    const args =
      command === 'mount' ? ['mount', '--write', '--foreground', this.image, this.mountPoint] : [command, this.image];
    const options = { timeout: milliseconds, killSignal: 'SIGKILL', stdio: 'ignore' } as const;
    spawnSync(program, [...args, '--key-file', this.keyFile], options);
    if (fs.readFileSync('/proc/self/mounts', 'utf8').includes(` ${this.mountPoint} `))
      run('umount', '--lazy', this.mountPoint);
  }

  /** Decrypts the sealed image. */
  decrypt(destination: string): void {
    ckptfs('decrypt', this.image, destination, '--key-file', this.keyFile);
  }

  #waitForEnd(): void {
    const deadline = Date.now() + 30_000;
    while (this.serves) {
      if (Date.now() > deadline) throw new Error(`the daemon ${this.daemon} does not end`);
      sleep(5);
    }
  }
}
