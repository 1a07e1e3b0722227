import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { checkSignature } from '../../../support/aws-signature.ts';
import { HttpServer } from '../../../support/http-server.ts';

/** A request for a role. */
export interface RoleRequest {
  readonly form: Readonly<Record<string, string>>;
  /** The key that it is signed with; undefined for one that is not signed. */
  readonly signer: string | undefined;
  readonly scope: string | undefined;
  readonly sessionToken: string | undefined;
}

/**
 * A Security Token Service on the loopback interface. It gives out the key `OF-ROLE`, and refuses a request that is not
 * signed with the secret `s3cret`, as the key itself computes it.
 */
export class StsServer {
  readonly requests: RoleRequest[] = [];
  expiration = new Date(Date.now() + 3_600_000).toISOString();
  /** What is answered in place of credentials, once each. */
  readonly instead: (readonly [status: number, body: string])[] = [];
  readonly #server: HttpServer;

  private constructor(server: HttpServer) {
    this.#server = server;
    server.answer = (request, response) => void this.#answer(request, response);
  }

  static async start(): Promise<StsServer> {
    return new StsServer(await HttpServer.start());
  }

  get url(): string {
    return this.#server.url;
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [body, { method = '', url: target = '', headers }] = [await text(request), request];
    const form = Object.fromEntries(new URLSearchParams(body));
    const { said, expected } = checkSignature({ method, target, headers, body }, 's3cret');
    const isSigned = headers.authorization !== undefined;
    this.requests.push({
      form,
      signer: isSigned ? said.accessKeyId : undefined,
      scope: isSigned ? `${said.region}/${said.service}` : undefined,
      sessionToken: headers['x-amz-security-token']?.toString(),
    });
    const [status, instead] = this.instead.shift() ?? [];
    if (status !== undefined) response.writeHead(status).end(instead);
    else if (isSigned ? said.signature !== expected : form['Action'] !== 'AssumeRoleWithWebIdentity')
      response.writeHead(403).end('<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>');
    else response.end(this.#credentials(`OF-${form['RoleArn']?.split('/').pop()}`));
  }

  #credentials(key: string): string {
    const members = { AccessKeyId: key, SecretAccessKey: 's3cret', SessionToken: 't+/=', Expiration: this.expiration };
    const elements = Object.entries(members).map(([name, value]) => `<${name}>${value}</${name}>`);
    return `<R><AssumeRoleResult><Credentials>${elements.join('')}</Credentials></AssumeRoleResult></R>`;
  }
}
