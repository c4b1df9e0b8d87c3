import { describe, expect, it } from '@jest/globals';
import { KeyedQueues, PATIENCE_MS, type Ordered, type Statement } from './keyed-queues.js';

type Delivery = Ordered & { readonly name: string };

const of = (name: string, key = 'k', subscription = 'sub_a'): Delivery => ({ name, key, subscription });
const at = (dueAtMs: number, number = 2) => ({ dueAtMs, number, isReserved: false });

/** The queues, with everything that they have had done. */
const ordering = ({ limit = 100, stored = [] }: { limit?: number; stored?: (Ordered & { rows: number; head: string })[] } = {}) => {
  const started: string[] = [];
  const completed: string[] = [];
  const refused: string[] = [];
  const statements: Statement<Delivery>[] = [];
  const withdrawn = new Set<string>();
  /** Names of deliveries whose record has others that are not done. */
  const keptOpen = new Set<string>();
  const queues = new KeyedQueues<Delivery>(
    {
      start: (heads) => void started.push(heads.map(({ name }) => name).join('+')),
      complete: ({ name }) => {
        completed.push(name);
        return !keptOpen.has(name);
      },
      refuse: ({ name }, later) => void refused.push(later === undefined ? name : `${name} as ${later.number}`),
      write: (statement) => void statements.push(statement),
      isWithdrawn: (subscription) => withdrawn.has(subscription),
      idOf: ({ name }) => name,
    },
    limit,
    stored,
  );
  const written = (next: Delivery[] = [], rest: { duplicates?: number } = {}): void => {
    const statement = statements.shift();
    if (statement === undefined) throw new Error('nothing is to be written');
    queues.written(statement, 0, { next, ...rest });
  };
  return { queues, started, completed, refused, statements, withdrawn, keptOpen, written };
};

const told = (statement: Statement<Delivery> | undefined): unknown => {
  if (statement?.kind === 'park') {
    const { ended, head, followers } = statement;
    return { park: head?.delivery.name, due: head?.later?.dueAtMs, followers: followers.map(({ name }) => name).join(), ended: ended.map(({ name }) => name).join() };
  }
  if (statement?.kind === 'postpone') return { postpone: statement.head.name, due: statement.later.dueAtMs };
  return statement && { advance: statement.ended.map(({ name }) => name).join() };
};

/** Head `h` has failed and waits in the backlog, `f` behind it. */
const blocked = (options = {}) => {
  const world = ordering(options);
  const [h, f] = [of('h'), of('f')];
  world.queues.arrive(h, 0);
  world.queues.arrive(f, 0);
  world.queues.later(h, at(5_000), 0);
  world.written();
  return { ...world, h, f };
};

describe('a key in memory', () => {
  it('starts what arrives alone, and is gone when that has ended, without a statement', () => {
    const { queues, started, completed, statements } = ordering();
    const d = of('d');
    queues.arrive(d, 0);
    queues.ended(d, 0);
    expect([started, completed, statements, queues.blocked]).toEqual([['d'], ['d'], [], 0]);
  });

  it('starts each when the one before it has ended, in the order of arrival', () => {
    const { queues, started } = ordering();
    const [a, b, c] = [of('a'), of('b'), of('c')];
    for (const delivery of [a, b, c]) queues.arrive(delivery, 0);
    expect(started).toEqual(['a']);
    queues.ended(a, 0);
    expect(started).toEqual(['a', 'b']);
    queues.ended(b, 0);
    queues.ended(c, 0);
    expect(started).toEqual(['a', 'b', 'c']);
  });

  it('holds up no other key, and no other subscription with the same key', () => {
    const { queues, started } = ordering();
    for (const delivery of [of('a'), of('b', 'other'), of('c', 'k', 'sub_b')]) queues.arrive(delivery, 0);
    expect(started).toEqual(['a', 'b', 'c']);
  });

  it('completes in its order: not before the records of those in front are done, for whomever they were', () => {
    const { queues, completed, keptOpen } = ordering();
    const [a, b, c] = [of('a'), of('b'), of('c')];
    keptOpen.add('a');
    queues.arrive(a, 0);
    queues.ended(a, 0);
    for (const delivery of [b, c]) {
      queues.arrive(delivery, 0);
      queues.ended(delivery, 0);
    }
    expect(completed).toEqual(['a']);
    queues.recordDone(a);
    expect(completed).toEqual(['a', 'b', 'c']);
  });

  it('takes no notice of what is told of a delivery that is not its head', () => {
    const { queues, started } = ordering();
    const [a, b] = [of('a'), of('b')];
    queues.arrive(a, 0);
    queues.arrive(b, 0);
    queues.ended(b, 0);
    expect(started).toEqual(['a']);
  });
});

