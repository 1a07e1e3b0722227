import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

export const manifests = fileURLToPath(new URL('../../docs/kubernetes/', import.meta.url));

/** An object of Kubernetes. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
}

/** Returns the objects in a file of docs/kubernetes. @throws Error where it is not YAML without duplicate keys */
export function objectsIn(file: string): KubernetesObject[] {
  return parseAllDocuments(fs.readFileSync(`${manifests}${file}`, 'utf8'), { strict: true }).map((document) => {
    for (const problem of [...document.errors, ...document.warnings]) throw problem;
    return document.toJS() as KubernetesObject;
  });
}
