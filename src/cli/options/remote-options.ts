import type { Argv } from 'yargs';
import type { RemoteOptions } from '../../remote/open-remote.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { countFrom } from './options.ts';

/** Arguments of every command that asks a remote store. */
export interface RemoteArguments {
  readonly jobs: number | undefined;
  readonly s3Endpoint: string | undefined;
  readonly s3Region: string | undefined;
  readonly plainHttp: boolean;
  readonly remoteCaFile: string | undefined;
  readonly remoteTimeout: number | undefined;
}

export const DEFAULT_JOBS = 8;
const MAX_JOBS = 64;
export const MAX_SECONDS = 3600;

export function withRemoteOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('jobs', {
      alias: 'j',
      type: 'string',
      nargs: 1,
      coerce: (text: string) => countFrom('--jobs', text, MAX_JOBS),
      describe: `Requests at a time; ${DEFAULT_JOBS} unless told`,
    })
    .option('s3-endpoint', {
      type: 'string',
      nargs: 1,
      describe: 'Server of S3, as a URL; that of AWS_ENDPOINT_URL_S3, or AWS, unless told',
    })
    .option('s3-region', { type: 'string', nargs: 1, describe: 'Region of the bucket; that of AWS_REGION unless told' })
    .option('plain-http', { type: 'boolean', default: false, describe: 'Ask a registry on another host by http' })
    .option('remote-ca-file', {
      type: 'string',
      nargs: 1,
      describe: 'Certificates of the authorities to trust for the server, as PEM, in place of those of this host',
    })
    .option('remote-timeout', {
      type: 'string',
      nargs: 1,
      coerce: (text: string) => countFrom('--remote-timeout', text, MAX_SECONDS),
      describe: 'Seconds that one request may take with all its repetitions; 60 unless told',
    });
}

export function remoteOptionsOf(args: RemoteArguments, signal: AbortSignal): RemoteOptions {
  const { s3Endpoint, s3Region, plainHttp, remoteCaFile: caFile, remoteTimeout: timeoutSeconds } = args;
  const given = omitUndefined({ s3Endpoint, s3Region, caFile, timeoutSeconds });
  return { ...given, plainHttp, jobs: args.jobs ?? DEFAULT_JOBS, signal };
}
