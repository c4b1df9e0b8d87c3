import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Agenda, NOWHERE, type Appointed } from './agenda.js';
import { Ring, type Linked } from './ring.js';

type Member = Appointed & { readonly name: number };

describe('an agenda', () => {
  it('tells who is due, the earliest first, whatever was put forward, added twice or taken out', () => {
    const operation = fc.record({ member: fc.nat(15), atMs: fc.nat(1_000), kind: fc.constantFrom('add', 'add', 'add', 'remove', 'take') });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
        const agenda = new Agenda<Member>();
        const members = Array.from({ length: 16 }, (_, name): Member => ({ name, wakeAtMs: 0, agendaPlace: NOWHERE }));
        const model = new Map<number, number>();
        for (const { member: name, atMs, kind } of operations) {
          const member = members[name];
          if (member === undefined) continue;
          const earliest = Math.min(...model.values());
          const due = kind === 'take' ? agenda.takeDue(atMs) : undefined;
          expect(due && model.get(due.name)).toBe(kind === 'take' && earliest <= atMs ? earliest : undefined);
          if (due !== undefined) model.delete(due.name);
          if (kind === 'add') {
            agenda.add(member, atMs);
            model.set(name, Math.min(atMs, model.get(name) ?? atMs));
          } else if (kind === 'remove') {
            agenda.remove(member);
            model.delete(name);
          }
          expect(agenda.nextMs).toBe(model.size === 0 ? undefined : Math.min(...model.values()));
        }
      }),
    );
  });
});

class Link implements Linked<Link> {
  ring: Ring<Link> | undefined = undefined;
  before: Link | undefined = undefined;
  after: Link | undefined = undefined;

  constructor(readonly name: number) {}
}

describe('a ring', () => {
  it('is first in, first out, lets go from its middle, and gives up what another takes', () => {
    const operation = fc.record({ link: fc.nat(7), kind: fc.constantFrom('push', 'push', 'move', 'remove', 'shift') });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 100 }), (operations) => {
        const [ring, other] = [new Ring<Link>(), new Ring<Link>()];
        const links = Array.from({ length: 8 }, (_, name) => new Link(name));
        let model: number[] = [];
        for (const { link: name, kind } of operations) {
          const link = links[name];
          if (link === undefined) continue;
          const taken = kind === 'shift' ? ring.shift() : link;
          expect(taken?.name).toBe(kind === 'shift' ? model[0] : name);
          model = model.filter((known) => known !== taken?.name);
          if (kind === 'push') {
            ring.push(link);
            model.push(name);
          } else if (kind === 'move') other.push(link);
          else if (kind === 'remove') ring.remove(link);
          expect([ring.size, ring.first?.name]).toEqual([model.length, model[0]]);
        }
        expect(Array.from({ length: ring.size }, () => ring.shift()?.name)).toEqual(model);
      }),
    );
  });
});
