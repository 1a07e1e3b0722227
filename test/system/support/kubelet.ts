import { join } from 'node:path';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import type { IVolume } from 'kubernetes-models/v1/Volume';

/** What the API server and the host of a kubelet give to pods. */
export interface Node {
  /** The directory that is the root of the host for volumes of the kind hostPath. */
  readonly host: string;
  /** A directory with the files of every ConfigMap and Secret. */
  readonly files: string;
  readonly image: string;
  /** Values of environment variables that a pod leaves open, or that are to be others. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Returns the words of `podman run` that start the only container of a pod as a kubelet would. */
export function podmanRun(pod: IPodSpec, node: Node): string[] {
  const [container, ...others] = pod.containers;
  if (container === undefined || others.length > 0) throw new Error('not a pod with one container');
  const { command: [entry = '', ...first] = [], args = [] } = container;
  return [
    ...['--network', 'none', '--entrypoint', entry],
    ...securityWords(container),
    ...(container.env ?? []).flatMap(({ name, value }) => ['--env', `${name}=${node.environment[name] ?? value}`]),
    ...(container.volumeMounts ?? []).flatMap((mount) => {
      const volume = pod.volumes?.find(({ name }) => name === mount.name);
      if (volume === undefined) throw new Error(`no volume ${mount.name}`);
      if (volume.emptyDir !== undefined) return ['--tmpfs', mount.mountPath];
      const options = [
        mount.readOnly ? 'ro' : 'rw',
        ...(mount.mountPropagation === 'Bidirectional' ? ['rshared'] : []),
      ];
      return ['-v', `${join(sourceOf(volume, node), mount.subPath ?? '')}:${mount.mountPath}:${options.join(',')}`];
    }),
    ...[node.image, ...first, ...args],
  ];
}

function securityWords({ securityContext: context = {} }: IContainer): string[] {
  const dropped = (context.capabilities?.drop ?? []).flatMap((name) => ['--cap-drop', name]);
  return [
    ...(context.privileged ? ['--privileged'] : []),
    ...(context.runAsUser === undefined ? [] : ['--user', String(context.runAsUser)]),
    // No directory that podman adds, and no pod has, can be written.
    ...(context.readOnlyRootFilesystem ? ['--read-only', '--read-only-tmpfs=false'] : []),
    ...(context.allowPrivilegeEscalation === false ? ['--security-opt', 'no-new-privileges'] : []),
    ...dropped,
  ];
}

function sourceOf({ name, hostPath, configMap, secret }: IVolume, { host, files }: Node): string {
  if (hostPath !== undefined) return join(host, hostPath.path);
  if (configMap !== undefined || secret !== undefined) return files;
  throw new Error(`the volume ${name} is of no kind that is known here`);
}
