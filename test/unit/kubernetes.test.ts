// Goal: the objects in docs/kubernetes are what Kubernetes understands, with no member that it would leave out.
// Method: the published schemas, as kubernetes-models has them: its validators find wrong values and missing members,
// and its types, for the compiler, members that there are not.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { IDaemonSet } from 'kubernetes-models/apps/v1';
import { DaemonSet } from 'kubernetes-models/apps/v1';
import { Job } from 'kubernetes-models/batch/v1';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { ClusterRole, ClusterRoleBinding } from 'kubernetes-models/rbac.authorization.k8s.io/v1';
import { ConfigMap, Namespace, Pod, ServiceAccount } from 'kubernetes-models/v1';
import { afterAll, expect, test } from 'vitest';
import { type KubernetesObject, manifests, objectsIn } from '../support/kubernetes.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const files = fs.readdirSync(manifests);
const objects = files.flatMap(objectsIn);
const directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-kubernetes-'));
afterAll(() => fs.rmSync(directory, { recursive: true }));

/** The class of each kind that is used, and where its types are. */
const kinds = {
  'apps/v1 DaemonSet': [DaemonSet, 'apps/v1'],
  'batch/v1 Job': [Job, 'batch/v1'],
  'networking.k8s.io/v1 NetworkPolicy': [NetworkPolicy, 'networking.k8s.io/v1'],
  'rbac.authorization.k8s.io/v1 ClusterRole': [ClusterRole, 'rbac.authorization.k8s.io/v1'],
  'rbac.authorization.k8s.io/v1 ClusterRoleBinding': [ClusterRoleBinding, 'rbac.authorization.k8s.io/v1'],
  'v1 ConfigMap': [ConfigMap, 'v1'],
  'v1 Namespace': [Namespace, 'v1'],
  'v1 Pod': [Pod, 'v1'],
  'v1 ServiceAccount': [ServiceAccount, 'v1'],
} as const;

function kindOf({ apiVersion, kind }: KubernetesObject): (typeof kinds)[keyof typeof kinds] {
  const found = kinds[`${apiVersion} ${kind}` as keyof typeof kinds];
  if (found === undefined) throw new Error(`${apiVersion} ${kind} is not among the kinds of this test`);
  return found;
}

/** Compiles objects as literals of their types, which may have no further members. @returns what is wrong */
function compile(all: readonly KubernetesObject[]): string {
  const lines = all.map((object, index) => {
    const [, module] = kindOf(object);
    const types = join(root, 'node_modules/kubernetes-models', module, 'index.js');
    return `export const o${index}: import('${types}').I${object.kind} = ${JSON.stringify(object)};`;
  });
  const file = join(directory, 'objects.mts');
  fs.writeFileSync(file, lines.join('\n'));
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2022'];
  return spawnSync(join(root, 'node_modules/.bin/tsc'), [...options, file], { cwd: directory, encoding: 'utf8' })
    .stdout;
}

const [daemonSet] = objects.filter((object): object is KubernetesObject & IDaemonSet => object.kind === 'DaemonSet');

test.each(objects.map((object) => [object.kind, object] as const))('%s has what its schema demands', (_, object) => {
  const [Model] = kindOf(object);
  new Model(object as never).validate();
});

test('none has a member that its schema does not have', () => expect(compile(objects)).toBe(''));

test('a wrong value, and a member that is not known, are found', () => {
  const { spec } = daemonSet ?? {};
  const wrong = { ...daemonSet, spec: { ...spec, minReadySeconds: 'soon' } };
  expect(() => new DaemonSet(wrong as never).validate()).toThrow(/minReadySeconds/);
  const unknown = { ...daemonSet, spec: { ...spec, minimumReadySeconds: 1 } };
  expect(compile([unknown as unknown as KubernetesObject])).toMatch(/minimumReadySeconds\W+does not exist/);
});

test('every volume that a container mounts is there, and no secret is in a file', () => {
  for (const object of objects as unknown as { kind: string; spec?: Partial<NonNullable<IDaemonSet['spec']>> }[]) {
    expect(object.kind).not.toBe('Secret');
    const pod = object.spec?.template?.spec;
    const mounted = (pod?.containers ?? []).flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name));
    expect([...new Set(mounted)].sort()).toEqual((pod?.volumes ?? []).map(({ name }) => name).sort());
  }
});
