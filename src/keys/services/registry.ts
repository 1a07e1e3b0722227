import { CkptfsError } from '../../base/errors.ts';
import { isKeyService, schemeOf } from '../sources/schemes.ts';
import type { SourceOptions } from '../sources/source.ts';
import type { OpenService, ServiceProvider } from './service.ts';

/** Every key service. Each is loaded when it is used, so that those that are not cost nothing. */
const services: Readonly<Record<string, () => Promise<{ readonly openService: OpenService }>>> = {
  keyprovider: () => import('./keyprovider.ts'),
  tpm2: () => import('./tpm2.ts'),
  vault: () => import('./vault.ts'),
  pkcs11: () => import('./pkcs11.ts'),
  kmip: () => import('./kmip.ts'),
};

/**
 * Makes a provider of a text such as `kmip://HOST/KEY`. The service is not asked yet.
 * @throws CkptfsError `bad-argument` for a text that names no service, or what its scheme does not allow
 */
export async function openKeyService(text: string, options: SourceOptions): Promise<ServiceProvider> {
  const scheme = schemeOf(text);
  const load = isKeyService(text) ? services[scheme] : undefined;
  if (load === undefined) throw new CkptfsError('bad-argument', 'this names no service of keys');
  const { openService } = await load();
  return openService(text.slice(scheme.length + 1), options);
}