describe('a key goes to the backlog', () => {
  it('as a whole, when its head has to come back later; its records are done when that is written', () => {
    const { queues, statements, completed, written, started } = ordering();
    const [h, f] = [of('h'), of('f')];
    queues.arrive(h, 0);
    queues.arrive(f, 0);
    queues.later(h, at(5_000), 0);
    expect(told(statements[0])).toEqual({ park: 'h', due: 5_000, followers: 'f', ended: '' });
    expect(completed).toEqual([]);
    written();
    expect([completed, started, queues.blocked, queues.rows]).toEqual([['h', 'f'], ['h'], 1, 2]);
  });

  it('when a follower has run out of patience, its head going on', () => {
    const { queues, statements, written } = ordering();
    const [h, f] = [of('h'), of('f')];
    queues.arrive(h, 0);
    queues.arrive(f, 10);
    expect(queues.nextTickMs).toBe(10 + PATIENCE_MS);
    queues.tick(9 + PATIENCE_MS);
    expect(statements).toEqual([]);
    queues.tick(10 + PATIENCE_MS);
    expect(told(statements[0])).toEqual({ park: 'h', due: undefined, followers: 'f', ended: '' });
    written();
    queues.ended(h, 0);
    expect(told(statements[0])).toEqual({ advance: 'h' });
  });

  it('not when the follower has been started meanwhile', () => {
    const { queues, statements } = ordering();
    const [h, f] = [of('h'), of('f')];
    queues.arrive(h, 0);
    queues.arrive(f, 0);
    queues.ended(h, 0);
    queues.tick(PATIENCE_MS);
    expect([statements, queues.nextTickMs]).toEqual([[], undefined]);
  });

  it('with those that have ended and are not committed, so that a crash does not repeat them behind the others', () => {
    const { queues, statements } = ordering();
    const [a, b, h] = [of('a'), of('b'), of('h')];
    for (const delivery of [a, b]) {
      queues.arrive(delivery, 0);
      queues.ended(delivery, 0);
    }
    queues.committed(a);
    queues.arrive(h, 0);
    queues.later(h, at(5_000), 0);
    expect(told(statements[0])).toMatchObject({ park: 'h', ended: 'b' });
  });

  it('with those that have ended behind an open record, which are completed then', () => {
    const { queues, statements, keptOpen, completed, written } = ordering();
    const [a, b, h] = [of('a'), of('b'), of('h')];
    keptOpen.add('a');
    for (const delivery of [a, b]) {
      queues.arrive(delivery, 0);
      queues.ended(delivery, 0);
    }
    queues.arrive(h, 0);
    queues.later(h, at(5_000), 0);
    expect(told(statements[0])).toEqual({ park: 'h', due: 5_000, followers: '', ended: 'a,b' });
    written();
    expect(completed).toEqual(['a', 'b', 'h']);
    expect(queues.rows).toBe(1);
  });

  it('and takes what has come of its head meanwhile when it has got there', () => {
    const { queues, statements, written } = ordering();
    const [h, f] = [of('h'), of('f')];
    queues.arrive(h, 0);
    queues.arrive(f, 0);
    queues.tick(PATIENCE_MS);
    queues.later(h, at(7_000), 0);
    expect(statements).toHaveLength(1);
    written();
    expect(told(statements[0])).toEqual({ postpone: 'h', due: 7_000 });
  });
});

