import { closeSync, openSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import { TerminalEcho } from '../../base/linux/terminal.ts';
import { printable } from '../../base/printable.ts';
import { wipe } from '../../base/wipe.ts';
import { offHeap } from '../../crypto/off-heap.ts';
import type { Secret } from '../../crypto/secret.ts';
import { primitives } from '../../crypto/select.ts';
import { interruptible } from './interruptible.ts';
import { MAX_PASSPHRASE_SIZE, parsePassphrase } from './passphrase-text.ts';
import { closed, Intake } from './stream.ts';

const TERMINAL = '/dev/tty';
const LINE_FEED = 0x0a;
const SOURCE = 'the passphrase';

/** The last question, after which the next one is asked: several slots may be made at once. Undefined: none may be. */
let lastAnswer: Promise<unknown> | undefined = Promise.resolve();

/**
 * Asks for a passphrase on the terminal.
 * @param question is shown as one line, before a colon
 * @throws CkptfsError `bad-key-file`, `interrupted`
 */
export function askForPassphrase(question = 'Passphrase'): Promise<Secret> {
  return inTurn(() => ask(printable(question)));
}

/** Asks twice for a new passphrase. @throws CkptfsError `bad-key-file` when the answers differ; `interrupted` */
export function askForNewPassphrase(): Promise<Secret> {
  return inTurn(askTwice);
}

/** Makes each question from now on an error: what is asked for must be had again without a user. */
export function refusePrompts(): void {
  lastAnswer = undefined;
}

function inTurn<T>(question: () => Promise<T>): Promise<T> {
  if (lastAnswer === undefined) return Promise.reject(unasked());
  const answer = lastAnswer.then(question);
  lastAnswer = answer.catch(() => undefined);
  return answer;
}

function unasked(): CkptfsError {
  return new CkptfsError('bad-key-file', 'a key that has a lease must be had without asking a user for a passphrase', {
    data: { reason: 'no-terminal' },
  });
}

function ask(question: string): Promise<Secret> {
  return interruptible(async (interrupted) => {
    const line = offHeap(MAX_PASSPHRASE_SIZE + 2);
    const terminal = openTerminal();
    try {
      const length = await hiddenLine(terminal, `${question}: `, line, interrupted);
      return parsePassphrase(line.subarray(0, length), SOURCE);
    } finally {
      closeSync(terminal);
      wipe(line);
    }
  });
}

async function askTwice(): Promise<Secret> {
  const first = await ask('New passphrase');
  let second: Secret | undefined;
  try {
    second = await ask('The same again');
    const isSame = first.length === second.length && primitives().isEqual(first.bytes, second.bytes);
    if (isSame) return first;
    throw new CkptfsError('bad-key-file', 'the two passphrases differ', { data: { reason: 'mismatch' } });
  } catch (error) {
    first.wipe();
    throw error;
  } finally {
    second?.wipe();
  }
}

/** Returns a descriptor of the terminal that this process belongs to, wherever its input and output go. */
function openTerminal(): number {
  try {
    return openSync(TERMINAL, 'r+');
  } catch (error) {
    const message = `a passphrase is needed, and there is no terminal to ask for it (${systemErrorName(error)})`;
    throw new CkptfsError('bad-key-file', message, { data: { reason: 'no-terminal' }, cause: error });
  }
}

/**
 * Reads a line that the terminal does not show, without buffers of Node. A stop by Ctrl-Z shows what is typed until
 * this process goes on.
 */
async function hiddenLine(terminal: number, question: string, into: Buffer, interrupted: AbortSignal): Promise<number> {
  const echo = new TerminalEcho(terminal);
  const show = (): void => {
    echo.off();
    writeSync(terminal, question);
  };
  const onStop = (): void => {
    echo.restore();
    process.off('SIGTSTP', onStop);
    process.kill(process.pid, 'SIGTSTP');
  };
  const onContinue = (): void => {
    process.off('SIGTSTP', onStop).on('SIGTSTP', onStop);
    show();
  };
  process.on('SIGTSTP', onStop).on('SIGCONT', onContinue);
  try {
    show();
    return await lineOf(into, interrupted);
  } finally {
    process.off('SIGTSTP', onStop).off('SIGCONT', onContinue);
    echo.restore();
    // The line feed that ended the line was not shown either.
    writeSync(terminal, '\n');
  }
}

/** Reads until a line feed, the end of the input, or more than fits. */
async function lineOf(into: Buffer, interrupted: AbortSignal): Promise<number> {
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const intake = new Intake(into, () => {
    if (intake.isFull || into.subarray(0, intake.length).includes(LINE_FEED)) finish();
  });
  const stream = new ReadStream(openSync(TERMINAL, 'r'), intake.options);
  stream.once('end', finish).once('error', finish).resume();
  interrupted.addEventListener('abort', finish);
  try {
    if (!interrupted.aborted) await finished;
    return intake.length;
  } finally {
    interrupted.removeEventListener('abort', finish);
    await closed(stream);
  }
}
