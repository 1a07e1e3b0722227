import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, toPlainError } from '../../base/errors.ts';
import { secondsSinceBoot } from '../../base/linux/boot-clock.ts';
import { withoutInheritance } from '../../base/linux/descriptors.ts';
import { programUrl } from '../../base/program-url.ts';
import { countsFor, isLeaseAnswer, type LeaseAnswer } from '../leases/answers.ts';
import type { CheckRequest } from '../leases/check-request.ts';
import { readHostAnswers } from '../leases/host-answers.ts';
import { sharedName } from '../leases/terms.ts';

const PROGRAM = fileURLToPath(programUrl('key-check'));
/** What the program takes besides the source of the key: its start, on a busy host, and its turn to ask. */
const MARGIN_MILLISECONDS = 30_000;
const KILL_MILLISECONDS = 3_000;
const MAX_ANSWER = 16_384;

/**
 * Finds out whether a key may still be used. What other processes of this host have heard counts; otherwise a child
 * opens the image anew, by the same keys. It ends with this process. Never throws.
 * @param fd the directory of the image
 */
export async function checkKey(request: CheckRequest, fd: number): Promise<LeaseAnswer> {
  const { check, imageId, mark, after } = request;
  if (check.shared) {
    const last = readHostAnswers(sharedName(imageId, check))?.last;
    if (last !== undefined && countsFor(last, after, mark)) return { ...last, isShared: true };
  }
  const at = secondsSinceBoot();
  try {
    return await answerOf(start(request, fd), check.timeoutSeconds);
  } catch (error) {
    return { verdict: 'unreachable', at, error: toPlainError(error) };
  }
}

function start(request: CheckRequest, fd: number): ChildProcess {
  // The environment is this process's, which the command that mounted has chosen, and nothing that may be a secret.
  const env = { ...process.env, ...request.check.environment };
  const child = withoutInheritance(() =>
    spawn(process.execPath, [PROGRAM], { cwd: '/', env, stdio: ['pipe', 'pipe', 'inherit', fd] }),
  );
  child.stdin?.on('error', () => undefined);
  // It stays open: the child ends when this process does.
  child.stdin?.write(`${JSON.stringify(request)}\n`);
  return child;
}

async function answerOf(child: ChildProcess, timeoutSeconds: number): Promise<LeaseAnswer> {
  // A process that has no descriptors left for pipes gets a child without them, which then fails.
  const text = child.stdout ? textOf(child.stdout as Socket) : '';
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject).once('close', () => resolve());
  });
  try {
    const deadline = Deadline.after(2 * timeoutSeconds * 1000 + MARGIN_MILLISECONDS);
    if ((await deadline.wait(ended.then(() => true))) !== true) throw failed('timeout', 'did not end in time');
  } finally {
    end(child);
  }
  const answer = parsed(await text);
  if (answer === undefined) throw failed('garbage', 'ended without an answer');
  return answer;
}

/** Ends the child, and what it has started, if they have not. */
function end(child: ChildProcess): void {
  child.stdin?.destroy();
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), KILL_MILLISECONDS);
  child.once('exit', () => clearTimeout(timer));
}

async function textOf(stream: Socket): Promise<string> {
  let text = '';
  stream.setEncoding('utf8').on('error', () => undefined);
  stream.on('data', (part: string) => {
    if (text.length <= MAX_ANSWER) text += part;
  });
  await new Promise((resolve) => stream.once('close', resolve));
  return text;
}

function parsed(text: string): LeaseAnswer | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isLeaseAnswer(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function failed(reason: 'timeout' | 'garbage', what: string): CkptfsError {
  return new CkptfsError('key-unavailable', `the process that asks whether the key may be used ${what}`, {
    data: { reason },
  });
}
