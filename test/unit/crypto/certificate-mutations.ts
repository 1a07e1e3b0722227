// Parses changed certificates, revocation lists and OCSP answers in a process of its own, which may crash. Its argument
// is the directory of an authority; it prints how many of each kind were parsed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CkptfsError } from '../../../src/base/errors.ts';
import { Certificate } from '../../../src/crypto/certificate.ts';
import { TrustStore } from '../../../src/crypto/certificate-chain.ts';
import { OcspQuestion } from '../../../src/crypto/certificate-ocsp.ts';
import { RevocationList } from '../../../src/crypto/certificate-revocation-list.ts';
import { checkOneself } from '../../../src/keys/certificates/check-self.ts';

const RUNS = 2000;
const [directory = ''] = process.argv.slice(2);
const read = (name: string): Buffer => readFileSync(join(directory, name));

const at = new Date();
const ca = new Certificate(read('ca.der'), 'ca');
const leaf = new Certificate(read('leaf.der'), 'leaf');
const list = new RevocationList(read('crl.der'), 'list');
const store = new TrustStore([ca], [list]);
const question = new OcspQuestion(leaf, ca);

/** A generator that gives the same numbers in each run. */
let state = 12_345;
function below(limit: number): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
  return Math.floor((state / 0x80000000) * limit);
}

/** Changes one to four bytes; or cuts, doubles or removes a piece, so that lengths lie. */
function changed(original: Buffer): Buffer {
  const bytes = Buffer.from(original);
  const [from, to] = [below(bytes.length), below(bytes.length)].sort((a, b) => a - b) as [number, number];
  switch (below(6)) {
    case 0:
      return bytes.subarray(0, to);
    case 1:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
    default:
      for (let count = below(4); count >= 0; count--)
        bytes[below(bytes.length)] = [0, 0x80, 0xff, below(256)][below(4)] ?? 0;
      return bytes;
  }
}

/** Runs an action on changed bytes. Returns how often it did not refuse them. */
function accepted(original: Buffer, action: (bytes: Buffer) => boolean): number {
  let count = 0;
  for (let run = 0; run < RUNS; run++) {
    try {
      if (action(changed(original))) count += 1;
    } catch (error) {
      if (!(error instanceof CkptfsError && error.code === 'untrusted')) throw error;
    }
  }
  return count;
}

const certificates = accepted(leaf.der, (bytes) => {
  const certificate = new Certificate(bytes, 'changed');
  checkOneself(certificate, 'recipient', at);
  store.verify(certificate, [ca, certificate], { at, revocation: true });
  new TrustStore([certificate]).verify(leaf, [], { at });
  new OcspQuestion(certificate, ca).dispose();
  const { responders } = certificate;
  certificate.dispose();
  return responders.length === 0;
});
const lists = accepted(read('crl.der'), (bytes) => {
  const other = new RevocationList(bytes, 'changed');
  const trust = new TrustStore([ca], [other]);
  trust.verify(leaf, [], { at, revocation: true });
  other.revocationOf(leaf);
  trust.dispose();
  other.dispose();
  return true;
});
let answers = 0;
accepted(read('answer.der'), (bytes) => {
  if (question.read(bytes, store, [ca], at).status !== 'unusable') answers += 1;
  return true;
});
process.stdout.write(JSON.stringify({ certificates, lists, answers }));
