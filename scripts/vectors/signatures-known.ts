/**
 * Signatures whose algorithms take random numbers, made once by OpenSSL over the statement of `signatures.ts`: of keys
 * that were made for this alone.
 */
import { jsonText } from './seal.ts';

interface KnownSignature {
  readonly algorithm: string;
  readonly kid: string;
  readonly signer: Readonly<Record<string, string>>;
  readonly input: string;
}

const PAYLOAD =
  'eyJmb3JtYXQiOiJja3B0ZnMgc2lnbmF0dXJlIiwidmVyc2lvbiI6MSwiaW1hZ2UiOiJiNTgyZjYxNDJjNDE4ZWJjNz' +
  'U5Y2VkZDAzMWVlMGRkOSIsImVwb2NoIjozLCJoZWFkZXIiOiJjaVo0NXBfN0dERmtqOUh3dGtCQ1I1WllSUzRPTHZk' +
  'ZEM5YUJNQXNLMDRNIiwibWFuaWZlc3QiOiJ0Q1RDbkJ3c0pMR0owa0lmNEZrb1lNZHVHa21nRTB3S2piU0Zfclg2Ql' +
  'BRIn0';

export const KNOWN_SIGNATURES: readonly KnownSignature[] = [
  {
    algorithm: 'ES256',
    kid: 'mSRQRxvW2fmz_eQ-Nm_kNtMg9c3t0uNFm18OVGI1Kcw',
    signer: {
      kty: 'EC',
      crv: 'P-256',
      x: 'hj6bjw8H_IMztki_6Mnoozriu1rdFPqndrD3jEISsPk',
      y: 'dEcN-U9MsVQIRjKpO5zCUMJnb56503x7vJLSSqzs6Ts',
    },
    input: file(
      'eyJhbGciOiJFUzI1NiIsImtpZCI6Im1TUlFSeHZXMmZtel9lUS1ObV9rTnRNZzljM3QwdU5GbTE4T1ZHSTFLY3ciLC' +
        'JpYXQiOjE3OTU5NTM2MDB9',
      '17tRwuD7gtc_f766Of-Ejh14zsHoiWDcK6zebSl9WTXpDFLGGL8biSlhiFAyNME9Ukr2pV00rQwchQh5iDbV0g',
    ),
  },
  {
    algorithm: 'ES384',
    kid: '144TD03mnKESaUp5tgiYbMSuGY-Oud0AycIwxmcoxbE',
    signer: {
      kty: 'EC',
      crv: 'P-384',
      x: 'zY3lU1Koxo3NJmUK-bs4ZM_euk652dVEPo5YIOE4wKs-HXXHSkORWY0PLzGgvadU',
      y: 'WL9CODlsiT8k4oCMrtkUNti8Y65mT9WCpwEJ5KV2yS_yg-obsrlaTkvXTciDpU24',
    },
    input: file(
      'eyJhbGciOiJFUzM4NCIsImtpZCI6IjE0NFREMDNtbktFU2FVcDV0Z2lZYk1TdUdZLU91ZDBBeWNJd3htY294YkUiLC' +
        'JpYXQiOjE3OTU5NTM2MDB9',
      'OBEr99kRjPxHSygLFWVUqGcxLoy9MddaIWK09MuDLDwykXkQ1jHqgh2N5Ts0JvoruRDGWs5iMgQ1g3vTKV0h872bDX' +
        '_Ev-xfu81ixyqgpucphiP8XVb9WvkcWXgKZ-2D',
    ),
  },
  {
    algorithm: 'PS256',
    kid: 'x8SLDrLlpTdF1bqQqfmuzOMs2sNCzpY5bgADAHeSTZg',
    signer: {
      kty: 'RSA',
      n:
        'wJFtBUXXMJPmJUXxspkTolc5_h03Yt8k8k1uf5iS5b_WCv2sLzrQFzk3J2EuKqesEOdbBjIhXPtcivUrDHMXqZyKDd' +
        'dB-Sc9r4FThhjIaTGk-9qnfzKjsqUTiijBx791oyT9vQW16Nb8jTe_8XK0UmIx6ltK1KixXlEXrZWeJRveNDKRRcv_' +
        'qBuYq4GY5rhlmH5TPbHcIkN5wsgtojXg1-Y3fmJ-NGHHWz4QAC_YxZCoiawNB4ok-DrKAwrJaSvvb9C83LSFJ2yC53' +
        'cnY7c8lGJeewObWTNsx7tB2RJVWjmOqFriGp1J6V324WUQWFRNQEquNlpK3RpqSShQ6nTjhw',
      e: 'AQAB',
    },
    input: file(
      'eyJhbGciOiJQUzI1NiIsImtpZCI6Ing4U0xEckxscFRkRjFicVFxZm11ek9NczJzTkN6cFk1YmdBREFIZVNUWmciLC' +
        'JpYXQiOjE3OTU5NTM2MDB9',
      'RHApmFRFPZFeQBLDa1z2L4blWWOZquD3ZmKGUShe9ltLJolzSu9JCJ5oHkXN3bJCsqX0oFNb-eIdAIKb_NB36An0CL' +
        '9c5bfnfP5-V7DwgIM7XBConliW1W6Yeh9jo8ZZpNxUZFePM0JJdhbG_B_PqVYhboIFBMKBbFCR9PbQ-3h0vd4EopHf' +
        'g5J0ZPK4gxBIkkkcgGiDcaAduFCb-twjGNTfOsNA7M4Q7DQ6ksBlotuSJpM7Gha21mlfMHiGe7fTKy_30dk1HYswUq' +
        'UDzf542-apBoqI7Z_WyQB3zLiKz2rHUTvO7RDzsZ_UBRaLx8DBmNJUqb1mdRwQhrsJ0v8-aA',
    ),
  },
];

function file(protectedHeader: string, signature: string): string {
  return jsonText({ payload: PAYLOAD, signatures: [{ protected: protectedHeader, signature }] });
}
