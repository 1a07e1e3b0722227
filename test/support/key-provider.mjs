// A key provider of the container world, as a program or for a server: AES-256-GCM under a key in a file, the parameter
// as additional data, as plug-ins have it that take the name of a key for one.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** Answers the JSON of a question by JSON. */
export function answerTo(text, key, name) {
  const { op, keywrapparams, keyunwrapparams } = JSON.parse(text);
  const parameter = (parameters) => Buffer.from(parameters[name][0], 'base64');
  if (op === 'keywrap') {
    const { ec, optsdata } = keywrapparams;
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(parameter(ec.Parameters));
    const sealed = [iv, cipher.update(optsdata, 'base64'), cipher.final(), cipher.getAuthTag()];
    return JSON.stringify({ keywrapresults: { annotation: Buffer.concat(sealed).toString('base64') } });
  }
  const { dc, annotation } = keyunwrapparams;
  const sealed = Buffer.from(annotation, 'base64');
  const cipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12)).setAAD(parameter(dc.Parameters));
  cipher.setAuthTag(sealed.subarray(-16));
  const optsdata = Buffer.concat([cipher.update(sealed.subarray(12, -16)), cipher.final()]).toString('base64');
  return JSON.stringify({ keywrapresults: { annotation: null }, keyunwrapresults: { optsdata } });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [keyFile, name] = process.argv.slice(2);
  try {
    process.stdout.write(answerTo(readFileSync(0, 'utf8'), readFileSync(keyFile), name));
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
