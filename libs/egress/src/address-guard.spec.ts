import { describe, expect, it } from '@jest/globals';
import { isPermittedAddress, parseCidrs, type EgressPolicy } from './address-guard.js';
import { EgressError } from './errors.js';

const strict: EgressPolicy = { allowHttp: false, allowedAddresses: parseCidrs('') };
const local: EgressPolicy = { allowHttp: true, allowedAddresses: parseCidrs('127.0.0.0/8, ::1/128, 10.1.0.0/16') };

describe('addresses', () => {
  it.each(['8.8.8.8', '1.1.1.1', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.1',
    '172.15.255.255', '172.32.0.0', '192.0.1.1', '192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0', '223.255.255.255',
    '2606:4700:4700::1111', '2001:200::1', '2001:4860:4860::8888', '2003::1', '2620:4f:7fff::1', '3ffe:ffff::1', '2606:4700:1:2:3:5efe:7f00:1',
    '2606:4700:1:2:5efe::1'])('%s is public', (address) =>
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
    ['dummy', '100:0:0:1::1'],
    ['SRv6', '5f00::1'],
    ['ISATAP', '2606:4700::5efe:7f00:1'],
    ['ISATAP, dotted', '2606:4700:1:2:0:5efe:10.0.0.1'],
    ['ISATAP of a public address, with its bit', '2606:4700:1:2:200:5efe:808:808'],
    ['ISATAP of nothing', '2606:4700:1:2:0:5efe::'],
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
