import { describe, expect, it } from '@jest/globals';
import { parseCidrs, type EgressPolicy } from './address-guard.js';
import { checkUrl } from './url-guard.js';

const strict: EgressPolicy = { allowHttp: false, allowedAddresses: parseCidrs('') };
const local: EgressPolicy = { allowHttp: true, allowedAddresses: parseCidrs('127.0.0.0/8, ::1/128, 10.1.0.0/16') };

const label = 'a'.repeat(63);

const allowed = [
  'https://example.com',
  'https://example.com:8443/a/b?c=d#e',
  'HTTPS://Example.COM/',
  'https://example.com:443/',
  'https://8.8.8.8/',
  'https://8.8.8.8:8443/x',
  'https://[2606:4700::1111]/x',
  'https://[2606:4700:0:0::1111]:8443/',
  'https://bücher.example/ü',
  'https://BÜCHER.example/',
  'https://straße.example/',
  'https://例え.テスト/',
  'https://xn--bcher-kva.example/',
  'https://localhost/',
  'https://my_service.internal/',
  'https://a-b.c--d.example/',
  'https://example.com/@me?a=b@c',
  'https://example.com/a%2fb/v1%2e0/..x/.well-known/a...b',
  'https://example.com/?next=../../x',
  'https://example.com?a=b',
  `https://${label}.${label}.${label}.example/`,
];

/** Everything that is refused whatever it would connect to. */
const malformed: Record<string, readonly string[]> = {
  'not absolute': ['', '/hook', '//example.com/', 'example.com', 'https:', 'https://', 'https:/example.com', 'https:example.com', 'https:///example.com',
    'https:////example.com', 'https://?x', 'https://#x', 'https:\\\\example.com'],
  'another scheme': ['ftp://example.com/', 'file:///etc/passwd', 'gopher://127.0.0.1:6379/_x', 'javascript:alert(1)', 'data:text/plain,x', 'ws://example.com/',
    'httpss://example.com/', 'http+unix://%2Fvar%2Frun%2Fdocker.sock/x', 'blob:https://example.com/x', 'jar:https://example.com!/'],
  'credentials': ['https://user:pass@example.com/', 'https://user@example.com/', 'https://@example.com/', 'https://:@example.com/', 'https://example.com@10.0.0.1/',
    'https://example.com:443@127.0.0.1/', 'https://a@b@127.0.0.1/', 'https://example.com%40127.0.0.1/', 'https://[::1]@example.com/'],
  'ambiguous characters': ['https://example.com\\@10.0.0.1/', 'https://example.com\\.evil.example/', 'https://127.0.0.1\\example.com/', 'https://example.com/a\\b', ' https://example.com/',
    'https://example.com/ ', 'https://example.com/\n', 'https://exa\tmple.com/', 'https://exa\r\nmple.com/', 'ht\ntps://example.com/', 'https://example.com/\u0000', 'https://example.com\u0000.evil.example/',
    'https://example.com/\u007f', 'https://example.com/\u0085', 'https://example.com/\u00a0', 'https://exam\u200bple.com/', 'https://exam\u00adple.com/', 'https://example.com/\ufeff',
    'https://example.com/\u2028', 'https://example.com/\u202egnp', 'https://example.com/\ud800'],
  'an encoded host': ['https://%31%32%37.0.0.1/', 'https://127%2e0%2e0%2e1/', 'https://%6cocalhost/', 'https://127.0.0.1%23.example.com/', 'https://127.0.0.1%2f.example.com/',
    'https://example.com%00/', 'https://%E2%91%A0.example/'],
  'characters that stand for others': ['https://127\u30020\u30020\u30021/', 'https://127\uff0e0\uff0e0\uff0e1/', 'https://8\u30028\u30028\u30028/', 'https://8\uff0e8\uff0e8\uff0e8/', 'https://8\uff618\uff618\uff618/', 'https://\uff18.\uff18.\uff18.\uff18/', 'https://\u247e.8.8.8/', 'https://\u24d4xample.com/', 'https://exa\u1d50ple.com/', 'https://example\u3002com/', 'https://l\u24dccalhost/', 'https://example\u017f.com/', 'https://\u212a.example/', 'https://\u33ce.example/', 'https://exam\u2100ple.com/', 'https://\uff45xample.com/', 'https://example.com\uff0f.evil.example/', 'https://example.com\uff1a443/'],
  'no host name': ['https://exa mple.com/', 'https://exa!mple.com/', 'https://example.com;x/', 'https://example.com,evil.example/', 'https://$(id).example/', "https://exa'mple.com/", 'https://*.example.com/',
    'https://{x}.example/', 'https://example.com&x/', 'https://a=b/', 'https://~/', 'https://`x`/', 'https://<x>/', 'https://a|b/'],
  'empty labels': ['https://example.com./', 'https://.example.com/', 'https://example..com/', 'https://./', 'https://../', 'https://127.0.0.1./', 'https://localhost./'],
  'too long': [`https://example.com/${'a'.repeat(2048)}`, `https://a${label}.example/`, `https://${`${label}.`.repeat(4)}example/`],
  'a port that is none': ['https://example.com:/', 'https://example.com:99999/', 'https://example.com:65536/', 'https://example.com:-1/', 'https://example.com:x/', 'https://example.com:0443/', 'https://example.com:00025/',
    'https://example.com:443:443/', 'https://example.com:4 43/', 'https://example.com:\uff14\uff14\uff13/', 'https://example.com:0x19/'],
  'an address that is none': ['https://1.2.3.4.5/', 'https://256.256.256.256/', 'https://8.8.8.8.example.8/', 'https://0x1ffffffff/', 'https://4294967296/', 'https://09.8.8.8/', 'https://[::1/', 'https://::1/', 'https://[::1]x/',
    'https://[]/', 'https://[1]/', 'https://[fe80::1%25eth0]/', 'https://[fe80::1%eth0]/', 'https://[v1.x]/', 'https://[8.8.8.8]/', 'https://[::ffff:08.8.8.8]/'],
  'a public address in another notation': ['https://134744072/', 'https://0x08080808/', 'https://010.8.8.8/', 'https://8.8.2056/', 'https://8.526344/', 'https://0x8.8.8.8/', 'https://08.8.8.8/', 'https://008.8.8.8/'],
  'dot segments': ['https://example.com/a/../b', 'https://example.com/./b', 'https://example.com/a/..', 'https://example.com/%2e%2e/b', 'https://example.com/.%2E/b', 'https://example.com/a/%2e?x', 'https://example.com/../'],
};

