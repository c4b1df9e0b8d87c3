import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parseHosts, WatchedFile } from './hosts-file.js';

describe('a hosts file', () => {
  it('gives each name the addresses of all its lines', () => {
    const hosts = parseHosts('# ours\n127.0.0.1\tlocalhost\n  10.0.0.7  Shop.Internal shop # the shop\n\n::1 localhost ip6-localhost\r\nnonsense x\n10.0.0.8\n');
    expect(Object.fromEntries(hosts)).toEqual({
      localhost: [{ address: '127.0.0.1', family: 4 }, { address: '::1', family: 6 }],
      'ip6-localhost': [{ address: '::1', family: 6 }],
      'shop.internal': [{ address: '10.0.0.7', family: 4 }],
      shop: [{ address: '10.0.0.7', family: 4 }],
    });
  });
});

describe('a watched file', () => {
  let dir: string;
  let path: string;
  let nowMs: number;
  let reads: number;
  let file: WatchedFile<string>;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'posthorn-hosts-'));
    path = join(dir, 'hosts');
    nowMs = 0;
    reads = 0;
    file = new WatchedFile(path, (text) => {
      reads++;
      return text;
    }, () => nowMs);
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it('is looked at once a second, and read when it has changed', () => {
    writeFileSync(path, 'a');
    expect(file.value).toBe('a');
    writeFileSync(path, 'longer');
    nowMs = 999;
    expect(file.value).toBe('a');
    nowMs = 1_000;
    expect(file.value).toBe('longer');
    nowMs = 5_000;
    expect(file.value).toBe('longer');
    expect(reads).toBe(2);
  });

  it('is empty when it is not there', () => {
    expect(file.value).toBe('');
    writeFileSync(path, 'a');
    nowMs = 1_000;
    expect(file.value).toBe('a');
    rmSync(path);
    nowMs = 2_000;
    expect(file.value).toBe('');
  });
});
