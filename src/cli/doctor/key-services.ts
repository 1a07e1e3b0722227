import { MalformedError } from '../../base/bytes.ts';
import { CONFIGURATION_VARIABLE, readProviders } from '../../keys/keyprovider/configuration.ts';
import { PROXIES } from '../../keys/pkcs11/module.ts';
import { DEFAULT_TCTI, parseTcti, TCTI_VARIABLE } from '../../keys/tpm2/transport.ts';
import { type Finding, ok, warn } from './check.ts';
import type { Host } from './host.ts';

/** Examines which key services of this host itself can be used. None is asked for a key, and a mount needs none. */
export function keyServiceFindings(host: Host, environment: NodeJS.ProcessEnv = process.env): Finding[] {
  return [tpm(host, environment), keyProviders(environment), tokens(host), keyring(host)];
}

function tpm(host: Host, environment: NodeJS.ProcessEnv): Finding {
  const subject = 'TPM';
  const tcti = environment[TCTI_VARIABLE] || DEFAULT_TCTI;
  const place = parseTcti(tcti);
  if (place === undefined)
    return warn(subject, `${TCTI_VARIABLE} is ${tcti}`, 'device:PATH, swtpm:path=PATH or swtpm:host=HOST,port=PORT');
  if (!('device' in place)) return ok(subject, `a software TPM, ${tcti}`);
  if (!host.exists(place.device))
    return ok(subject, `none: there is no ${place.device}, so tpm2: works only elsewhere`);
  if (host.mayReadAndWrite(place.device)) return ok(subject, place.device);
  return warn(subject, `${place.device} may not be used by this user`, 'be in the group of the device, often tss');
}

function keyProviders(environment: NodeJS.ProcessEnv): Finding {
  const subject = 'key providers';
  const path = environment[CONFIGURATION_VARIABLE];
  if (path === undefined || path === '') return ok(subject, `none: ${CONFIGURATION_VARIABLE} is not set`);
  try {
    return ok(subject, `${[...readProviders(path).keys()].join(', ') || 'none'} (${path})`);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return warn(subject, `${path}: ${error.message}`, 'mend that file; keyprovider: is refused until then');
  }
}

/** Where p11-kit has what it is configured with (pkcs11.conf(5)). */
const MODULES = ['/etc/pkcs11/modules', '/usr/share/p11-kit/modules'];

function tokens(host: Host): Finding {
  const subject = 'tokens of PKCS #11';
  if (!PROXIES.some((path) => host.exists(path)))
    return ok(subject, 'p11-kit is not installed, so pkcs11: needs the path of a module, module-path=PATH');
  const files = MODULES.flatMap((directory) => host.names(directory)).filter((name) => name.endsWith('.module'));
  const names = [...new Set(files)].map((name) => name.replace(/\.module$/, '')).sort();
  return ok(subject, `p11-kit gives ${names.length === 0 ? 'none' : names.join(', ')}`);
}

function keyring(host: Host): Finding {
  const subject = 'keyrings of the kernel';
  if (host.hasKeyrings()) return ok(subject, 'can be used');
  return warn(
    subject,
    'this process may not use them: "key cache" fails, and mounts share no keys of a lease',
    'allow add_key(2) and keyctl(2) in the seccomp filter of the container',
  );
}
