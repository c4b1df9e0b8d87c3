import { describe, expect, it } from '@jest/globals';
import { checkUrl, isPermittedAddress, parseCidrs, type EgressPolicy } from './address-guard.js';
import { EgressError } from './errors.js';

const strict: EgressPolicy = { allowHttp: false, allowedAddresses: parseCidrs('') };
const local: EgressPolicy = { allowHttp: true, allowedAddresses: parseCidrs('127.0.0.0/8, ::1/128, 10.1.0.0/16') };

describe('addresses', () => {
  it.each(['8.8.8.8', '1.1.1.1', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.1',
    '172.15.255.255', '172.32.0.0', '192.0.1.1', '192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0', '223.255.255.255',
    '2606:4700:4700::1111', '2001:200::1', '2001:4860:4860::8888', '2003::1', '2620:4f:7fff::1', '3ffe:ffff::1'])('%s is public', (address) =>
    expect(isPermittedAddress(address, strict)).toBe(true),
  );

  it.each(['0.0.0.0', '0.1.2.3', '10.0.0.1', '100.64.0.1', '100.127.255.255', '127.0.0.1', '127.255.255.255', '169.254.169.254',
    '172.16.0.1', '172.31.255.255', '192.0.0.1', '192.0.0.9', '192.0.2.1', '192.31.196.1', '192.52.193.1', '192.88.99.1', '192.168.1.1',
    '192.175.48.1', '198.18.0.1', '198.19.255.255', '198.51.100.1', '203.0.113.1', '224.0.0.1', '239.255.255.255', '240.0.0.1',
    '255.255.255.255'])('%s is not public', (address) => expect(isPermittedAddress(address, strict)).toBe(false));

  it.each([
    ['unspecified', '::'],
    ['loopback', '::1'],
    ['mapped loopback', '::ffff:127.0.0.1'],
    ['mapped, in hexadecimal', '::ffff:7f00:1'],
    ['mapped public', '::ffff:8.8.8.8'],
    ['compatible', '::127.0.0.1'],
    ['compatible, in hexadecimal', '::7f00:1'],
    ['NAT64', '64:ff9b::7f00:1'],
    ['local NAT64', '64:ff9b:1::1'],
    ['discard', '100::1'],
    ['unique local', 'fd00::1'],
    ['link-local', 'fe80::1'],
    ['link-local with a zone', 'fe80::1%eth0'],
    ['public with a zone', '2606:4700::1%eth0'],
    ['site-local', 'fec0::1'],
    ['multicast', 'ff02::1'],
    ['Teredo', '2001:0:7f00:1::'],
    ['benchmarking', '2001:2::1'],
    ['ORCHID', '2001:10::1'],
    ['ORCHIDv2', '2001:20::1'],
    ['documentation', '2001:db8::1'],
    ['newer documentation', '3fff::1'],
    ['6to4 of loopback', '2002:7f00:1::'],
    ['6to4 of a public address', '2002:808:808::1'],
    ['AS112', '2620:4f:8000::1'],
    ['SRv6', '5f00::1'],
    ['unallocated', '4000::1'],
  ])('%s (%s) is not public', (_, address) => expect(isPermittedAddress(address, strict)).toBe(false));

  it.each(['', 'localhost', '127.1', '1.2.3.4.5', '[::1]'])('%j is no address', (text) => expect(isPermittedAddress(text, local)).toBe(false));

  it('are permitted when the list says so', () => {
    expect(isPermittedAddress('127.0.0.1', local)).toBe(true);
    expect(isPermittedAddress('::1', local)).toBe(true);
    expect(isPermittedAddress('10.1.255.1', local)).toBe(true);
    expect(isPermittedAddress('10.2.0.1', local)).toBe(false);
    expect(isPermittedAddress('::2', local)).toBe(false);
  });
});

