import { MalformedError } from '../../base/bytes.ts';
import { CONFIGURATION_VARIABLE, readProviders } from '../../keys/keyprovider/configuration.ts';
import { DEFAULT_TCTI, parseTcti, TCTI_VARIABLE } from '../../keys/tpm2/transport.ts';
import { type Finding, ok, warn } from './check.ts';
import type { Host } from './host.ts';

/** Examines which key services of this host itself can be used. None is asked for a key, and a mount needs none. */
export function keyServiceFindings(host: Host, environment: NodeJS.ProcessEnv = process.env): Finding[] {
  return [tpm(host, environment), keyProviders(environment)];
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
