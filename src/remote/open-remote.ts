import { CkptfsError } from '../base/errors.ts';
import type { HttpClient } from './http/http-client.ts';
import { type OciAddress, parseRemoteAddress, type RemoteAddress, type S3Address } from './shared/remote-address.ts';
import type { ListedRemoteImage, RemoteStore } from './shared/remote-store.ts';

/** How remote stores are asked. */
export interface RemoteOptions {
  /** How long one request may take, 1 to 3600; 60 by default. */
  readonly timeoutSeconds?: number | undefined;
  /** PEM file of the certificates of the authorities to trust, in place of those of the system. */
  readonly caFile?: string | undefined;
  /** Requests at a time. */
  readonly jobs: number;
  readonly signal: AbortSignal;
  /** The URL of the server of S3, AWS unless told. */
  readonly s3Endpoint?: string | undefined;
  readonly s3Region?: string | undefined;
  /** Whether a registry that is not on this host is asked by http. */
  readonly plainHttp?: boolean;
  /** A tag or a digest, in the same repository, of what a pushed image belongs to. */
  readonly subject?: string | undefined;
  readonly onWarning?: (text: string) => void;
  /** Names servers, credentials and proxies: that of this process unless told. */
  readonly environment?: NodeJS.ProcessEnv;
}

const DEFAULT_TIMEOUT_SECONDS = 60;
const MAX_TIMEOUT_SECONDS = 3600;

/**
 * Opens the place of an image in a remote store while something is done with it. Nothing is asked before of a bucket; a
 * registry on this host is asked how it speaks.
 * @param url `s3://BUCKET/PREFIX`, `oci://HOST/REPOSITORY:TAG` or `oci://HOST/REPOSITORY@sha256:DIGEST`
 * @throws CkptfsError `bad-argument`, `bad-key-file`, `store-unavailable`, `interrupted`; what `use` throws
 */
export function withRemote<T>(
  url: string,
  options: RemoteOptions,
  use: (store: RemoteStore) => Promise<T>,
): Promise<T> {
  const address = parseRemoteAddress(url);
  if (address.kind === 'oci' && address.tag === undefined && address.digest === undefined)
    throw new CkptfsError('bad-argument', `${url}: it names no tag: oci://HOST/REPOSITORY:TAG`);
  return withClient(address, options, async (http) =>
    use(address.kind === 's3' ? (await s3Opener(http, options))(address) : await openOci(address, http, options)),
  );
}

/**
 * Lists the images below a place: of a bucket below a prefix, of a repository under its tags.
 * @throws CkptfsError `bad-argument` and others, like {@link withRemote}
 */
export function listRemote(url: string, options: RemoteOptions): Promise<readonly ListedRemoteImage[]> {
  const address = parseRemoteAddress(url);
  return withClient(address, options, async (http) => {
    if (address.kind === 's3') {
      const { listBucket } = await import('./s3/list-bucket.ts');
      return listBucket(address, await s3Opener(http, options));
    }
    const { listRepository } = await import('./oci/list-repository.ts');
    return listRepository(address, await registryClient(address, http, options));
  });
}

async function withClient<T>(
  { kind }: RemoteAddress,
  { timeoutSeconds = DEFAULT_TIMEOUT_SECONDS, environment = process.env, caFile, jobs, signal }: RemoteOptions,
  use: (http: HttpClient) => Promise<T>,
): Promise<T> {
  if (!(timeoutSeconds > 0 && timeoutSeconds <= MAX_TIMEOUT_SECONDS)) {
    throw new CkptfsError(
      'bad-argument',
      `the time for a remote store is more than 0, at most ${MAX_TIMEOUT_SECONDS} seconds`,
    );
  }
  const { HttpClient } = await import('./http/http-client.ts');
  const authorities = caFile ?? (kind === 's3' ? environment['AWS_CA_BUNDLE'] || undefined : undefined);
  const http = new HttpClient({ timeoutSeconds, caFile: authorities, signal, environment, connections: jobs });
  try {
    return await use(http);
  } finally {
    http.close();
  }
}

/** Returns what opens places in buckets, all by the same credentials: roles and programs give them once. */
async function s3Opener(
  http: HttpClient,
  { environment = process.env, timeoutSeconds = DEFAULT_TIMEOUT_SECONDS, s3Endpoint, s3Region }: RemoteOptions,
) {
  const [{ S3Client }, { S3Store }, place, { AwsProfiles }, { awsCredentials }, { remoteUrl }] = await Promise.all([
    import('./s3/s3-client.ts'),
    import('./s3/s3-store.ts'),
    import('./s3/s3-place.ts'),
    import('./credentials/aws-profile.ts'),
    import('./credentials/aws-chain.ts'),
    import('./shared/remote-address.ts'),
  ]);
  const profiles = new AwsProfiles(environment);
  const value = (...names: string[]): string | undefined => names.map((name) => environment[name]).find((text) => text);
  const endpoint = place.s3Endpoint(
    s3Endpoint ?? value('AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL') ?? profiles.chosen.get('endpoint_url'),
    s3Region ?? value('AWS_REGION', 'AWS_DEFAULT_REGION') ?? profiles.chosen.get('region'),
  );
  const credentials = awsCredentials(http, { environment, profiles, region: endpoint.region, timeoutSeconds });
  return (address: S3Address) =>
    new S3Store(new S3Client(http, remoteUrl(address), address, endpoint, credentials), address);
}

async function openOci(address: OciAddress, http: HttpClient, options: RemoteOptions): Promise<RemoteStore> {
  const { OciStore } = await import('./oci/oci-store.ts');
  const { subject, onWarning } = options;
  return new OciStore(await registryClient(address, http, options), address, {
    subject,
    ...(onWarning === undefined ? {} : { onWarning }),
  });
}

async function registryClient(
  address: OciAddress,
  http: HttpClient,
  { environment = process.env, timeoutSeconds = DEFAULT_TIMEOUT_SECONDS, plainHttp = false }: RemoteOptions,
) {
  const [{ openRegistry }, { registryCredentials }] = await Promise.all([
    import('./oci/open-registry.ts'),
    import('./credentials/registry-credentials.ts'),
  ]);
  const credentials = await registryCredentials(address, environment, timeoutSeconds);
  return openRegistry(http, address, credentials, plainHttp);
}
