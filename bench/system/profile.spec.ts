import { describe, expect, it } from '@jest/globals';
import { selfTimes, type Profile } from './profile.ts';

const node = (id: number, functionName: string, url = '') => ({ id, callFrame: { functionName, url, lineNumber: 9 } });

const profile: Profile = {
  nodes: [
    node(1, '(idle)'),
    node(2, '(garbage collector)'),
    node(3, 'send', 'file:///somewhere/libs/kafka/dist/producer.js'),
    node(4, 'send', 'file:///somewhere/libs/kafka/dist/producer.js'),
    node(5, '', 'file:///somewhere/node_modules/@scope/part/index.js'),
    node(6, 'writev', 'node:net'),
  ],
  samples: [1, 1, 1, 2, 3, 3, 4, 4, 4, 5, 5, 1, 6, 6],
};

describe('where the time goes', () => {
  it('is told by function, whoever called it, leaving out what is idle', () => {
    const { functions } = selfTimes(profile);
    expect(functions[0]).toEqual({ name: 'send producer.js:10', share: 0.5 });
    expect(functions.map(({ name }) => name)).not.toContain('(idle)');
  });

  it('is told by the package that the function stands in', () => {
    expect(Object.fromEntries(selfTimes(profile).places.map(({ name, share }) => [name, share]))).toEqual({
      'libs/kafka': 0.5,
      '@scope/part': 0.2,
      node: 0.2,
      'garbage collector': 0.1,
    });
  });
});
