import { CkptfsError } from '../../base/errors.ts';
import { checkCertificateFiles } from './https-certificates.ts';
import { fetchSecret } from './https-fetch.ts';
import { asGarbage, keySource, type OpenSource } from './source.ts';
import { checkedSeconds } from './time-limit.ts';

/** `https://HOST/PATH`: what a server answers. */
export const openSource: OpenSource = (rest, options) => {
  const url = parsedUrl(rest);
  const source = url.origin + url.pathname;
  const { headers = [], deadline, mayFollow } = options;
  const seconds = checkedSeconds(options.timeoutSeconds);
  checkCertificateFiles(options);
  return keySource(
    source,
    (into) => fetchSecret({ source, url, headers, seconds, deadline, mayFollow, files: options }, into),
    asGarbage,
  );
};

/** @throws CkptfsError `bad-argument`; a URL may have a secret, so it is not repeated */
function parsedUrl(rest: string): URL {
  const url = URL.canParse(`https:${rest}`) ? new URL(`https:${rest}`) : undefined;
  if (url === undefined || !rest.startsWith('//'))
    throw new CkptfsError('bad-argument', 'https: needs a URL, https://HOST/PATH');
  if (url.username !== '' || url.password !== '')
    throw new CkptfsError('bad-argument', 'a URL of a key has no user name and no password: every process can read it');
  url.hash = '';
  return url;
}
