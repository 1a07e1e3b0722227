import fs from 'node:fs';
import { join } from 'node:path';
import { buildFixture } from './fixtures.ts';
import type { Namespace } from './namespace.ts';
import { runProgram } from './programs.ts';

/** The limits are not beyond those of this machine. */
const CONFIGURATION = `
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
events_logger = "none"
`;

/** podman with configuration, run-time state and storage of its own. */
export class Podman {
  readonly #base: string;
  readonly #driver: string;
  readonly #environment: readonly string[];
  /** The directory of its images and containers (`--root`); by the driver vfs, containers are in `vfs-containers`. */
  readonly store: string;
  /** The host's name of the directory that its containers see as /state. */
  readonly state: string;
  /** Options of `import` and `build` without which podman wants a policy of the host. */
  readonly policy: readonly string[];

  /**
   * @param base a directory for all that is not named otherwise
   * @param options.storage a directory for images and containers
   * @param options.driver how layers are stored: `vfs` copies all that is below, `overlay` needs a disk
   * @param options.temporary an existing directory for temporary files (TMPDIR)
   */
  constructor(base: string, options: { storage?: string; driver?: 'vfs' | 'overlay'; temporary?: string } = {}) {
    const { storage = base, driver = 'vfs', temporary = base } = options;
    this.#base = base;
    this.#driver = driver;
    this.policy = ['--signature-policy', join(base, 'policy.json')];
    this.store = join(storage, 'store');
    this.state = join(base, 'state');
    fs.mkdirSync(this.state);
    fs.writeFileSync(join(base, 'containers.conf'), CONFIGURATION);
    fs.writeFileSync(join(base, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
    // Health checks are made when a test asks: the timers for them are systemd's.
    const settings = ['DISABLE_HC_SYSTEMD=true', `CONTAINERS_CONF=${join(base, 'containers.conf')}`];
    this.#environment = [...settings, `TMPDIR=${temporary}`];
  }

  /** Runs a command of podman. @returns its stdout @throws Error with what it said when it fails */
  run(namespace: Namespace, ...args: readonly string[]): string {
    const { status, stdout, stderr } = namespace.run('env', ...this.words(...args).slice(1));
    if (status !== 0) throw new Error(`podman ${args.join(' ')} (${status}): ${stdout}${stderr}`);
    return stdout.trim();
  }

  /** Returns the words of a command line that runs a command of podman. */
  words(...args: readonly string[]): readonly string[] {
    const at = (name: string): string => join(this.#base, name);
    const storage = ['--root', this.store, '--runroot', at('run'), '--tmpdir', at('tmp'), '--storage-driver'];
    const options = [...storage, this.#driver, '--cgroup-manager', 'cgroupfs', '--runtime', 'runc'];
    return ['env', ...this.#environment, 'podman', ...options, ...args];
  }

  /** Makes the image `localhost/counter`, with one static program that counts. */
  makeImage(namespace: Namespace): void {
    const files = join(this.#base, 'fs');
    fs.mkdirSync(files);
    buildFixture('counter', { directory: files, stateFile: '/state/count' });
    this.import(namespace, files, 'localhost/counter');
  }

  /** Makes an image of a directory. */
  import(namespace: Namespace, directory: string, image: string): void {
    runProgram('tar', '-C', directory, '-cf', `${directory}.tar`, '.');
    this.run(namespace, 'import', ...this.policy, `${directory}.tar`, image);
    fs.rmSync(`${directory}.tar`);
  }

  /** Runs a container of that image in the background. @returns the path of its state file */
  start(namespace: Namespace, name: string): string {
    // A network of its own needs iptables inside criu, which is not the matter here.
    const how = ['--network', 'host', '--security-opt', 'seccomp=unconfined', '-v', `${this.state}:/state`];
    this.run(namespace, 'run', '-d', '--name', name, ...how, 'localhost/counter', '/counter', '/state/count', '16');
    return join(this.state, 'count');
  }
}
