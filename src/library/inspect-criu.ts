import { CkptfsError } from '../base/errors.ts';
import { identifyTree, openTreeRoot, type TreeIdentity } from '../criu/tree/unlock-tree.ts';

/** Says what can be seen of a directory that CRIU encrypted without a key. @throws as `identifyTree` */
export function inspectCriu(location: string, imageId?: string): TreeIdentity {
  const root = openTreeRoot(location);
  try {
    const identity = identifyTree(root);
    if (imageId === undefined || imageId.toLowerCase() === identity.imageId) return identity;
    throw new CkptfsError('wrong-image', `${location} is known as ${identity.imageId}, not ${imageId}`, {
      path: location,
      data: { reason: 'other-id' },
    });
  } finally {
    root.close();
  }
}
