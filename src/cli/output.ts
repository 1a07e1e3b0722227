import { ioError, systemErrorName } from '../base/errors.ts';
import { printableJson } from '../base/printable.ts';
import { failureLine, noticeLine, warningLine } from './messages.ts';

/** The reader of our output has gone (`ckptfs ls | head`): nothing to say, nobody to say it to. */
export class BrokenPipe extends Error {
  override readonly name = 'BrokenPipe';
}

/** Writes to stdout and returns when it is written: what was given may be overwritten then. @throws BrokenPipe; CkptfsError `io` */
export function print(data: string | Uint8Array): Promise<void> {
  return write(process.stdout, data, 'standard output');
}

/** Prints one object as JSON text, for a program to read. @throws BrokenPipe */
export function printJson(value: unknown): Promise<void> {
  return print(`${printableJson(JSON.stringify(value, null, 2))}\n`);
}

/** @throws BrokenPipe */
export function printError(line: string): Promise<void> {
  return write(process.stderr, `${line}\n`, 'standard error');
}

/** A failure beside what a command ends with. @throws BrokenPipe */
export function printFailure(error: unknown): Promise<void> {
  return printError(failureLine(error));
}

/** Something to know, of a command whose standard output is not ours. @throws BrokenPipe */
export function printNotice(text: string): Promise<void> {
  return printError(noticeLine(text));
}

export function warn(text: string): Promise<void> {
  return printError(warningLine(text));
}

function write(stream: NodeJS.WriteStream, data: string | Uint8Array, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(data, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(systemErrorName(error) === 'EPIPE' ? new BrokenPipe() : ioError('write to', name, error));
    });
  });
}

/** Without this, a failed write ends the process with a stack trace before its own caller hears of it. */
export function leaveWriteErrorsToCallers(): void {
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
}
