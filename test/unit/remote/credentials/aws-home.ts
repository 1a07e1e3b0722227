import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import type { CkptfsError } from '../../../../src/base/errors.ts';
import { awsCredentials } from '../../../../src/remote/credentials/aws-chain.ts';
import type { AwsCredentialSource, AwsCredentials } from '../../../../src/remote/credentials/aws-credentials.ts';
import { AwsProfiles } from '../../../../src/remote/credentials/aws-profile.ts';
import { HttpClient } from '../../../../src/remote/http/http-client.ts';

const signal = new AbortController().signal;

/** A home with files of AWS, in which every secret is `s3cret`. */
export class AwsHome {
  readonly directory = mkdtempSync(join(tmpdir(), 'ckptfs-aws-'));

  /** Returns a path in it. */
  at(name: string): string {
    return join(this.directory, name);
  }

  write(name: string, text: string | Buffer, mode = 0o600): void {
    mkdirSync(dirname(this.at(name)), { recursive: true });
    writeFileSync(this.at(name), text);
    chmodSync(this.at(name), mode);
  }

  /** Removes the files in it. */
  clear(): void {
    rmSync(this.directory, { recursive: true });
    mkdirSync(this.directory);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }

  /** Does something with the source of credentials that these variables lead to. */
  async withSource<T>(variables: NodeJS.ProcessEnv, use: (source: AwsCredentialSource) => Promise<T>): Promise<T> {
    const environment = {
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: this.at('config'),
      AWS_SHARED_CREDENTIALS_FILE: this.at('credentials'),
      HOME: this.directory,
      ...variables,
    };
    const http = new HttpClient({ timeoutSeconds: 60, signal, environment, connections: 1 });
    try {
      const profiles = new AwsProfiles(environment);
      return await use(awsCredentials(http, { environment, profiles, region: 'us-east-1', timeoutSeconds: 60 }));
    } finally {
      http.close();
    }
  }

  /** Finds credentials with these variables. */
  find(variables: NodeJS.ProcessEnv = {}): Promise<AwsCredentials | undefined> {
    return this.withSource(variables, (source) => source.current(signal));
  }

  /** Returns why there are none, which says no secret. */
  async refusal(variables: NodeJS.ProcessEnv = {}): Promise<CkptfsError> {
    const error = await this.find(variables).then(
      () => {
        throw new Error('there are some');
      },
      (failure: CkptfsError) => failure,
    );
    expect(error.message).not.toContain('s3cret');
    return error;
  }
}
