import { ioError, systemErrorName } from '../../base/errors.ts';
import { printableJson } from '../../base/printable.ts';
import { failureJson, failureLine, messageJson, noticeLine, resultJson, warningLine } from './messages.ts';

let isForPrograms = false;

/** Makes each line on standard error an object of JSON from now on, for `--json`. */
export function speakJson(): void {
  isForPrograms = true;
}

/** The reader of the output has gone (`ckptfs ls | head`). This is not reported: there is no reader left. */
export class BrokenPipe extends Error {
  override readonly name = 'BrokenPipe';
}

/** Writes to standard output. `data` may be overwritten when it resolves. @throws BrokenPipe; CkptfsError `io` */
export function print(data: string | Uint8Array): Promise<void> {
  return write(process.stdout, data, 'standard output');
}

/** Prints one object as JSON text, for a program to read. @throws BrokenPipe */
export function printJson(value: unknown): Promise<void> {
  return print(`${resultJson(value)}\n`);
}

/** @throws BrokenPipe */
export function printError(line: string): Promise<void> {
  return write(process.stderr, `${line}\n`, 'standard error');
}

/** Reports a failure, and the exit code that the command ends with. @throws BrokenPipe */
export function printFailure(error: unknown, exitCode: number): Promise<void> {
  return printError(isForPrograms ? failureJson(error, exitCode) : failureLine(error));
}

/**
 * Prints the result of a command that left standard output to another program, as a line of JSON on standard error.
 * @throws BrokenPipe
 */
export function printResult(result: unknown): Promise<void> {
  return printError(printableJson(JSON.stringify({ result })));
}

/** Prints a notice of a command that left standard output to another program. @throws BrokenPipe */
export function printNotice(text: string): Promise<void> {
  return printError(isForPrograms ? messageJson('notice', text) : noticeLine(text));
}

export function warn(text: string): Promise<void> {
  return printError(isForPrograms ? messageJson('warning', text) : warningLine(text));
}

function write(stream: NodeJS.WriteStream, data: string | Uint8Array, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(data, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(systemErrorName(error) === 'EPIPE' ? new BrokenPipe() : ioError('write to', name, error));
    });
  });
}

/** Leaves failed writes to callers: otherwise the process ends with a stack trace before the caller learns of one. */
export function leaveWriteErrorsToCallers(): void {
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
}
