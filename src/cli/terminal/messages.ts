import { CkptfsError, systemErrorName, toPlainError } from '../../base/errors.ts';
import { printable, printableJson } from '../../base/printable.ts';
import { exitCodes } from '../exit-codes.ts';
import { hintFor } from '../hints.ts';
import { omitUndefined } from '../omit-undefined.ts';

/** Returns one line for a person: what is wrong with which file, and what to do. */
export function failureLine(error: unknown): string {
  if (!(error instanceof CkptfsError)) {
    const text = error instanceof Error ? error.message : String(error);
    return `ckptfs: internal fault: ${sentence(printable(text))} Please report it with what --debug prints.`;
  }
  const message = sentence(printable(error.message));
  const hint = hintFor(error);
  return `ckptfs: ${hint === undefined ? message : `${message} ${sentence(printable(hint))}`}`;
}

/** Returns one line of JSON for a program: what {@link failureLine} says, in members. */
export function failureJson(error: unknown, exitCode: number): string {
  const { code, message, path } = toPlainError(error);
  const advice = error instanceof CkptfsError ? hintFor(error) : undefined;
  return printableJson(JSON.stringify({ error: { code, exitCode, message, ...omitUndefined({ advice, path }) } }));
}

/** Returns one line of JSON for a program: the text of {@link noticeLine} or {@link warningLine}. */
export function messageJson(kind: 'notice' | 'warning', message: string): string {
  return printableJson(JSON.stringify({ [kind]: { message } }));
}

/** Returns the result of a command as JSON text, for a program to read. */
export function resultJson(value: unknown): string {
  return printableJson(JSON.stringify(value, null, 2));
}

export function noticeLine(text: string): string {
  return `ckptfs: ${printable(text)}`;
}

export function warningLine(text: string): string {
  return `ckptfs: warning: ${printable(text)}`;
}

/** Returns the exit number for anything thrown. */
export function exitCodeOf(error: unknown): number {
  return exitCodes[error instanceof CkptfsError ? error.code : 'internal'];
}

/** Returns everything that is known about an error, for `--debug`. */
export function debugText(error: unknown): string {
  const lines: string[] = [];
  for (let at: unknown = error; at !== undefined; at = at instanceof Error ? at.cause : undefined) {
    const code = at instanceof CkptfsError ? at.code : systemErrorName(at);
    const text = at instanceof Error ? (at.stack ?? at.message) : String(at);
    lines.push(`${lines.length === 0 ? '' : 'caused by: '}${code === undefined ? '' : `[${code}] `}${text}`);
  }
  return lines
    .join('\n')
    .split('\n')
    .map((line) => printable(line))
    .join('\n');
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
