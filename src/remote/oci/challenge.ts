/** What a registry asks for, of a field `WWW-Authenticate` (RFC 9110 §11.6.1). */
export type Challenge =
  | { readonly scheme: 'basic' }
  | { readonly scheme: 'bearer'; readonly realm: string; readonly service?: string; readonly scope?: string };

const MAX_CHARACTERS = 8192;

/** Parses the first challenge that can be answered; undefined where there is none. */
export function parseChallenge(field: string): Challenge | undefined {
  if (field.length > MAX_CHARACTERS) return undefined;
  const bearer = /(?:^|,)\s*bearer\s+(.*)$/i.exec(field)?.[1];
  if (bearer !== undefined) {
    const parameters = new Map<string, string>();
    for (const [, name = '', quoted, word = ''] of bearer.matchAll(
      /([a-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))/gi,
    )) {
      const key = name.toLowerCase();
      if (!parameters.has(key)) parameters.set(key, quoted?.replace(/\\(.)/g, '$1') ?? word);
    }
    const [realm, service, scope] = [parameters.get('realm'), parameters.get('service'), parameters.get('scope')];
    if (realm !== undefined) {
      return {
        scheme: 'bearer',
        realm,
        ...(service === undefined ? {} : { service }),
        ...(scope === undefined ? {} : { scope }),
      };
    }
  }
  return /(?:^|,)\s*basic\b/i.test(field) ? { scheme: 'basic' } : undefined;
}