describe('a blocked key', () => {
  it('puts what arrives behind the others, and completes it when that is written', () => {
    const { queues, statements, completed, started, written } = blocked();
    queues.arrive(of('g'), 0);
    expect(told(statements[0])).toEqual({ park: undefined, due: undefined, followers: 'g', ended: '' });
    written();
    expect([completed.at(-1), started, queues.rows]).toEqual(['g', ['h'], 3]);
  });

  it('collects what arrives while a statement is under way for the next one', () => {
    const { queues, statements, written } = blocked();
    for (const name of ['1', '2', '3']) queues.arrive(of(name), 0);
    expect(statements.map(told)).toEqual([{ park: undefined, due: undefined, followers: '1', ended: '' }]);
    written();
    expect(statements.map(told)).toEqual([{ park: undefined, due: undefined, followers: '2,3', ended: '' }]);
  });

  it('starts its head when it is due, and its next row when that has ended', () => {
    const { queues, statements, started, written } = blocked();
    const h = of('h again');
    queues.due(h, 5_000);
    queues.ended(h, 5_000);
    expect(told(statements[0])).toEqual({ advance: 'h again' });
    written([of('f again')]);
    expect([started.slice(1), queues.rows]).toEqual([['h again', 'f again'], 1]);
  });

  it('waits again when its head does', () => {
    const { queues, statements, started, written } = blocked();
    const h = of('h again');
    queues.due(h, 5_000);
    queues.later(h, at(60_000, 3), 5_000);
    expect(told(statements[0])).toEqual({ postpone: 'h again', due: 60_000 });
    written();
    queues.arrive(of('g'), 6_000);
    expect(started).toEqual(['h', 'h again']);
  });

  it('starts nothing twice: neither what was read before it was known to wait, nor what was read twice', () => {
    const { queues, started } = blocked();
    queues.due(of('h again'), 5_000);
    queues.due(of('h again'), 5_000);
    expect(started).toEqual(['h', 'h again']);
  });

  it('comes back to memory when no row is left, with what has arrived meanwhile', () => {
    const { queues, started, statements, written } = blocked();
    const [h, f, g] = [of('h again'), of('f again'), of('g')];
    queues.due(h, 5_000);
    queues.ended(h, 5_000);
    written([f]);
    queues.ended(f, 5_000);
    queues.arrive(g, 5_000);
    written([]);
    expect([started.at(-1), queues.blocked, queues.rows]).toEqual(['g', 0, 0]);
    queues.ended(g, 5_000);
    expect(statements).toEqual([]);
  });

  it('parks what has arrived meanwhile when a row is left', () => {
    const { queues, started, statements, written } = blocked();
    const h = of('h again');
    queues.due(h, 5_000);
    queues.ended(h, 5_000);
    queues.arrive(of('g'), 5_000);
    written([of('f again')]);
    expect(started.at(-1)).toBe('f again');
    expect(told(statements[0])).toEqual({ park: undefined, due: undefined, followers: 'g', ended: '' });
  });

  it('has patience with what came back to memory from the time that it did', () => {
    const { queues, statements, written } = blocked();
    const h = of('h again');
    queues.due(h, 0);
    queues.ended(h, 0);
    queues.arrive(of('g'), 0);
    queues.arrive(of('i'), 0);
    written([]);
    queues.tick(PATIENCE_MS);
    expect(told(statements[0])).toEqual({ park: 'g', due: undefined, followers: 'i', ended: '' });
  });

  it('is blocked from the beginning when it had rows before', () => {
    const { queues, statements, started } = ordering({ stored: [{ subscription: 'sub_a', key: 'k', rows: 3, head: 'h' }] });
    queues.arrive(of('d'), 0);
    queues.arrive(of('e', 'other'), 0);
    expect(started).toEqual(['e']);
    expect(told(statements[0])).toMatchObject({ followers: 'd' });
    expect([queues.blocked, queues.rows, [...queues.withRows()]]).toEqual([1, 4, ['sub_a']]);
  });

  it('does not count what the backlog had already', () => {
    const { queues, written } = blocked();
    queues.arrive(of('h from another record'), 0);
    written([], { duplicates: 1 });
    expect(queues.rows).toBe(2);
  });
});

