import { fieldOf, readBody } from '../http/exchange.ts';
import { garbage } from '../shared/faults.ts';
import { type OciAddress, remoteUrl } from '../shared/remote-address.ts';
import type { ListedRemoteImage } from '../shared/remote-store.ts';
import { listedAnnotations } from './image-manifest.ts';
import { OciStore } from './oci-store.ts';
import { isProfileTag } from './profile-manifest.ts';
import type { RegistryClient } from './registry-client.ts';

const MAX_PAGE_BYTES = 4_194_304;
const MAX_PAGES = 1000;
/** Each is asked for with one request. */
const MAX_TAGS = 100_000;

/**
 * Lists the images of a repository by its tags, or the one that the address names. What is no image of ckptfs is left
 * out. What is shown of each is what its annotations say.
 */
export async function listRepository(address: OciAddress, client: RegistryClient): Promise<ListedRemoteImage[]> {
  const location = remoteUrl(address);
  const reference = address.digest ?? address.tag;
  const references = reference === undefined ? await tagsOf(location, client) : [reference];
  const images: ListedRemoteImage[] = [];
  for (const each of references) {
    const { host, repository } = address;
    const place: OciAddress = {
      kind: 'oci',
      host,
      repository,
      ...(each.includes(':') ? { digest: each } : { tag: each }),
    };
    const found = await new OciStore(client, place).describe(each);
    const listed = found && listedAnnotations(found);
    if (listed !== undefined) images.push({ url: remoteUrl(place), ...listed });
  }
  return images;
}

async function tagsOf(location: string, client: RegistryClient): Promise<string[]> {
  const tags: string[] = [];
  let path: string | URL = 'tags/list';
  for (let page = 0; page < MAX_PAGES; page++) {
    const { names, next }: { names: string[]; next: string | undefined } = await client.ask(
      { method: 'GET', path, expected: [200, 404] },
      async (answer) => {
        if (answer.status === 404) return { names: [], next: undefined };
        const text = (await readBody(location, answer, MAX_PAGE_BYTES)).toString('utf8');
        // RFC 8288: </v2/…?last=…&n=…>; rel="next"
        const link = /^\s*<([^<>]{1,4096})>\s*;\s*rel="?next"?/.exec(fieldOf(answer, 'link') ?? '')?.[1];
        return { names: tagsIn(location, text), next: link };
      },
    );
    if (tags.length + names.length > MAX_TAGS) throw garbage(location, `the registry lists more than ${MAX_TAGS} tags`);
    for (const name of names) tags.push(name);
    if (next === undefined) return tags;
    path = client.resolve(next, client.base);
  }
  throw garbage(location, 'the registry lists tags without end');
}

function tagsIn(location: string, text: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw garbage(location, 'the registry answers something else than a list of tags');
  }
  const tags: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'tags') : undefined;
  // A repository without tags has null there.
  if (!Array.isArray(tags)) return [];
  return tags.filter(
    (tag): tag is string => typeof tag === 'string' && /^\w[\w.-]{0,127}$/.test(tag) && !isProfileTag(tag),
  );
}
