import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const HEADER_SIZE = 10;

/** A software TPM (swtpm) of its own, with the state of a TPM that is new. */
export class SoftwareTpm {
  readonly #directory: string;
  readonly #child: ChildProcess;

  private constructor(directory: string, child: ChildProcess) {
    this.#directory = directory;
    this.#child = child;
  }

  static async start(): Promise<SoftwareTpm> {
    const directory = mkdtempSync(join(tmpdir(), 'ckptfs-tpm-'));
    const [server, ctrl] = ['tpm', 'ctrl'].map((name) => `type=unixio,path=${join(directory, name)}`);
    const words = ['socket', '--tpm2', '--tpmstate', `dir=${directory}`, '--flags', 'not-need-init,startup-clear'];
    const child = spawn('swtpm', [...words, '--server', String(server), '--ctrl', String(ctrl)], { stdio: 'ignore' });
    const tpm = new SoftwareTpm(directory, child);
    while (!existsSync(join(directory, 'tpm'))) {
      if (child.exitCode !== null) throw new Error(`swtpm ended with ${child.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return tpm;
  }

  get tcti(): string {
    return `swtpm:path=${join(this.#directory, 'tpm')}`;
  }

  /** Sends a command. Returns what the TPM answers. */
  async send(hexadecimal: string): Promise<Buffer> {
    const socket = createConnection(join(this.#directory, 'tpm'));
    await once(socket, 'connect');
    socket.write(Buffer.from(hexadecimal, 'hex'));
    let answer = Buffer.alloc(0);
    while (answer.length < HEADER_SIZE || answer.length < answer.readUInt32BE(2))
      answer = Buffer.concat([answer, (await once(socket, 'data'))[0] as Buffer]);
    socket.destroy();
    await once(socket, 'close');
    return answer;
  }

  /** Extends a register of the bank sha256, as booting something else would. */
  async extend(register: number): Promise<void> {
    const handle = register.toString(16).padStart(8, '0');
    const answer = await this.send(
      `8002 00000041 00000182 ${handle} 00000009 40000009 0000 00 0000 00000001 000b ${'5e'.repeat(32)}`.replaceAll(
        ' ',
        '',
      ),
    );
    if (answer.readUInt32BE(6) !== 0) throw new Error(`TPM2_PCR_Extend: ${answer.toString('hex')}`);
  }

  /** Returns how many objects and sessions are loaded. */
  async loaded(): Promise<number> {
    let count = 0;
    for (const first of ['80000000', '02000000', '03000000']) {
      const answer = await this.send(`8001000000160000017a00000001${first}00000040`);
      count += answer.readUInt32BE(HEADER_SIZE + 5);
    }
    return count;
  }

  /** Returns how many wrong authorization values the TPM has counted. */
  async wrongTries(): Promise<number> {
    const answer = await this.send('8001000000160000017a000000060000020e00000001');
    return answer.readUInt32BE(HEADER_SIZE + 5 + 4 + 4);
  }

  /** Ends the TPM for a while, or goes on. */
  pause(isPaused: boolean): void {
    this.#child.kill(isPaused ? 'SIGSTOP' : 'SIGCONT');
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'exit');
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