describe('at the bound', () => {
  it('what a blocked key cannot take fails, the newest', () => {
    const { queues, refused, statements, written } = blocked({ limit: 3 });
    queues.arrive(of('1'), 0);
    queues.arrive(of('2'), 0);
    written();
    expect([refused, statements, queues.rows]).toEqual([['2'], [], 3]);
  });

  it('another subscription has its own', () => {
    const { queues, refused, statements } = blocked({ limit: 2 });
    const other = of('o', 'k', 'sub_b');
    queues.arrive(other, 0);
    queues.later(other, at(1_000), 0);
    expect([refused, statements.length]).toEqual([[], 1]);
  });

  it('a head that would have to wait fails as the attempt that it would have waited for, and the next one is started then', () => {
    const { queues, refused, started } = blocked({ limit: 2 });
    const [a, b] = [of('a', 'other'), of('b', 'other')];
    queues.arrive(a, 0);
    queues.arrive(b, 0);
    queues.later(a, at(5_000, 2), 0);
    expect([refused, started]).toEqual([['a as 2'], ['h', 'a']]);
    queues.ended(a, 0);
    expect(started).toEqual(['h', 'a', 'b']);
  });

  it('who has no patience left fails, the head going on', () => {
    const { queues, refused, statements, started } = blocked({ limit: 3 });
    const [a, b] = [of('a', 'other'), of('b', 'other')];
    queues.arrive(a, 0);
    queues.arrive(b, 0);
    queues.tick(PATIENCE_MS);
    queues.ended(a, PATIENCE_MS);
    expect([refused, statements, started]).toEqual([['b'], [], ['h', 'a']]);
  });

  it('there is room again when rows have ended', () => {
    const { queues, refused, statements, written } = blocked({ limit: 2 });
    const h = of('h again');
    queues.due(h, 0);
    queues.ended(h, 0);
    written([of('f again')]);
    queues.arrive(of('g'), 0);
    expect([refused, told(statements[0])]).toEqual([[], { park: undefined, due: undefined, followers: 'g', ended: '' }]);
  });
});

describe('a withdrawn subscription', () => {
  it('has its rows ended many at a time, in order', () => {
    const { queues, started, statements, withdrawn, written } = blocked();
    queues.arrive(of('g'), 0);
    written();
    withdrawn.add('sub_a');
    const [h, f, g] = [of('h again'), of('f again'), of('g again')];
    queues.due(h, 0);
    queues.ended(h, 0);
    written([f, g]);
    expect(started.at(-1)).toBe('f again+g again');
    queues.ended(f, 0);
    expect(told(statements[0])).toEqual({ advance: 'f again,g again' });
    written([]);
    expect([queues.blocked, queues.rows]).toEqual([0, 0]);
  });

  it('that is back by then goes on with the first of them only', () => {
    const { queues, started, statements, written } = blocked();
    const h = of('h again');
    queues.due(h, 0);
    queues.ended(h, 0);
    const [f, g] = [of('f'), of('g')];
    written([f, g]);
    queues.ended(f, 0);
    expect([started.at(-1), told(statements[0])]).toEqual(['f', { advance: 'f' }]);
  });
});

describe('a partition that is another sender’s', () => {
  it('is heard of no more', () => {
    const { queues, started, statements, written } = blocked();
    queues.arrive(of('g'), 0);
    queues.close();
    written();
    queues.arrive(of('i', 'other'), 0);
    queues.due(of('h again'), 9_000);
    expect([started, statements, queues.rows, queues.nextTickMs]).toEqual([['h'], [], 0, undefined]);
  });
});
