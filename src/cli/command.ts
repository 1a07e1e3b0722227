import type { ArgumentsCamelCase, Argv } from 'yargs';
import { absolutePath } from '../base/current-directory.ts';
import { reach, reachWhole } from '../fuse/mount/reachable.ts';
import { isRemoteAddress } from '../remote/shared/remote-address.ts';
import type { DaemonProcess } from '../serve/launch/daemon-process.ts';
import { CommandLineError } from './command-line-error.ts';
import { generalOptions, longOptions, optionNames } from './options/option-names.ts';

/** The names, in all commands, of the arguments that are paths on this host. */
const PATH_NAMES = [
  'ENC',
  'SRC',
  'DST',
  'DIR',
  'into',
  'keyFile',
  'passphraseFile',
  'privateKey',
  'keyDir',
  'keyCaFile',
  'remoteCaFile',
  'remoteCache',
  'keyCert',
  'keyCertKey',
  'caFile',
  'crlFile',
  'sign',
  'signCert',
  'signPassphraseFile',
  'epochFile',
  'logFile',
  'auditLog',
  'policy',
  'output',
  'out',
] as const;

/** Options that every command has. */
export interface CommonOptions {
  readonly quiet: boolean;
  readonly debug: boolean;
}

/** What a command is given beside its arguments. */
export interface CommandContext {
  /** A daemon that was started before the command line was parsed. A command that mounts may tell it what to serve. */
  readonly earlyDaemon?: DaemonProcess | undefined;
}

/** One command: which arguments it takes and what it does with them. */
interface CommandDefinition<T> {
  /** Command lines with what each does, for --help. */
  readonly examples: readonly (readonly [command: string, does: string])[];
  readonly options: (yargs: Argv<CommonOptions>) => Argv<T>;
  /** Does the work and prints. Returns the exit code; nothing means 0. */
  readonly run: (args: ArgumentsCamelCase<T>, context: CommandContext) => Promise<number | undefined> | Promise<void>;
}

/** A command as the parser knows it, whatever its arguments are. */
export interface Command {
  /**
   * Adds the command to a parser.
   * @param text its name and positional arguments as yargs writes them, `ls <ENC> [PATH]`, and a summary
   * @param finished is called with the exit code when the command has run
   */
  readonly register: (
    yargs: Argv<CommonOptions>,
    text: { readonly usage: string; readonly summary: string },
    context: CommandContext,
    finished: (code: number) => void,
  ) => void;
}

export function defineCommand<T>(definition: CommandDefinition<T>): Command {
  const { examples, options, run } = definition;
  return {
    register(yargs, { usage, summary }, context, finished) {
      yargs.command<T>(
        usage,
        summary,
        (parser) => {
          const own = options(parser as Argv<CommonOptions>);
          // yargs shows groups in the order of these calls: this one before the options that every command has.
          own.group(ownOptions(parser), 'Options:');
          // A comment on a line of its own leaves the whole width to the command, which can be copied as one line.
          for (const [command, does] of examples) own.example(`# ${does}`, '').example(command, '');
          return own;
        },
        async (args) => {
          await prepareForCommand(args);
          finished((await run(args, context)) ?? 0);
        },
      );
    },
  };
}

/**
 * Checks arguments that every command has to check before it does anything.
 * @throws CkptfsError `bad-argument`, `no-answer`
 */
export async function prepareForCommand(args: Readonly<Record<string, unknown>>): Promise<void> {
  refuseEmptyValues(args);
  refuseLostPaths(args);
  leaveSignalsToKernel();
  await checkPaths(args);
}

function ownOptions(parser: object): string[] {
  return longOptions(optionNames(parser)).filter((name) => !generalOptions.includes(name));
}

/** Refuses empty values: an empty path would mean the current directory, and any other empty value no value. */
function refuseEmptyValues(args: Readonly<Record<string, unknown>>): void {
  const isEmpty = (value: unknown): boolean => value === '' || (Array.isArray(value) && value.includes(''));
  const empty = Object.keys(args).filter((name) => name !== '--' && name !== '_' && isEmpty(args[name]));
  // An option has several names here; messages use the one with hyphens.
  const name =
    empty.find((one) => /^[A-Z]+$/.test(one)) ??
    empty.find((one) => one.includes('-')) ??
    empty.find((one) => one.length > 1) ??
    empty[0];
  if (name === undefined) return;
  const isPath = /^[A-Z]/.test(name);
  const message = isPath ? `the argument ${name} is empty` : `the value of --${name} is empty`;
  throw new CommandLineError(message, { kind: 'empty-value', isPath });
}

/**
 * Refuses relative paths where the current directory is gone. It does so first, so that there is one message, whatever
 * would have used the path.
 */
function refuseLostPaths(args: Readonly<Record<string, unknown>>): void {
  for (const path of ['MNT', ...PATH_NAMES].flatMap((name) => args[name] ?? [])) {
    if (typeof path === 'string' && path !== '-' && !isRemoteAddress(path)) absolutePath(path);
  }
}

/**
 * Checks that the paths that a command is given can be looked at, before the command does so in a way that nothing can
 * interrupt.
 * @throws CkptfsError `no-answer`
 */
export async function checkPaths(args: Readonly<Record<string, unknown>>): Promise<void> {
  for (const path of PATH_NAMES.flatMap((name) => args[name])) {
    if (typeof path !== 'string' || path === '' || path === '-' || isRemoteAddress(path)) continue;
    await reachWhole(path);
  }
  // What is mounted there will be unmounted, or is in the way. It need not answer.
  if (typeof args['MNT'] === 'string') await reach(args['MNT']);
}

/**
 * Lets the kernel end this process on SIGINT and SIGTERM. Node handles both at first, and a signal that is handled does
 * not interrupt a thread that waits for a file system: the handler runs when the wait is over.
 */
function leaveSignalsToKernel(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const listener = (): void => undefined;
    // When the last listener is removed, Node restores the default action of the signal.
    process.on(signal, listener).off(signal, listener);
  }
}
