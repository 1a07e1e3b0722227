// Every example of every --help is a line that can be copied: run unchanged, in a folder that has what it names.
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { commandNames } from '../../src/cli/command-names.ts';
import { criuCase } from '../support/criu-fixtures.ts';
import { ckptfs } from './support/ckptfs.ts';
import { PyKmip } from './support/kmip.ts';
import { ckptfsProgram } from './support/mounts.ts';
import { type CommandResult, type Namespace, openNamespace } from './support/namespace.ts';
import { Registry } from './support/remote-servers.ts';
import { describeIf, type Feature, have, systemTest } from './support/requirements.ts';

/** The lines below "Examples:" that are no comments, as they are printed. */
function examplesOf(command: string): string[] {
  const [, examples = ''] = ckptfs(command, '--help').split('\nExamples:\n');
  return examples.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('  # '));
}

const written = 'ckptfs mount enc mnt -k k --write --json > mount.json && echo new > mnt/new';
const killed = `${written} && kill -9 "$(grep -Eo '"pid": ?[0-9]+' mount.json | grep -Eo '[0-9]+')" && umount --lazy mnt`;

const signer = 'openssl req -x509 -newkey ed25519 -nodes -keyout signer.pem -out signer.crt -subj /CN=us 2> /dev/null';

/** What else the examples of a command begin with, besides the files that all have. */
const preparations: Readonly<Record<string, string>> = {
  encrypt: 'tar -C ckpt --zstd -cf checkpoint.tar.zst .',
  key: 'ckptfs key add enc -k k -r host.crt --label host -q',
  lock: 'ckptfs mount enc mnt -k k',
  profile: 'ckptfs mount oci://localhost:5000/web:checkpoint-1 mnt -k k',
  recover: killed,
  reencrypt: 'ckptfs keygen -o new.key -q',
  remount: written,
  'run-hook': `echo '{"id": "web", "status": "stopped"}' > state.json`,
  seal: killed,
  sign: signer,
  status: 'ckptfs mount enc mnt -k k',
  umount: 'ckptfs mount enc mnt -k k',
  verify: `${signer} && ckptfs sign enc -k k --sign signer.pem -q`,
  unlock: 'ckptfs mount enc mnt -k k && ckptfs lock mnt',
  watch: 'mkdir archives && tar -C ckpt -cf archives/checkpoint.tar .',
};

/** What the examples that ask a registry begin with: only those of `push` find none there. */
const pushed = 'ckptfs push enc oci://localhost:5000/web:checkpoint-1 --replace -q';

/** The port of KMIP: the examples name none. */
const KMIP_PORT = 5696;
/** The port of the registry that the examples name. */
const REGISTRY_PORT = 5000;

/** Returns a configuration of who the client of a server is. */
function configurationFor({ client }: PyKmip): string {
  return JSON.stringify({ keyCaFile: client.caFile, keyCert: client.certFile, keyCertKey: client.certKeyFile });
}

/** Starts a process of the examples, by a pid that nothing else in the namespace or in another one will have. */
function launch(namespace: Namespace): number {
  namespace.run('sh', '-c', 'echo 5000 > /proc/sys/kernel/ns_last_pid');
  return namespace.launch('env', 'A=secret', 'sleep', '1000');
}

describeIf(['root', 'fuse', 'namespaces', 'criu', 'crit', 'tar', 'zstd'], 'the examples of --help', () => {
  let template: string;

  /** Runs a line of bash inside, in a folder, with a home, an /dev/shm and a `ckptfs` of its own. */
  function type(namespace: Namespace, folder: string, line: string): CommandResult {
    const environment = `export HOME='${folder}' XDG_CONFIG_HOME='${folder}/config' PATH='${dirname(ckptfsProgram)}':$PATH`;
    return namespace.run('bash', '-c', `set -o pipefail; cd '${folder}'; ${environment}\n${line}`);
  }

  async function inNamespace(body: (namespace: Namespace) => void): Promise<void> {
    const namespace = await openNamespace({ hideFuse: true });
    try {
      expect(namespace.run('mount', '-t', 'tmpfs', 'tmpfs', '/dev/shm').status).toBe(0);
      body(namespace);
    } finally {
      await namespace.close();
    }
  }

  const made = (name: string): string => realpathSync(mkdtempSync(join(tmpdir(), `ckptfs-${name}-`)));

  beforeAll(async () => {
    template = made('template');
    const { encrypted, key } = criuCase('loop');
    cpSync(encrypted, join(template, 'dump'), { recursive: true });
    cpSync(key, join(template, 'dump.pem'));
    for (const name of ['ckpt', 'mnt', 'config/ckptfs/keys']) mkdirSync(join(template, name), { recursive: true });
    await inNamespace((namespace) => {
      const pid = launch(namespace);
      const certificate =
        'openssl req -x509 -newkey rsa:2048 -nodes -keyout host.pem -out host.crt -subj /CN=host 2> /dev/null';
      const line = `criu dump -t ${pid} -D ckpt -W . && ${certificate} && ckptfs keygen -o k && ckptfs encrypt ckpt enc -k k --json`;
      const { status, stdout, stderr } = type(namespace, template, line);
      expect(status, stderr).toBe(0);
      const { imageId } = JSON.parse(stdout) as { imageId: string };
      cpSync(join(template, 'k'), join(template, `config/ckptfs/keys/${imageId}.key`));
    });
  });

  afterAll(() => rmSync(template, { recursive: true }));

  describe.each(commandNames)('%s', (command) => {
    const examples = examplesOf(command);
    const asksRegistry = (example: string): boolean => example.includes('oci://') || command === 'profile';
    let kms: PyKmip | undefined;
    let registry: Registry | undefined;

    beforeAll(async () => {
      if (command === 'kms' && have('pykmip')) kms = await PyKmip.start(KMIP_PORT);
      if (examples.some(asksRegistry) && have('dockerRegistry'))
        registry = await Registry.start({ port: REGISTRY_PORT });
    });
    afterAll(async () => {
      await kms?.remove();
      await registry?.remove();
    });

    systemTest([], 'is shown in whole lines', () => {
      expect(examples).not.toEqual([]);
      for (const line of examples) expect(line).toMatch(/^ {2}ckptfs /);
    });

    for (const example of examples) {
      const features: Feature[] = command === 'kms' ? ['pykmip'] : asksRegistry(example) ? ['dockerRegistry'] : [];
      const first = asksRegistry(example) && command !== 'push' ? `${pushed} && ` : '';
      systemTest(features, `${example.trim()}`, async () => {
        const folder = made('example');
        try {
          cpSync(template, folder, { recursive: true, preserveTimestamps: true });
          if (kms !== undefined) writeFileSync(join(folder, 'config/ckptfs/config.json'), configurationFor(kms));
          await inNamespace((namespace) => {
            // criu restores only where the pid of the process is free.
            if (example.includes('$(cat pid)')) writeFileSync(join(folder, 'pid'), String(launch(namespace)));
            const before = type(namespace, folder, `${first}${preparations[command] ?? 'true'}`);
            expect(before.status, before.stderr).toBe(0);
            const { status, stderr } = type(namespace, folder, example);
            expect(status, stderr).toBe(0);
          });
        } finally {
          rmSync(folder, { recursive: true });
        }
      });
    }
  });
});