/** Not public, in every spelling that leads there. */
const blocked = [
  'https://127.0.0.1/', 'https://\u2460\u2461\u2466.0.0.1/', 'https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/', 'https://\uff10x\uff17f.\uff11/',
  'https://127.0.0.1:8443/', 'https://127.1/', 'https://127.0.1/', 'https://2130706433/', 'https://0x7f000001/', 'https://0x7F.1/', 'https://0177.0.0.1/', 'https://0177.1/', 'https://017700000001/',
  'https://0x7f.0x0.0x0.0x1/', 'https://0X7f.0.0.1/', 'https://127.0.0.0x1/', 'https://00000177.0.0.1/', 'https://0/', 'https://0x/', 'https://0.0.0.0/', 'https://00/', 'https://10.0.0.1/', 'https://10.1/', 'https://167772161/', 'https://012.0.0.1/',
  'https://100.64.0.1/', 'https://169.254.169.254/latest/meta-data/', 'https://0xa9fea9fe/', 'https://2852039166/', 'https://0251.0376.0251.0376/', 'https://169.254.43518/', 'https://172.16.0.1/', 'https://192.168.0.1/', 'https://192.0.0.192/',
  'https://192.0.2.1/', 'https://192.88.99.2/', 'https://198.18.0.1/', 'https://198.51.100.1/', 'https://203.0.113.1/', 'https://224.0.0.1/', 'https://240.0.0.1/', 'https://255.255.255.255/', 'https://4294967295/',
  'https://[::]/', 'https://[::1]/', 'https://[0:0:0:0:0:0:0:1]/', 'https://[0000:0000:0000:0000:0000:0000:0000:0001]/', 'https://[::ffff:10.0.0.1]/', 'https://[::ffff:7f00:1]/', 'https://[0:0:0:0:0:ffff:127.0.0.1]/', 'https://[::ffff:8.8.8.8]/',
  'https://[::127.0.0.1]/', 'https://[::ffff:0:127.0.0.1]/', 'https://[64:ff9b::127.0.0.1]/', 'https://[64:ff9b::8.8.8.8]/', 'https://[64:ff9b:1::a00:1]/', 'https://[64:ff9b:1:fffe::1]/', 'https://[100::1]/', 'https://[100:0:0:1::1]/',
  'https://[2001::7f00:1]/', 'https://[2001:0:4136:e378:8000:63bf:80ff:fffe]/', 'https://[2001:1::1]/', 'https://[2001:2::1]/', 'https://[2001:3::1]/', 'https://[2001:4:112::1]/', 'https://[2001:10::1]/', 'https://[2001:20::1]/', 'https://[2001:30::1]/',
  'https://[2001:db8::1]/', 'https://[2002:7f00:1::]/', 'https://[2002:a9fe:a9fe::1]/', 'https://[2002:808:808::1]/', 'https://[2606:4700::5efe:10.0.0.1]/', 'https://[2606:4700::200:5efe:a00:1]/', 'https://[2620:4f:8000::1]/', 'https://[3fff::1]/',
  'https://[3fff:fff::1]/', 'https://[4000::1]/', 'https://[5f00::1]/', 'https://[fc00::1]/', 'https://[fd00:ec2::254]/', 'https://[fe80::1]/', 'https://[fec0::1]/', 'https://[ff02::1]/', 'https://[FD00::1]/',
];

