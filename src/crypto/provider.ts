import { CkptfsError } from '../base/errors.ts';
import { memoryAt, Region } from '../base/linux/native.ts';
import { bindDeclared, type DeclaredFunctions } from './declared-functions.ts';

/** The part of OpenSSL that computes AES-256-GCM in this process, and so what else of suite `fips` it can. */
export interface CryptoProvider {
  /** `default`, or `fips` for a module of FIPS algorithms. */
  readonly name: string;
  /** Names the release of the module: `3.5.4`. Undefined when it does not say. */
  readonly version: string | undefined;
  /** Whether every algorithm is asked for with the property `fips=yes`. */
  readonly isFips: boolean;
}

const NULL = 0;
const P = 'uintptr_t';
/** openssl/core.h: OSSL_PARAM_UTF8_PTR, and the size of an OSSL_PARAM. */
const TEXT_POINTER = 6;
const PARAMETER_SIZE = 40;
const MAX_TEXT = 64;

/** openssl/evp.h, provider.h and crypto.h (3.0). */
const declarations = {
  cipherFetch: ['EVP_CIPHER_fetch', P, [P, 'str', P]],
  cipherFree: ['EVP_CIPHER_free', 'void', [P]],
  cipherProvider: ['EVP_CIPHER_get0_provider', P, [P]],
  providerName: ['OSSL_PROVIDER_get0_name', P, [P]],
  providerParameters: ['OSSL_PROVIDER_get_params', 'int', [P, P]],
  textLength: ['OPENSSL_strnlen', 'size_t', [P, 'size_t']],
} as const;

type ProviderLibrary = DeclaredFunctions<typeof declarations>;

/**
 * Returns what computes in this process. A configuration of OpenSSL decides that when Node starts (security.md).
 * @throws CkptfsError `missing-feature` when OpenSSL cannot be asked
 */
export function cryptoProvider(): CryptoProvider {
  const lib = bindDeclared(declarations, 'its providers');
  const cipher = lib.cipherFetch(NULL, 'AES-256-GCM', NULL);
  if (cipher === NULL) {
    throw new CkptfsError('missing-feature', 'this OpenSSL has no AES-256-GCM', { data: { feature: 'openssl' } });
  }
  try {
    const provider = lib.cipherProvider(cipher);
    const name = textAt(lib, lib.providerName(provider));
    return { name, version: versionOf(lib, provider), isFips: isFipsDemanded() };
  } finally {
    lib.cipherFree(cipher);
  }
}

/** Returns whether OpenSSL uses nothing but algorithms of a FIPS module in this process. */
export function isFipsDemanded(): boolean {
  return process.getBuiltinModule('node:crypto').getFips() === 1;
}

function versionOf(lib: ProviderLibrary, provider: number): string | undefined {
  const name = new Region(Buffer.from('version\0', 'latin1'));
  const found = new Region(8);
  // An OSSL_PARAM, and one of zeros, which ends the list.
  const list = new Region(2 * PARAMETER_SIZE);
  list.view.setBigUint64(0, BigInt(name.address), true);
  list.view.setUint32(8, TEXT_POINTER, true);
  list.view.setBigUint64(16, BigInt(found.address), true);
  list.view.setBigUint64(24, BigInt(found.length), true);
  if (lib.providerParameters(provider, list.address) !== 1) return undefined;
  const address = Number(found.view.getBigUint64(0, true));
  return address === NULL ? undefined : textAt(lib, address);
}

/** Returns a C string of OpenSSL's own, of at most 64 bytes. */
function textAt(lib: ProviderLibrary, address: number): string {
  return Buffer.from(memoryAt(address, lib.textLength(address, MAX_TEXT))).toString('latin1');
}