describe('the list of ranges', () => {
  it.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/x', '10.0.0/8', 'localhost', '::1/129', '10.0.0.0/8/8', '10.0.0.0/-1', 'fe80::1%eth0/64'])(
    '%j is refused by name',
    (entry) => {
      expect(() => parseCidrs(`127.0.0.0/8,${entry}`)).toThrow(EgressError);
      expect(() => parseCidrs(`127.0.0.0/8,${entry}`)).toThrow(`"${entry}"`);
    },
  );

  it('takes single addresses and spaces, and may be empty', () => {
    expect(parseCidrs(' 10.0.0.7 , ').check('10.0.0.7')).toBe(true);
    expect(parseCidrs('10.0.0.7').check('10.0.0.8')).toBe(false);
    expect(parseCidrs('').rules).toEqual([]);
  });
});

describe('a URL', () => {
  it.each(['https://example.com', 'https://example.com:8443/a/b?c=d#e', 'HTTPS://Example.COM/', 'https://8.8.8.8/', 'https://[2606:4700::1111]/x',
    'https://bücher.example/ü', 'https://localhost/', 'https://example.com/@me?a=b@c'])('%s may be used', (url) =>
    expect(checkUrl(url, strict)).toMatchObject({ ok: true }),
  );

  it.each([
    ['http://example.com/', 'https_required'],
    ['ftp://example.com/', 'invalid_url'],
    ['/hook', 'invalid_url'],
    ['', 'invalid_url'],
    ['https:example.com', 'invalid_url'],
    ['https:///example.com', 'invalid_url'],
    ['https://user:pass@example.com/', 'invalid_url'],
    ['https://user@example.com/', 'invalid_url'],
    ['https://@example.com/', 'invalid_url'],
    ['https://example.com\\@10.0.0.1/', 'invalid_url'],
    [' https://example.com/', 'invalid_url'],
    ['https://example.com/\n', 'invalid_url'],
    ['https://exa\tmple.com/', 'invalid_url'],
    ['https://example.com/\u0000', 'invalid_url'],
    ['https://example.com/\u00a0', 'invalid_url'],
    ['https://exam\u200bple.com/', 'invalid_url'],
    ['https://example.com:99999/', 'invalid_url'],
    ['https://exa mple.com/', 'invalid_url'],
    ['https://1.2.3.4.5/', 'invalid_url'],
    [`https://example.com/${'a'.repeat(2048)}`, 'invalid_url'],
    ['https://example.com:25/', 'port_blocked'],
    ['https://example.com:6379/', 'port_blocked'],
    ['https://example.com:0/', 'port_blocked'],
    ['https://127.0.0.1/', 'address_blocked'],
    ['https://127.1/', 'address_blocked'],
    ['https://2130706433/', 'address_blocked'],
    ['https://0x7f000001/', 'address_blocked'],
    ['https://0177.0.0.1/', 'address_blocked'],
    ['https://127.0.0.1./', 'address_blocked'],
    ['https://%31%32%37.0.0.1/', 'address_blocked'],
    ['https://①②⑦.0.0.1/', 'address_blocked'],
    ['https://169.254.169.254/latest/meta-data/', 'address_blocked'],
    ['https://[::1]/', 'address_blocked'],
    ['https://[::ffff:10.0.0.1]/', 'address_blocked'],
    ['https://[::127.0.0.1]/', 'address_blocked'],
  ])('%j is refused: %s', (url, code) => expect(checkUrl(url, strict)).toMatchObject({ ok: false, code }));

  it('may be http and local when the configuration says so', () => {
    expect(checkUrl('http://127.0.0.1:3000/', local)).toMatchObject({ ok: true });
    expect(checkUrl('http://[::1]:3000/', local)).toMatchObject({ ok: true });
    expect(checkUrl('http://10.2.0.1/', local)).toMatchObject({ ok: false, code: 'address_blocked' });
    expect(checkUrl('http://127.0.0.1:25/', local)).toMatchObject({ ok: false, code: 'port_blocked' });
  });
});
