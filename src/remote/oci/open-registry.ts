import { CkptfsError } from '../../base/errors.ts';
import type { RegistryCredentials } from '../credentials/registry-credentials.ts';
import type { HttpClient } from '../http/http-client.ts';
import { isLoopback } from '../http/reachable-addresses.ts';
import { type OciAddress, remoteUrl } from '../shared/remote-address.ts';
import { Authorization } from './authorization.ts';
import { RegistryClient } from './registry-client.ts';

/** Where the registry of Docker is asked. */
const DOCKER_HUB = { name: 'docker.io', server: 'registry-1.docker.io' };

/**
 * Makes the client of a repository. A registry on this host is asked by https if it speaks that, and by http otherwise,
 * as other programs do.
 * @throws CkptfsError `store-unavailable`
 */
export async function openRegistry(
  http: HttpClient,
  address: OciAddress,
  credentials: RegistryCredentials | undefined,
  plainHttp: boolean,
): Promise<RegistryClient> {
  const { host, repository } = address;
  const location = remoteUrl(address);
  const server = host === DOCKER_HUB.name ? DOCKER_HUB.server : host;
  const secure = new URL(`https://${server}/`);
  const isPlain = plainHttp || (isLoopback(secure.hostname) && !(await speaksTls(http, location, secure)));
  const base = new URL(`${isPlain ? 'http' : 'https'}://${server}/v2/${repository}/`);
  const scope = `repository:${repository}:pull,push,delete`;
  return new RegistryClient(http, location, base, new Authorization(http, location, base, credentials, scope));
}

async function speaksTls(http: HttpClient, location: string, origin: URL): Promise<boolean> {
  try {
    const request = { method: 'GET', url: new URL('/v2/', origin) } as const;
    return await http.persist(location, 0, (signal) => http.exchange(location, request, signal, async () => true));
  } catch (error) {
    if (error instanceof CkptfsError && error.code === 'store-unavailable' && error.data?.reason === 'garbage')
      return false;
    throw error;
  }
}
