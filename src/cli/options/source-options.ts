import type { KeyFileWarning } from '../../keys/key-file.ts';
import { parseHeaderField } from '../../keys/sources/https-headers.ts';
import type { SourceOptions } from '../../keys/sources/source.ts';
import type { KeyServerArguments } from './key-options.ts';

/** Returns how sources and services of keys are asked. @throws CkptfsError `bad-argument`, `bad-key-file` */
export function sourceOptionsOf(args: KeyServerArguments, warn: (warning: KeyFileWarning) => void): SourceOptions {
  return {
    timeoutSeconds: args.keyTimeout,
    // At once, so that no command which is run for a key gets their variables.
    headers: args.keyHeader?.map(parseHeaderField),
    caFile: args.keyCaFile,
    certFile: args.keyCert,
    certKeyFile: args.keyCertKey,
    warn,
  };
}
