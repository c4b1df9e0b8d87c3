import { describe, expect, it } from '@jest/globals';
import { createSubscriptionBody } from '@posthorn/contracts';
import { parseCidrs } from '@posthorn/egress';
import { faultsOf } from './subscription-faults.js';

const egress = { allowHttp: false, allowedAddresses: parseCidrs('') };

const refused = [
  ['invalid_url', 'https://user:secret@example.com/'],
  ['invalid_url', ' https://example.com/'],
  ['invalid_url', 'not a URL'],
  ['invalid_url', 'ftp://example.com/'],
  ['https_required', 'http://example.com/'],
  ['port_blocked', 'https://example.com:25/'],
  ['address_blocked', 'https://0x7f.1/'],
] as const;

describe('the fault of a URL', () => {
  it.each(refused)('has the code of its refusal: %s for %j', (code, url) => {
    expect(faultsOf({ url }, egress)).toEqual([{ path: 'url', message: expect.stringMatching(`^${code}: [A-Z0-9].*\\.$`) }]);
  });

  it.each(refused)('is told of a token endpoint too: %s for %j', (code, token_url) => {
    const authentication = { type: 'oauth2_client_credentials', token_url, client_id: 'me', client_secret: 'secret' } as const;
    expect(faultsOf({ authentication }, egress)).toEqual([{ path: 'authentication.token_url', message: expect.stringMatching(`^${code}: `) }]);
  });

  it.each(refused)('is not lost on the way here: %s for %j', (code, url) => {
    const { data, error } = createSubscriptionBody.safeParse({ name: 'A', url, event_types: ['*'] });
    // Either its form is refused, with the same code, or it arrives as it was written.
    expect([url, code]).toContainEqual(data?.url ?? error?.issues[0]?.message.split(':')[0]);
  });
});
