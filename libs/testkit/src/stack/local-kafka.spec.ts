import { describe, expect, it } from '@jest/globals';
import { javaMajor, serverProperties } from './local-kafka.js';

describe('javaMajor', () => {
  it.each([
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['openjdk version "25" 2025-09-16', 25],
    ['java version "1.8.0_392"', 8],
    ['something else', undefined],
  ])('%s is %s', (text, major) => {
    expect(javaMajor(text)).toBe(major);
  });
});

describe('serverProperties', () => {
  it('listens on loopback only, at the ports given', () => {
    const lines = serverProperties({ kafka: 1111, controller: 2222 }, '/data').split('\n');
    expect(lines).toContain('listeners=PLAINTEXT://127.0.0.1:1111,CONTROLLER://127.0.0.1:2222');
    expect(lines).toContain('advertised.listeners=PLAINTEXT://127.0.0.1:1111');
    expect(lines).toContain('controller.quorum.voters=1@127.0.0.1:2222');
    expect(lines).toContain('log.dirs=/data');
  });
});
