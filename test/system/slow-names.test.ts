// Goal: a command whose time is over ends, also while the system still looks up the name of a server.
// Method: a server of names that never answers; glibc asks it again after 30 seconds, if the process is still there.
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { endOf } from './support/children.ts';
import { describeIf } from './support/requirements.ts';

const program = fileURLToPath(new URL('../../bin/ckptfs', import.meta.url));
const NAME_SERVER = '127.0.0.77';

describeIf(['root'], 'a server of names that does not answer', () => {
  test.each(['kmip://kms.example.org/7', 'https://kms.example.org/7'])('does not keep %s waiting', async (key) => {
    const directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-names-'));
    const resolver = join(directory, 'resolv.conf');
    fs.writeFileSync(resolver, `nameserver ${NAME_SERVER}\noptions timeout:30 attempts:5\n`);
    const server = createSocket('udp4').bind(53, NAME_SERVER);
    await once(server, 'listening');
    const asked: Buffer[] = [];
    server.on('message', (question) => asked.push(question));
    fs.mkdirSync(join(directory, 'src'));
    const mounted = `mount --bind ${resolver} /etc/resolv.conf && exec "$@"`;
    const words = ['encrypt', 'src', 'enc', '-r', key, '--key-timeout', '1'];
    const command = spawn('unshare', ['-m', 'sh', '-c', mounted, 'sh', program, ...words], {
      cwd: directory,
      stdio: 'ignore',
    });
    expect(await endOf(command)).toEqual([15, null]);
    server.close();
    fs.rmSync(directory, { recursive: true });
    // For an address of each kind.
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.length).toBeLessThanOrEqual(2);
  });
});