describe('a URL', () => {
  it.each(allowed)('%s may be used', (url) => expect(checkUrl(url, strict)).toMatchObject({ ok: true }));

  it.each(Object.entries(malformed).flatMap(([fault, urls]) => urls.map((url) => [url, fault] as const)))('%j is refused as invalid_url: %s', (url) =>
    expect(checkUrl(url, strict)).toMatchObject({ ok: false, code: 'invalid_url' }),
  );

  it.each(blocked)('%j is refused as address_blocked', (url) => expect(checkUrl(url, strict)).toMatchObject({ ok: false, code: 'address_blocked' }));

  it.each([0, 20, 21, 22, 23, 25, 53, 110, 119, 143, 465, 514, 563, 587, 993, 995, 6379, 6667, 11_211])('with port %i is refused as port_blocked', (port) =>
    expect(checkUrl(`https://example.com:${port}/`, strict)).toMatchObject({ ok: false, code: 'port_blocked' }),
  );

  it.each(['http://example.com/', 'HTTP://example.com/', 'http://127.0.0.1/', 'http://example.com:443/'])('%s is refused as https_required', (url) =>
    expect(checkUrl(url, strict)).toMatchObject({ ok: false, code: 'https_required' }),
  );

  it('may be http and local when the configuration says so', () => {
    expect(checkUrl('http://127.0.0.1:3000/', local)).toMatchObject({ ok: true });
    expect(checkUrl('http://[::1]:3000/', local)).toMatchObject({ ok: true });
    expect(checkUrl('http://10.2.0.1/', local)).toMatchObject({ ok: false, code: 'address_blocked' });
    expect(checkUrl('http://127.0.0.1:25/', local)).toMatchObject({ ok: false, code: 'port_blocked' });
    expect(checkUrl('http://127.1:3000/', local)).toMatchObject({ ok: false, code: 'invalid_url' });
  });

  it.each([
    ['https://user:pass@example.com/', 'credentials'],
    ['https://%31.0.0.1/', 'percent-encoded'],
    ['https://example.com./', 'dot'],
    ['https://example.com:0443/', 'port'],
  ])('%s is refused with the reason', (url, reason) => expect(checkUrl(url, strict)).toMatchObject({ message: expect.stringContaining(reason) }));

  it('that is malformed is not quoted when it is refused', () => {
    for (const url of Object.values(malformed).flat()) {
      const verdict = checkUrl(url, strict);
      expect(verdict).toMatchObject({ ok: false, message: expect.stringMatching(/^(?:The|An) [\w .,;:/"-]+\.$/) });
    }
  });
});
