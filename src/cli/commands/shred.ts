import type { Argv } from 'yargs';
import { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { forbidDumps } from '../../crypto/hardening.ts';
import { openKeyService } from '../../keys/services/registry.ts';
import type { ServiceProvider } from '../../keys/services/service.ts';
import { isKeyService } from '../../keys/sources/schemes.ts';
import type { ListedSlot } from '../../library/key-slots.ts';
import { type ShreddedImage, shredImage } from '../../library/shred.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { mayHavePolicy } from '../config/places.ts';
import { keyFileWarning } from '../hints.ts';
import { ShredAudit } from '../options/audit.ts';
import { withConfiguredServers } from '../options/configured-keys.ts';
import { withEnc, withImageId } from '../options/image-options.ts';
import { type KeyServerArguments, withAuditLogOption, withKeyServerOptions } from '../options/key-options.ts';
import { withJson } from '../options/options.ts';
import { sourceOptionsOf } from '../options/source-options.ts';
import { print, printJson, warn } from '../terminal/output.ts';
import { countOf } from '../terminal/quantities.ts';

export const command = defineCommand({
  examples: [['$0 shred enc --image-id $($0 info enc | grep -Eo "[0-9a-f]{32}")', 'Its id says that it is this image']],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(withAuditLogOption(withKeyServerOptions(withImageId(withEnc(yargs))))).option('destroy-key', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'Key of a service to destroy, as for --key; every other image that was made for it is lost as well',
    }),
  async run(args) {
    const { ENC, imageId, json, quiet } = args;
    if (imageId === undefined) {
      throw new CkptfsError('bad-argument', 'shred: the image is to be named by its id as well: --image-id', {
        data: { reason: 'image-id' },
      });
    }
    const warnings: string[] = [];
    const { destroyKey = [] } = args;
    await checkByPolicies(destroyKey);
    const servers = destroyKey.length === 0 ? args : await withConfiguredServers(args);
    const services = await servicesOf(destroyKey, servers, warnings);
    const { dropSharedKeys: dropShared } = await import('../../serve/leases/shared-key.ts');
    const audit = new ShredAudit(args, ENC, imageId);
    try {
      const shredded = await audited(audit, () =>
        shredImage(ENC, { imageId, destroyKeys: services, dropShared, onDestroyed: audit.onDestroyed }),
      );
      for (const warning of warnings) if (!quiet) await warn(warning);
      if (json) await printJson({ ...shredded, keyFile: shredded.keyFile ?? null });
      else if (!quiet) await print(report(shredded));
    } finally {
      audit.close();
      for (const service of services) service.wipe();
    }
  },
});

/** Refuses services that the policy of this host does not allow. @throws CkptfsError `forbidden-by-policy` */
async function checkByPolicies(destroyKey: readonly string[]): Promise<void> {
  if (destroyKey.length === 0 || !mayHavePolicy()) return;
  const { Policies } = await import('../config/enforcement.ts');
  Policies.read().checkKeys({ key: destroyKey });
}

async function audited(audit: ShredAudit, work: () => Promise<ShreddedImage>): Promise<ShreddedImage> {
  const shredded = await work().catch((error: unknown) => {
    audit.end(error);
    throw error;
  });
  audit.end();
  return shredded;
}

async function servicesOf(
  texts: readonly string[],
  args: KeyServerArguments,
  warnings: string[],
): Promise<readonly ServiceProvider[]> {
  const options = sourceOptionsOf(args, (warning) => warnings.push(keyFileWarning(warning)));
  const services: ServiceProvider[] = [];
  if (texts.length > 0 && !forbidDumps()) {
    warnings.push('keys may get into a core file: PR_SET_DUMPABLE was refused');
  }
  for (const text of texts) {
    if (!isKeyService(text)) throw new CkptfsError('bad-argument', '--destroy-key: it names no service of keys');
    services.push(await openKeyService(text, options));
  }
  return services;
}

function report({ imageId, slots, destroyedKeys, keyFile, wasKept, openCopies }: ShreddedImage): string {
  const lines = [
    `image ${imageId}: ${countOf(slots, 'key slot')} overwritten; nothing opens it here any more`,
    ...destroyedKeys.map(
      (key) => `key ${printable(key)}: destroyed, and with it every other image that was made for it`,
    ),
    ...(keyFile === undefined ? [] : [`key file ${printable(keyFile)}: overwritten and removed`]),
    ...(wasKept ? ['the kernel has dropped its key'] : []),
    ...openCopies.map((slot) => `copies of its header still open with ${slotText(slot)}`),
    'Not known: copies of the header that were made before, mounts on other hosts, and what was read from them.',
  ];
  return `${lines.join('\n')}\n`;
}

function slotText({ slot, kind, label, subject, algorithm }: ListedSlot): string {
  const facts = [kind ?? algorithm, label, subject].filter((fact) => fact !== undefined);
  return `what slot ${slot} was for${facts.length === 0 ? '' : `: ${facts.map((fact) => printable(fact)).join(', ')}`}`;
}
